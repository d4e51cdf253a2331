/* relay.c: copies bytes between two TCP connections and does nothing else: the limit of the path.
 *
 * What a peer costs above this is its own work (TLS, framing, decisions). One thread, epoll, one shared buffer;
 * memory of its own has a direction only while the receiving side does not take what was read. Half-close is kept.
 *
 * Usage: relay PORT TARGET_PORT
 */
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "fail.h"
#include "loop.h"

struct pair;

struct side {
	struct watch watch;
	struct pair *pair;
	struct side *other;
	bool ended; /* its last byte was read and passed on */
	uint8_t *held; /* read from the other side, not yet taken by this one */
	size_t held_size;
};

struct pair {
	struct side client, target;
};

static uint8_t space[64 * 1024];
static uint16_t target_port;

static void end_pair(struct pair *pair)
{
	loop_close(&pair->client.watch);
	loop_close(&pair->target.watch);
	free(pair->client.held);
	free(pair->target.held);
	loop_bury(pair);
}

static void await(struct side *side)
{
	bool may_read = !side->ended && !side->other->held_size;
	loop_change(&side->watch, (may_read ? EPOLLIN : 0U) | (side->held_size ? EPOLLOUT : 0U));
}

/* Returns how many of the bytes the side took; -1 when it is gone. */
static ssize_t pass(struct side *side, const uint8_t *bytes, size_t size)
{
	size_t done = 0;
	while (done < size) {
		ssize_t sent = send(side->watch.fd, bytes + done, size - done, MSG_NOSIGNAL);
		if (sent < 0 && errno == EAGAIN)
			break;
		if (sent < 0)
			return -1;
		done += (size_t)sent;
	}
	return (ssize_t)done;
}

static void hold(struct side *side, const uint8_t *bytes, size_t size)
{
	uint8_t *held = size ? must_allocate(size) : NULL;
	if (size)
		memcpy(held, bytes, size);
	free(side->held);
	side->held = held;
	side->held_size = size;
}

static bool give(struct side *side, const uint8_t *bytes, size_t size)
{
	ssize_t taken = pass(side, bytes, size);
	if (taken < 0)
		return false;
	hold(side, bytes + taken, size - (size_t)taken);
	return true;
}

/* False when the pair is over. */
static bool copy_from(struct side *side)
{
	ssize_t size = recv(side->watch.fd, space, sizeof(space), 0);
	if (size < 0)
		return errno == EAGAIN;
	if (size > 0)
		return give(side->other, space, (size_t)size);
	side->ended = true;
	shutdown(side->other->watch.fd, SHUT_WR);
	return !side->other->ended;
}

static void on_ready(struct watch *watch, uint32_t events)
{
	struct side *side = OWNER_OF(watch, struct side, watch);
	bool alive = !(events & (EPOLLERR | EPOLLHUP)) || (events & EPOLLIN);
	if (alive && (events & EPOLLOUT) && side->held_size)
		alive = give(side, side->held, side->held_size);
	if (alive && (events & EPOLLIN))
		alive = copy_from(side);
	if (!alive) {
		end_pair(side->pair);
		return;
	}
	await(side);
	await(side->other);
}

static void begin(struct pair *pair, struct side *side, struct side *other, int fd)
{
	side->pair = pair;
	side->other = other;
	side->watch.ready = on_ready;
	loop_watch(&side->watch, fd, EPOLLIN);
}

static void on_client(struct watch *listener, uint32_t events)
{
	(void)events;
	int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return;
	struct pair *pair = must_allocate(sizeof(*pair));
	begin(pair, &pair->target, &pair->client, dial_port(target_port));
	begin(pair, &pair->client, &pair->target, fd);
}

int main(int argc, char **argv)
{
	if (argc != 3)
		fail("usage: relay PORT TARGET_PORT");
	signal(SIGPIPE, SIG_IGN);
	target_port = (uint16_t)must_number(argv[2], "TARGET_PORT", UINT16_MAX);
	struct watch listener = {.ready = on_client};
	loop_watch(&listener, listen_on((uint16_t)must_number(argv[1], "PORT", UINT16_MAX)), EPOLLIN);
	loop_until(NULL, NULL);
	return 0;
}

/* target.c: the server behind every gateway: echo, sink and source on one loopback port.
 *
 * The client's first byte says which: 'e' gives back whatever follows; 'o' gives back one byte and ends the
 * connection (so that a tunnel ends even where half-close is not passed on); 's' and eight bytes (a number, most
 * significant first) takes so many bytes and answers one; 'g' and eight bytes gives so many bytes. A stream that
 * begins with "CONNECT " is first answered 200, as the HTTP/1.1 proxy that nghttpx wants behind it would.
 *
 * Usage: target PORT
 */
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fail.h"
#include "loop.h"

#define HEAD_MAX 2048
#define ORDER_SIZE 9

enum duty { DUTY_UNKNOWN, DUTY_ECHO, DUTY_ONCE, DUTY_SINK, DUTY_SOURCE, DUTY_NONE };

struct visitor {
	struct watch watch;
	enum duty duty;
	uint64_t left; /* bytes still to take or to give */
	uint8_t *head; /* what came before the duty is known; NULL when nothing did */
	size_t head_size;
};

static uint8_t space[256 * 1024];

static void leave(struct visitor *visitor)
{
	loop_close(&visitor->watch);
	free(visitor->head);
	loop_bury(visitor);
}

/* Echoes and answers are small: the socket takes them whole, or the load is not what this target is for. */
static void answer(struct visitor *visitor, const void *bytes, size_t size)
{
	if (send(visitor->watch.fd, bytes, size, MSG_NOSIGNAL) != (ssize_t)size && errno != EPIPE && errno != ECONNRESET)
		fail_errno("an answer of %zu bytes was not taken", size);
}

static void take(struct visitor *visitor, size_t size)
{
	if (size > visitor->left)
		fail("more bytes than announced");
	visitor->left -= size;
	if (visitor->left)
		return;
	visitor->duty = DUTY_NONE;
	answer(visitor, "k", 1);
}

static void give(struct visitor *visitor)
{
	while (visitor->left) {
		size_t size = visitor->left < sizeof(space) ? visitor->left : sizeof(space);
		ssize_t sent = send(visitor->watch.fd, space, size, MSG_NOSIGNAL);
		if (sent < 0 && errno == EAGAIN) {
			loop_change(&visitor->watch, EPOLLIN | EPOLLOUT);
			return;
		}
		if (sent < 0) {
			leave(visitor);
			return;
		}
		visitor->left -= (size_t)sent;
	}
	visitor->duty = DUTY_NONE;
	loop_change(&visitor->watch, EPOLLIN);
}

static void answer_once(struct visitor *visitor, const uint8_t *bytes)
{
	answer(visitor, bytes, 1);
	shutdown(visitor->watch.fd, SHUT_WR);
	visitor->duty = DUTY_NONE;
}

static void follow(struct visitor *visitor, const uint8_t *bytes, size_t size)
{
	if (visitor->duty == DUTY_ECHO && size)
		answer(visitor, bytes, size);
	else if (visitor->duty == DUTY_ONCE && size)
		answer_once(visitor, bytes);
	else if (visitor->duty == DUTY_SINK)
		take(visitor, size);
	else if (visitor->duty == DUTY_SOURCE)
		give(visitor);
}

static void drop_head(struct visitor *visitor, size_t size)
{
	visitor->head_size -= size;
	memmove(visitor->head, visitor->head + size, visitor->head_size);
}

/* True when the head is complete or none is expected. */
static bool answer_connect(struct visitor *visitor)
{
	static const char granted[] = "HTTP/1.1 200 OK\r\n\r\n";
	if (visitor->head[0] != 'C')
		return true;
	uint8_t *end = memmem(visitor->head, visitor->head_size, "\r\n\r\n", 4);
	if (!end)
		return false;
	answer(visitor, granted, sizeof(granted) - 1);
	drop_head(visitor, (size_t)(end + 4 - visitor->head));
	return true;
}

static uint64_t read_number(const uint8_t *bytes)
{
	uint64_t number = 0;
	for (int i = 0; i < 8; i++)
		number = number << 8 | bytes[i];
	return number;
}

static void learn_duty(struct visitor *visitor)
{
	size_t used = 1;
	uint8_t order = visitor->head[0];
	if (order == 'e' || order == 'o') {
		visitor->duty = order == 'e' ? DUTY_ECHO : DUTY_ONCE;
	} else if (order == 's' || order == 'g') {
		if (visitor->head_size < ORDER_SIZE)
			return;
		visitor->duty = order == 's' ? DUTY_SINK : DUTY_SOURCE;
		visitor->left = read_number(visitor->head + 1);
		used = ORDER_SIZE;
	} else {
		fail("there is no duty '%c'", order);
	}
	uint8_t rest[HEAD_MAX];
	size_t size = visitor->head_size - used;
	memcpy(rest, visitor->head + used, size);
	free(visitor->head);
	visitor->head = NULL;
	follow(visitor, rest, size);
}

static void collect_head(struct visitor *visitor, const uint8_t *bytes, size_t size)
{
	if (!visitor->head)
		visitor->head = must_allocate(HEAD_MAX);
	if (size > HEAD_MAX - visitor->head_size)
		fail("a head of more than %d bytes", HEAD_MAX);
	memcpy(visitor->head + visitor->head_size, bytes, size);
	visitor->head_size += size;
	if (answer_connect(visitor) && visitor->head_size)
		learn_duty(visitor);
}

static size_t room_for(const struct visitor *visitor)
{
	return visitor->duty == DUTY_UNKNOWN ? HEAD_MAX - visitor->head_size : sizeof(space);
}

static void on_ready(struct watch *watch, uint32_t events)
{
	struct visitor *visitor = OWNER_OF(watch, struct visitor, watch);
	if (events & EPOLLOUT) {
		give(visitor);
		return;
	}
	ssize_t size = recv(watch->fd, space, room_for(visitor), 0);
	if (size < 0 && errno == EAGAIN)
		return;
	if (size <= 0)
		leave(visitor);
	else if (visitor->duty == DUTY_UNKNOWN)
		collect_head(visitor, space, (size_t)size);
	else
		follow(visitor, space, (size_t)size);
}

static void on_visitor(struct watch *listener, uint32_t events)
{
	(void)events;
	int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return;
	struct visitor *visitor = must_allocate(sizeof(*visitor));
	visitor->watch.ready = on_ready;
	loop_watch(&visitor->watch, fd, EPOLLIN);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		fail("usage: target PORT");
	signal(SIGPIPE, SIG_IGN);
	struct watch listener = {.ready = on_visitor};
	loop_watch(&listener, listen_on((uint16_t)must_number(argv[1], "PORT", UINT16_MAX)), EPOLLIN);
	loop_until(NULL, NULL);
	return 0;
}

/* main.c: the signer: holds the private keys, signs one handshake per worker, verifies device proofs, issues
 * device certificates.
 *
 * Enter, load the keys, lock the door, loop. The edges (monitor_edge.c, broker_edge.c, worker_edge.c) say
 * what comes in; sign.c and issue.c do it; workers.c remembers who is there. A worker that breaks the
 * protocol loses its edge, and with it every chance of a signature.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "sallyport/fd.h"
#include "sallyport/log.h"
#include "sallyport/wire.h"
#include "signer.h"
#include "walls.h"

#define EVENTS_MAX 64

/* Not blocking, because an event may be stale: its edge can have been replaced in the same round. */
int signer_watch(struct signer *signer, struct watched *watched)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = watched};
	if (fd_set_nonblocking(watched->fd) < 0 || epoll_ctl(signer->epoll, EPOLL_CTL_ADD, watched->fd, &event) < 0)
		return diag_system(&signer->diag, "cannot watch an edge");
	return 0;
}

/* ---- entering ---- */

static void take_broker_edge(struct signer *signer)
{
	size_t position = 0;
	struct room_descriptor *edge = room_descriptor(&signer->room, MONITOR_ROOM_PURPOSE_BROKER_EDGE, &position);
	signer->broker = (struct watched){.kind = WATCHED_BROKER, .fd = edge ? take_fd(&edge->fd) : -1};
}

static int prepare(struct signer *signer, struct diag *diag)
{
	int result = token_open(&signer->room.conf, diag);
	if (result == 0)
		result = keyring_load(&signer->room, &signer->keyring, diag);
	if (result < 0)
		return result;
	take_broker_edge(signer);
	signer->monitor = (struct watched){.kind = WATCHED_MONITOR, .fd = signer->room.monitor};
	signer->epoll = epoll_create1(EPOLL_CLOEXEC);
	signer->space = malloc(EDGE_FRAME_MAX);
	if (signer->epoll < 0 || !signer->space || signer_watch(signer, &signer->monitor) < 0 ||
	    (signer->broker.fd >= 0 && signer_watch(signer, &signer->broker) < 0))
		return diag_system(diag, "cannot set up the loop");
	return 0;
}

/* ---- the loop ---- */

static void drop_worker(struct signer *signer, struct worker *worker, int reason)
{
	if (reason != ERR_CLOSED)
		log_warning("worker %llu is dropped: %s", (unsigned long long)worker->id, signer->diag.text);
	workers_remove(&signer->workers, worker);
}

static void drop_broker(struct signer *signer, int reason)
{
	if (reason != ERR_CLOSED)
		log_error("the edge to the broker is dropped: %s", signer->diag.text);
	close(signer->broker.fd);
	signer->broker.fd = -1;
}

/* Without a monitor nobody can send workers, and nobody would start a new one. */
static void drop_monitor(struct signer *signer, int reason)
{
	if (reason != ERR_CLOSED)
		log_error("the edge to the monitor is dropped: %s", signer->diag.text);
	signer->stopped = true;
}

static int take_frame(struct signer *signer, struct watched *watched)
{
	struct edge_frame frame;
	int result = wire_receive(watched->fd, signer->space, EDGE_FRAME_MAX, &frame);
	if (result < 0)
		return diag_set(&signer->diag, result, "its edge broke (%s)", err_name(result));
	switch (watched->kind) {
	case WATCHED_MONITOR:
		return monitor_edge_take(signer, &frame);
	case WATCHED_BROKER:
		return broker_edge_take(signer, &frame);
	default:
		return worker_edge_take(signer, (struct worker *)watched, &frame);
	}
}

/* One frame per event: an edge that talks much waits for its turn like the others. */
static void handle(struct signer *signer, struct watched *watched)
{
	static void (*const drops[])(struct signer *, int) = {drop_monitor, drop_broker};
	if (watched->fd < 0)
		return;
	diag_set(&signer->diag, 0, "the other end is gone");
	int result = take_frame(signer, watched);
	if (result == 0 || result == ERR_AGAIN)
		return;
	if (watched->kind == WATCHED_WORKER)
		drop_worker(signer, (struct worker *)watched, result);
	else
		drops[watched->kind](signer, result);
}

static int loop(struct signer *signer)
{
	struct epoll_event events[EVENTS_MAX];
	while (!signer->stopped) {
		int count = epoll_wait(signer->epoll, events, EVENTS_MAX, -1);
		if (count < 0 && errno != EINTR)
			return ERR_SYSTEM;
		for (int i = 0; i < count; i++)
			handle(signer, events[i].data.ptr);
		workers_bury(&signer->workers);
	}
	return 0;
}

int main(void)
{
	static struct signer signer;
	struct diag diag;
	room_start(&signer.room, "signer", MONITOR_ROOM_SIGNER);
	if (prepare(&signer, &diag) < 0)
		room_fail(&signer.room, &diag);
	static struct signer_token_walls token;
	struct jail walls = signer_walls;
	if (token_is_open() && signer_walls_for_token(&signer.room.conf, &token, &walls, &diag) < 0)
		room_fail(&signer.room, &diag);
	walls.identity = signer.room.conf.signer_user;
	room_lock(&signer.room, &walls);
	int result = loop(&signer);
	keyring_free(signer.keyring);
	return result < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

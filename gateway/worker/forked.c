/* forked.c: a worker's life: its edges come from the monitor, then its client; then it serves until the end.
 *
 * The process is the unit of failure: a broken invariant, a breach on an edge or the loss of one ends it, and with it
 * this one client's connection and nothing else.
 */
#include <stdlib.h>
#include <unistd.h>

#include "room.h"
#include "sallyport/edge/monitor_room.h"
#include "sallyport/log.h"
#include "sallyport/own.h"
#include "walls.h"
#include "worker.h"

enum { MONITOR_PENDING = 4096, BROKER_PENDING = 4 << 20 };

void worker_end(int status)
{
	/* Not exit(3): nothing of the template's (buffers, handlers) is this process's to finish. */
	_exit(status);
}

/* ---- the monitor's edge ---- */

static void on_broker_end(struct link *link, int reason)
{
	(void)link, (void)reason;
	worker_end(EXIT_SUCCESS);
}

static int on_broker_edge(void *self, const struct monitor_room_broker_edge *message, int *fd)
{
	struct worker *worker = self;
	(void)message;
	worker->broker = (struct link){.owner = worker, .on_frame = broker_edge_take, .on_end = on_broker_end};
	int result = link_init(&worker->broker, worker->loop, *fd, BROKER_PENDING);
	if (result == 0)
		(void)take_fd(fd);
	return result;
}

static int on_signer_edge(void *self, const struct monitor_room_signer_edge *message, int *fd)
{
	struct worker *worker = self;
	(void)message;
	worker->signer = take_fd(fd);
	return 0;
}

static int on_client(void *self, const struct monitor_room_client *message, int *fd)
{
	struct worker *worker = self;
	if (worker->client.state != CLIENT_NONE || worker->signer < 0)
		return ERR_BAD_PEER;
	client_begin(worker, &(struct client_arrival){.fd = take_fd(fd), .listener = message->listener, .proxied = message->proxied});
	return 0;
}

static int on_client_welcome(void *self, const struct monitor_room_client_welcome *message, int *fd)
{
	(void)message, (void)fd;
	client_welcome(self);
	return 0;
}

static int on_stop(void *self, const struct monitor_room_stop *message, int *fd)
{
	(void)self, (void)message, (void)fd;
	worker_end(EXIT_SUCCESS);
	return 0;
}

static const struct monitor_room_handlers handlers = {
	.broker_edge = on_broker_edge, .signer_edge = on_signer_edge, .client = on_client, .client_welcome = on_client_welcome, .stop = on_stop};

static void on_monitor_frame(struct link *link, struct edge_frame *frame)
{
	struct diag diag;
	if (monitor_room_dispatch(&handlers, link->owner, EDGE_FROM_FIRST, MONITOR_ROOM_WORKER, frame, &diag) < 0) {
		log_error("the monitor's edge: %s", diag.text);
		worker_end(EXIT_FAILURE);
	}
}

static void on_monitor_end(struct link *link, int reason)
{
	(void)link, (void)reason;
	worker_end(EXIT_SUCCESS);
}

/* ---- life ---- */

void forked_live(int monitor, const struct inheritance *inheritance)
{
	static struct worker worker;
	static uv_loop_t loop;
	struct diag diag;
	worker.conf = inheritance->conf;
	worker.credentials = inheritance->credentials;
	worker.authorities = inheritance->authorities;
	worker.certificate = inheritance->certificate;
	worker.loop = &loop;
	worker.signer = -1;
	LIST_INIT(&worker.exchanges);
	LIST_INIT(&worker.tunnels);
	LIST_INIT(&worker.feeds);
	worker.monitor = (struct link){.owner = &worker, .on_frame = on_monitor_frame, .on_end = on_monitor_end};
	worker.handover.data = &worker;
	if (uv_loop_init(&loop) < 0 || uv_timer_init(&loop, &worker.handover) < 0 ||
	    link_init(&worker.monitor, &loop, monitor, MONITOR_PENDING) < 0) {
		log_error("a worker cannot make its loop");
		worker_end(EXIT_FAILURE);
	}
	if (worker_walls_tighten(inheritance->calls, &diag) < 0) {
		log_error("%s", diag.text);
		worker_end(EXIT_FAILURE);
	}
	uv_run(&loop, UV_RUN_DEFAULT);
	worker_end(EXIT_SUCCESS);
}

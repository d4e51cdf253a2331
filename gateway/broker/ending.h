/* ending.h: no means no: closes tunnels at workers, and knows when all of it is over.
 *
 *     ending_begin(&ending, broker, "device_locked", on_over);
 *     ending_add_device(&ending, device);
 *     ending_commit(&ending);
 *
 * Each worker concerned gets one `end`, reports each tunnel and answers `ended`. One that has not within
 * end_grace, or that says `ended` while a tunnel is still open, is killed: then its tunnels are closed in
 * the record all the same. Tunnels that are only being dialed are given up here. on_over runs on the loop
 * when everything is closed and recorded, never from inside ending_commit. What is to be ended for ever
 * (session, device) is so in memory before ending_begin, so that nothing new begins meanwhile.
 */
#ifndef SALLYPORT_BROKER_ENDING_H
#define SALLYPORT_BROKER_ENDING_H

#include <stdint.h>
#include <sys/queue.h>

#include "store.h"

struct broker;
struct device;
struct session;
struct tunnel;
struct worker;
struct ending;

typedef void (*ending_over)(struct ending *ending);

struct ending {
	struct broker *broker;
	const char *reason; /* a literal, at most 32 characters: in the record and for the worker */
	ending_over over;
	void *context;
	unsigned tunnels; /* how many live ones are concerned */
	unsigned waiting;
	struct store_operation flush;
};

/* One `end` that a worker has not answered yet. */
struct order {
	TAILQ_ENTRY(order) of_worker;
	struct ending *ending;
	uint32_t number;
	uint64_t session, tunnel; /* as in the message; 0: all */
	uint64_t deadline_ms;     /* uv_now */
};
TAILQ_HEAD(order_list, order);

void ending_begin(struct ending *ending, struct broker *broker, const char *reason, ending_over over);
void ending_add_session(struct ending *ending, struct session *session);
void ending_add_tunnel(struct ending *ending, struct tunnel *tunnel);
/* Everything of a worker, and its connection. */
void ending_add_worker(struct ending *ending, struct worker *worker);
/* Its connections too. */
void ending_add_device(struct ending *ending, struct device *device);
void ending_commit(struct ending *ending);

/* For worker_edge.c: the worker has answered; ERR_BAD_PEER when that is a lie. And: it is gone. */
[[nodiscard]] int ending_answered(struct worker *worker, uint32_t number, struct diag *diag);
void ending_worker_gone(struct worker *worker);
/* order_timer's callback. */
void ending_on_timer(uv_timer_t *timer);

#endif

/* courier.h: the room's parts.
 *
 * main.c       enter, lock the door, loop
 * edges.c      what monitor and broker say, and the answers
 * transfer.c   libcurl: one exchange with a stranger, within its bounds
 * fetch.c      what the broker wants to read
 * deliver.c    alerts, on their way: mail, webhooks, logs
 * message.c    what they look like
 * syslogger.c  lines to a log
 */
#ifndef SALLYPORT_COURIER_COURIER_H
#define SALLYPORT_COURIER_COURIER_H

#include <stdbool.h>

#include "room.h"
#include "sallyport/edge/broker_courier.h"
#include "deliver.h"
#include "transfer.h"

struct courier {
	struct room room;
	int broker; /* its edge; -1: there is none now */
	bool stopped;
	struct transfers transfers;
	struct deliveries deliveries;
	uint32_t generation; /* of brokers */
	uint8_t *space; /* for one frame */
	struct diag diag; /* of the last breach */
};

/* ---- edges.c ---- */
/* One frame each. 0, ERR_AGAIN when none waits; anything else: that edge is of no use any more. */
[[nodiscard]] int edges_take_monitor(struct courier *courier);
[[nodiscard]] int edges_take_broker(struct courier *courier);
/* Sends to the broker, waiting for a moment while its socket is full. Without a broker nothing happens. */
void edges_answer(struct courier *courier, unsigned type, const void *message, int fd);
#define ANSWER(courier, name_, fd, ...)                                      \
	edges_answer(courier, broker_courier_##name_##_type,                 \
		     &(struct broker_courier_##name_){__VA_ARGS__}, fd)

/* ---- fetch.c ---- */
[[nodiscard]] int fetch_begin(struct courier *courier, const struct broker_courier_fetch *message, struct diag *diag);

#endif

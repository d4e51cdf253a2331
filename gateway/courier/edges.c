/* edges.c: what the monitor and the broker say to the courier, and the answers.
 *
 * Counterparts: gateway/monitor/keepers.c and gateway/broker/courier_edge.c.
 */
#include <poll.h>
#include <unistd.h>

#include "courier.h"
#include "sallyport/fd.h"
#include "sallyport/log.h"
#include "sallyport/own.h"
#include "sallyport/wire.h"

enum { BROKER_PATIENCE_MS = 5000 };

/* ---- the monitor ---- */

/* The broker was started anew, and what the old one has asked for is nobody's: its numbers may mean another request now. */
static int on_descriptor(void *self, const struct monitor_room_descriptor *message, int *fd)
{
	struct courier *courier = self;
	if (!view_is(message->purpose, MONITOR_ROOM_PURPOSE_BROKER_EDGE))
		return diag_set(&courier->diag, ERR_BAD_PEER, "a descriptor that is no edge to a broker");
	if (courier->broker >= 0)
		close(courier->broker);
	transfers_forget(&courier->transfers);
	courier->deliveries.item_count = 0;
	courier->generation++;
	courier->broker = take_fd(fd);
	return fd_set_nonblocking(courier->broker);
}

static int on_stop(void *self, const struct monitor_room_stop *message, int *fd)
{
	(void)message, (void)fd;
	((struct courier *)self)->stopped = true;
	return 0;
}

static const struct monitor_room_handlers of_monitor = {.descriptor = on_descriptor, .stop = on_stop};

int edges_take_monitor(struct courier *courier)
{
	struct edge_frame frame;
	int result = wire_receive(courier->room.monitor, courier->space, EDGE_FRAME_MAX, &frame);
	return result < 0 ? result
			  : monitor_room_dispatch(&of_monitor, courier, EDGE_FROM_FIRST, courier->room.role, &frame, &courier->diag);
}

/* ---- the broker ---- */

static int on_fetch(void *self, const struct broker_courier_fetch *message, int *fd)
{
	struct courier *courier = self;
	(void)fd;
	return fetch_begin(courier, message, &courier->diag);
}

static int on_item(void *self, const struct broker_courier_item *message, int *fd)
{
	struct courier *courier = self;
	(void)fd;
	return deliver_take_item(courier, message, &courier->diag);
}

static int on_deliver(void *self, const struct broker_courier_deliver *message, int *fd)
{
	struct courier *courier = self;
	(void)fd;
	return deliver_begin(courier, message, &courier->diag);
}

static const struct broker_courier_handlers of_broker = {.fetch = on_fetch, .item = on_item, .deliver = on_deliver};

int edges_take_broker(struct courier *courier)
{
	struct edge_frame frame;
	int result = wire_receive(courier->broker, courier->space, EDGE_FRAME_MAX, &frame);
	return result < 0 ? result
			  : broker_courier_dispatch(&of_broker, courier, EDGE_FROM_FIRST, EDGE_ANY, &frame, &courier->diag);
}

static void wait_for_room(int socket)
{
	struct pollfd room = {.fd = socket, .events = POLLOUT};
	(void)poll(&room, 1, BROKER_PATIENCE_MS);
}

void edges_answer(struct courier *courier, unsigned type, const void *message, int fd)
{
	if (courier->broker < 0)
		return;
	int result = wire_send_message(courier->broker, &broker_courier_edge, type, message, fd);
	if (result == ERR_AGAIN) {
		wait_for_room(courier->broker);
		result = wire_send_message(courier->broker, &broker_courier_edge, type, message, fd);
	}
	/* The broker asks again: it forgets nothing that was not answered. */
	if (result < 0 && result != ERR_CLOSED)
		log_warning("an answer does not reach the broker (%s)", err_name(result));
}

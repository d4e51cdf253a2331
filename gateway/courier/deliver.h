/* deliver.h: one message for an alert's place. deliver.c. */
#ifndef SALLYPORT_COURIER_DELIVER_H
#define SALLYPORT_COURIER_DELIVER_H

#include "message.h"
#include "sallyport/alert.h"
#include "sallyport/edge/broker_courier.h"

struct courier;

/* An alert section, ready for use. */
struct deliver_place {
	struct alert alert; /* borrows from the settings */
	char name[ALERT_NAME_MAX + 1];
	char authority[4096];
	struct buf secret; /* without the line's end; wiped */
};

struct deliveries {
	struct deliver_place places[ALERTS_MAX];
	size_t place_count;
	struct message_item items[BROKER_COURIER_ITEMS_MAX]; /* since the last `deliver` */
	size_t item_count;
};

/* Takes the secrets that the monitor has sent. Before the door is locked. */
[[nodiscard]] int deliver_prepare(struct courier *courier, struct diag *diag);
[[nodiscard]] int deliver_take_item(struct courier *courier, const struct broker_courier_item *message, struct diag *diag);
[[nodiscard]] int deliver_begin(struct courier *courier, const struct broker_courier_deliver *message, struct diag *diag);
/* Messages of threads that have ended. */
void deliver_look(struct courier *courier);

#endif

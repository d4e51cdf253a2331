/* alert_outlet.h: of one alert section: the messages that are under way, how often there is one, what becomes of it.
 *
 * alert_desk.c keeps the list and says when to look; alert_outlet.c loads from the spool and hands to the courier.
 */
#ifndef SALLYPORT_BROKER_ALERT_OUTLET_H
#define SALLYPORT_BROKER_ALERT_OUTLET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "courier_edge.h"
#include "sallyport/alert.h"
#include "sallyport/edge/broker_courier.h"
#include "store.h"

struct broker;

struct alert_outlet {
	LIST_ENTRY(alert_outlet) all;
	struct broker *broker;
	char name[ALERT_NAME_MAX + 1];
	char quiet_hours[16];
	bool wants_store_trouble;
	uint64_t rate_count, rate_period_ms; /* at_most; 0: no limit */
	uint64_t tokens_ms;                  /* filled up to rate_period_ms; a message costs a rate_count-th of it */
	uint64_t filled_at_ms;
	bool pending; /* there may be something in the spool */
	bool busy;    /* being loaded, sent or written down */
	bool gone;    /* its section is; freed when it is not busy */
	bool urgent_only;
	unsigned limit;    /* rows of the next message */
	unsigned failures; /* in a row */
	uint64_t look_at_ms, urgent_at_ms;
	/* The message under way. */
	struct store_operation operation;
	struct courier_delivery delivery;
	struct courier_item items[BROKER_COURIER_ITEMS_MAX];
	int64_t repeats[BROKER_COURIER_ITEMS_MAX];
	size_t count;
	int64_t waiting;
	bool aside;
	char trouble[513];
};

LIST_HEAD(alert_outlets, alert_outlet);

/* One outlet for each section of the settings in force, with full measure: what waits goes out now. Those without a section are
 * freed, as soon as they are not busy. */
void alert_outlets_adjust(struct alert_outlets *outlets, struct broker *broker);
/* Something may be new in the spool. Whoever waits after a failure goes on waiting. */
void alert_outlets_wake(struct alert_outlets *outlets);
/* Sends what is due; often called. */
void alert_outlets_send(struct alert_outlets *outlets, uint64_t now_ms);

#endif

/* uplink.h: the connection to the gateway that stays: made when somebody needs it, made again when it is lost.
 *
 * Who needs the gateway waits here (struct uplink_waiter) and is handed the connection. When the network is away, the
 * eager are told at once and the patient when their time is over; attempts follow each other with growing, random
 * pauses, and at once when the network changes or the device wakes up. A connection that no longer answers keeps the
 * tunnels it carries for as long as the kernel has hope for it, while a new one takes what is new.
 *
 *      none --wanted--> connecting --> ready --silent or GOAWAY--> (retired beside a new one)
 *        ^                  |            |
 *        +----- pause <-----+--- lost ---+
 */
#ifndef CLIENT_UPLINK_H
#define CLIENT_UPLINK_H

#include "connection.h"

struct uplink;

enum uplink_patience {
	UPLINK_EAGER,   /* a person waits: the first failure counts */
	UPLINK_PATIENT, /* a program waits: it may take until the limit, once the gateway has been reached before */
};

/* Somebody who waits. Exactly one of the two handlers is called, once, perhaps before uplink_wait returns. */
struct uplink_waiter {
	enum uplink_patience patience;
	void (*on_ready)(struct uplink_waiter *waiter, struct connection *connection);
	void (*on_failed)(struct uplink_waiter *waiter, int status, const struct diag *diag);
	/* uplink's own */
	struct uplink_waiter *next;
	uint64_t limit_ms;
	bool waiting;
};

struct uplink_options {
	uv_loop_t *loop;
	const struct settings *settings;
	/* Is the connection wanted although nobody waits for it? */
	bool (*is_wanted)(void *owner);
	/* A sentence for whoever uses the tunnels: what was lost, what is back. */
	void (*on_note)(void *owner, const char *sentence);
	/* Whoever waits now has done so for a second: for what. */
	void (*on_wait)(void *owner, const char *sentence);
	/* The connection stands; `again`: another one has stood before. */
	void (*on_stands)(void *owner, bool again);
	/* The gateway (of several, each of them) says no to this device: nothing follows by itself. */
	void (*on_refused)(void *owner, int status, const struct diag *diag);
	void *owner;
};

[[nodiscard]] int uplink_open(const struct uplink_options *options, struct uplink **out_uplink, struct diag *diag);
/* Closes every connection at once: streams are told before it returns, waiters are told nothing. The memory goes with
 * the last handle. */
void uplink_close(struct uplink *uplink);

void uplink_wait(struct uplink *uplink, struct uplink_waiter *waiter);
/* Waits no longer; nothing is called. Harmless when it does not wait. */
void uplink_leave(struct uplink *uplink, struct uplink_waiter *waiter);
/* Somebody wants the connection now (is_wanted has become true): begins unless it is there. */
void uplink_wanted(struct uplink *uplink);
/* The network has changed, or the device was asleep: looks whether the connection lives, or tries anew at once. */
void uplink_look(struct uplink *uplink);

/* The device's certificate is another one now: what is new goes by a new connection; what the present one carries stays. */
void uplink_certificate_changed(struct uplink *uplink);
/* After so many tries, each of them refused by a gateway: is there one that was not asked? */
bool uplink_may_try_another(const struct uplink *uplink, unsigned tries);
const struct settings *uplink_settings(const struct uplink *uplink);
/* The connection that takes requests now, or NULL. */
struct connection *uplink_connection(const struct uplink *uplink);

/* For the report. */
struct uplink_state {
	const char *word;     /* "ready", "connecting", "waiting", "none" */
	char gateway[300];    /* the URL of the one in use, or of the one that is tried next */
	uint64_t since_ms;    /* of that word (clock_wall_ms) */
	uint64_t retry_in_ms; /* "waiting": until the next attempt */
	unsigned connections; /* how many have stood */
	size_t retired;
	const char *sentence; /* why the last one ended; may be empty */
};
void uplink_state(const struct uplink *uplink, struct uplink_state *out_state);

/* The pause before attempt number `failures` (1: after the first failure), before chance is added. Pure. */
uint64_t uplink_pause_ms(unsigned failures);

#endif

/* courier_edge.h: asks the courier: fetch this from elsewhere; tell that to somebody elsewhere.
 *
 *     fetch->url = "http://ca.example/list.crl";      texts and body stay until done
 *     fetch->size_limit = 1 << 20; fetch->time_limit_ms = 20000;
 *     fetch->done = on_list; fetch->context = self;
 *     courier_fetch(broker, fetch);
 *
 * The courier is there only when the configuration wants it: whoever fetches adds his key to keepers_want_courier
 * (gateway/monitor/keepers.c).
 */
#ifndef SALLYPORT_BROKER_COURIER_EDGE_H
#define SALLYPORT_BROKER_COURIER_EDGE_H

#include <stdbool.h>
#include <sys/queue.h>

#include "sallyport/buf.h"
#include "sallyport/err.h"

struct broker;
struct courier_edge;

[[nodiscard]] int courier_edge_new(struct broker *broker, struct diag *diag);
/* Takes over a new edge in place of the old one; what was asked on the old one has failed. */
void courier_connect(struct broker *broker, int fd);
bool courier_is_connected(const struct broker *broker);

/* One thing to fetch, in an object of the caller's that stays until done. http:// and https:// only. A GET follows up to
 * three redirects, never from https to http. Neither they nor a name lead to this machine or its link (loopback,
 * link-local, metadata); only a URL that spells such an address out. */
struct courier_fetch {
	LIST_ENTRY(courier_fetch) waiting;
	uint32_t number;     /* the edge's */
	uint64_t give_up_ms; /* the edge's */
	const char *url;
	bool post;                /* else GET */
	const char *content_type; /* of a POST */
	struct view body;         /* of a POST: BROKER_COURIER_BODY_MAX at most */
	uint64_t size_limit;      /* of the answer: BROKER_COURIER_ANSWER_MAX at most */
	uint32_t time_limit_ms;   /* over all: BROKER_COURIER_TIME_MAX_MS at most */
	bool unread;              /* no body: the caller hands `memory` on */
	int memory;               /* while `done` runs: the body, as sealed memory */
	/* Result 0: an answer came whole: its status (200: as wanted) and the body, which is borrowed for the call. Else
	 * ERR_TIMEOUT, ERR_SYSTEM (everything else; there may be no courier now) and a sentence. */
	void (*done)(struct courier_fetch *fetch, int result, unsigned status, struct view body, const struct diag *diag);
	void *context;
};
/* `done` may be called from inside when there is no courier or a text is too long. */
void courier_fetch(struct broker *broker, struct courier_fetch *fetch);
/* One message for an alert's place, in an object of the caller's that stays until done, with its items. */
struct courier_item {
	uint64_t id, at_ms, sequence;
	char event[65], code[65], device[65], user[257], address[65], detail[1024];
};
struct courier_delivery {
	LIST_ENTRY(courier_delivery) waiting;
	uint32_t number;     /* the edge's */
	uint64_t give_up_ms; /* the edge's */
	const char *alert;
	const struct courier_item *items;
	size_t count;  /* 1 to BROKER_COURIER_ITEMS_MAX */
	unsigned more; /* how many others wait */
	/* Result 0: the other side has it. ERR_DENIED: it refuses this message for what it says. ERR_TIMEOUT, ERR_SYSTEM:
	 * worth another try. */
	void (*done)(struct courier_delivery *delivery, int result, const struct diag *diag);
	void *context;
};
/* `done` may be called from inside when there is no courier. */
void courier_deliver(struct broker *broker, struct courier_delivery *delivery);

/* Forgets one that waits: `done` will not be called. */
void courier_fetch_cancel(struct courier_fetch *fetch);

#endif

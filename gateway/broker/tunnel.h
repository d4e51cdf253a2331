/* tunnel.h: one destination that was opened for a session: decided, recorded, resolved, dialed, handed over.
 *
 * Life: JUDGING -> RECORDING (the row is on its way to the disk) -> RESOLVING -> DIALING -> OPEN -> gone. In
 * memory are the live ones only; the store keeps all. Counterpart: gateway/worker/stream.c. Everything here runs on
 * the loop.
 */
#ifndef SALLYPORT_BROKER_TUNNEL_H
#define SALLYPORT_BROKER_TUNNEL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "map.h"
#include "sallyport/edge/worker_broker.h"
#include "store.h"
#include "traffic.h"

struct broker;
struct session;
struct worker;

enum tunnel_state { TUNNEL_JUDGING, TUNNEL_RECORDING, TUNNEL_RESOLVING, TUNNEL_DIALING, TUNNEL_OPEN };
const char *tunnel_state_name(enum tunnel_state state);

/* How it was authorised: by the session's token; by a browser's; by nothing but the portal's session (browser.h). */
enum tunnel_way { TUNNEL_BY_TOKEN, TUNNEL_BY_BROWSER_TOKEN, TUNNEL_BY_BROWSER_SESSION };
/* As in the record: "token" "browser_token" "browser_session"; and back, the first for anything else. */
const char *tunnel_way_name(enum tunnel_way way);
enum tunnel_way tunnel_way_named(const char *name);
/* "connect", or "request": one that the worker carries to the target. */
const char *tunnel_form_name(enum worker_broker_form form);
enum worker_broker_form tunnel_form_named(const char *name);

struct tunnel {
	LIST_ENTRY(tunnel) all, of_session, of_worker;
	struct map_entry by_id;
	uint64_t id;
	struct session *session;
	struct worker *worker;
	uint32_t request;
	uint16_t port;
	enum tunnel_state state;
	enum tunnel_way way;
	enum worker_broker_form form;
	char *host;       /* canonical */
	char *rule;       /* names, for the record */
	char *resource;
	char *address;    /* "10.1.2.3:443" once connected, else NULL */
	uint64_t opened_at_ms;
	uint64_t judge_at_ms; /* monotonic: when the policy is asked again at the latest */
	/* What will end it if nobody does anything (events.c). */
	uint64_t ends_at_ms;     /* monotonic */
	const char *ends_reason; /* a literal; NULL: nothing within a day */
	uint64_t idle_limit_ms;  /* 0: none */
	bool warned;
	uint64_t rate, rate_group; /* max_rate of the rule that allows it now, and which rule; 0: no limit */
	uint64_t rate_share;       /* what its worker was told for the group */
	int watch;            /* the socket to the target once more, for traffic_of; or -1 */
	struct traffic inherited; /* of it, when this broker took it over; zeros when it dialed itself */
	const char *end_reason;  /* a literal: it was ordered to end, this stands in the record; else NULL */
	struct opening *opening; /* until it is open */
};

LIST_HEAD(tunnel_list, tunnel);
struct tunnels {
	struct tunnel_list live; /* newest first */
	struct map ids;
	uint64_t last_id;
	unsigned live_count;
};

/* ---- reading: live ones are in memory: LIST_FOREACH(tunnel, &tunnels->live, all) ---- */

/* The record's rows, live and ended: at most TUNNEL_PAGE_MAX with an id above `after`, oldest first. The
 * rows are borrowed for the call. */
#define TUNNEL_PAGE_MAX 500
struct tunnel_row {
	uint64_t id, opened_at_ms, closed_at_ms; /* closed 0: live */
	uint64_t bytes_to_target, bytes_to_client;
	uint32_t port;
	const char *session, *device, *user, *rule, *resource, *host, *address, *close_reason, *connection, *request_id;
	const char *way, *form; /* names */
};
typedef void (*tunnel_page_done)(void *context, int result, const struct diag *diag, const struct tunnel_row *rows,
				 size_t count);
void tunnel_read(struct broker *broker, uint64_t after, unsigned limit, tunnel_page_done done, void *context);

/* ---- for the room itself ---- */

[[nodiscard]] int tunnels_load(struct broker *broker, struct diag *diag);

/* A worker asks: decide, record, resolve, check, dial, hand over. ERR_BAD_PEER for what no honest worker sends. */
[[nodiscard]] int tunnel_open(struct worker *worker, const struct worker_broker_open *message);
/* The client of that request no longer waits. */
void tunnel_open_cancelled(struct worker *worker, uint32_t request);
/* An open tunnel is over: the record's row is closed, memory forgets it. `reason` is copied; byte counts are
 * claims. */
void tunnel_close(struct tunnel *tunnel, const char *reason, uint64_t bytes_to_target, uint64_t bytes_to_client);
/* One that the broker before has opened: live again, and to be judged soon. `watch` (-1: none) is taken over; the row's
 * texts are copied. NULL without memory. */
struct tunnel *tunnel_inherit(struct worker *worker, struct session *session, uint32_t request, const struct tunnel_row *row,
			      int watch);
/* Gives up one that is not open yet. */
enum tunnel_tell { TUNNEL_TELL_NOBODY, TUNNEL_TELL_CLIENT };
void tunnel_abandon(struct tunnel *tunnel, const char *reason, enum tunnel_tell tell);
struct tunnel *tunnel_find(const struct tunnels *tunnels, uint64_t id);

#endif

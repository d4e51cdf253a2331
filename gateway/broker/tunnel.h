/* tunnel.h: one destination that was opened for a session: decided, recorded, resolved, dialed, handed over.
 *
 * Life: RECORDING (the row is on its way to the disk) -> RESOLVING -> DIALING -> OPEN -> gone. In memory are
 * the live ones only; the store keeps all. Counterpart: gateway/worker/stream.c. Everything here runs on
 * the loop.
 */
#ifndef SALLYPORT_BROKER_TUNNEL_H
#define SALLYPORT_BROKER_TUNNEL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "map.h"
#include "store.h"

struct broker;
struct session;
struct worker;

enum tunnel_state { TUNNEL_RECORDING, TUNNEL_RESOLVING, TUNNEL_DIALING, TUNNEL_OPEN, TUNNEL_CLOSING };
const char *tunnel_state_name(enum tunnel_state state);

struct dial;

struct tunnel {
	LIST_ENTRY(tunnel) all, of_session, of_worker;
	struct map_entry by_id;
	uint64_t id;
	struct session *session;
	struct worker *worker;
	uint32_t request;
	uint16_t port;
	enum tunnel_state state;
	bool abandoned;   /* the client no longer waits, or the session has ended: close it when you can */
	char *host;       /* canonical */
	char *rule;       /* names, for the record */
	char *resource;
	char *address;    /* "10.1.2.3:443" once connected, else NULL */
	uint64_t opened_at_ms;
	struct dial *dial; /* while RESOLVING or DIALING */
	const char *abandon_reason;
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
};
typedef void (*tunnel_page_done)(void *context, int result, const struct diag *diag, const struct tunnel_row *rows,
				 size_t count);
void tunnel_read(struct broker *broker, uint64_t after, unsigned limit, tunnel_page_done done, void *context);

#endif

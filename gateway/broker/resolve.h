/* resolve.h: names to addresses, by c-ares, never blocking the loop. */
#ifndef SALLYPORT_BROKER_RESOLVE_H
#define SALLYPORT_BROKER_RESOLVE_H

#include <sys/socket.h>
#include <uv.h>

#include "sallyport/err.h"

#define RESOLVE_ADDRESSES_MAX 16

struct resolver;

/* `servers` is a LIST of "ADDRESS" or "ADDRESS:PORT", one a line; empty: the system's (resolv.conf(5)). The
 * hosts file is asked first. `limit_ms` bounds one look-up altogether, however many servers are silent. */
[[nodiscard]] int resolver_new(uv_loop_t *loop, const char *servers, uint64_t limit_ms, struct resolver **out_resolver,
			       struct diag *diag);
/* Look-ups under way are dropped: their `done` is called with ERR_CLOSED from inside. NULL-safe. */
void resolver_free(struct resolver *resolver);

/* One look-up, in an object of the caller's that stays until `done`. Addresses have port 0 and stand in the
 * order of RFC 6724; IPv4-mapped ones are IPv4. */
struct resolve_query {
	void (*done)(struct resolve_query *query, int result); /* 0, ERR_NOT_FOUND, ERR_TIMEOUT, ERR_SYSTEM, ERR_CLOSED */
	void *context;
	struct sockaddr_storage addresses[RESOLVE_ADDRESSES_MAX];
	unsigned count;
};
/* `done` may be called from inside (hosts file). */
void resolver_look_up(struct resolver *resolver, const char *host, struct resolve_query *query);

#endif

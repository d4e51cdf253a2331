/* groups.h: which groups a user is in, by the name services (NSS), without blocking the loop. */
#ifndef SALLYPORT_BROKER_GROUPS_H
#define SALLYPORT_BROKER_GROUPS_H

#include <stddef.h>
#include <sys/queue.h>
#include <uv.h>

#include "sallyport/err.h"

/* How long an answer of the name services is used again. */
#define GROUPS_KEEP_MS 60000
#define GROUPS_MAX 1024
/* So many users are remembered, known to the name services or not. */
#define GROUPS_PEOPLE_MAX 4096

struct groups;

/* ERR_SYSTEM without memory. */
[[nodiscard]] int groups_new(uv_loop_t *loop, struct groups **out_groups);
/* Queries under way are called back from inside with ERR_CLOSED. NULL-safe. */
void groups_free(struct groups *groups);

/* One question, in an object of the caller's that stays until `done`. A user whom the name services do not know
 * is in no group: that is an answer, not an error. Names are borrowed for the call. `done` may be called from
 * inside groups_of. result: 0, ERR_SYSTEM (the name services failed, or GROUPS_PEOPLE_MAX are being asked about),
 * ERR_CLOSED. */
struct groups_query {
	void (*done)(struct groups_query *query, int result, const char *const *names, size_t count);
	void *context;
	STAILQ_ENTRY(groups_query) waiting; /* its own */
};
void groups_of(struct groups *groups, const char *user, struct groups_query *query);

#endif

/* cut.h: an admin ends what he points at: sessions or tunnels of a user, a device, a resource, or all.
 *
 * What fits is chosen at once, recorded, and then ended (ending.h); the answer counts it.
 */
#ifndef SALLYPORT_BROKER_CUT_H
#define SALLYPORT_BROKER_CUT_H

#include <stdbool.h>
#include <stdint.h>

#include "act.h"

struct broker;

/* What stands here must fit, all of it; at least one of them, or `all`. Borrowed for the call. */
struct cut {
	bool all;
	uint64_t tunnel; /* 0: any */
	const char *session, *user, *device, *resource; /* NULL: any; a session fits a resource when it has a tunnel to it */
};

void cut_sessions(struct broker *broker, const struct cut *cut, const struct act_by *by, act_done done, void *context);
/* ERR_NOT_FOUND when it names a tunnel that does not live. */
void cut_tunnels(struct broker *broker, const struct cut *cut, const struct act_by *by, act_done done, void *context);

#endif

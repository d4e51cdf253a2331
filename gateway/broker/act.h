/* act.h: what every act of an admin (and every ending) is given and answers with.
 *
 * An act is committed before its effect shows, and its `done` is called exactly once, on the loop, never
 * from inside the call that starts it: when all is over, that is, when every tunnel concerned is closed
 * (or its worker is being killed), at most end_grace after the commit.
 */
#ifndef SALLYPORT_BROKER_ACT_H
#define SALLYPORT_BROKER_ACT_H

#include "sallyport/buf.h"
#include "sallyport/err.h"

struct act_result {
	int result;       /* 0; ERR_NOT_FOUND, ERR_DENIED, ERR_BAD_INPUT, ERR_LIMIT, ERR_SYSTEM */
	struct diag diag; /* the sentence when result is not 0 */
	unsigned sessions_ended;
	unsigned tunnels_closed;
	struct view certificate; /* DER, of registry_add only; borrowed for the call */
	const char *line;        /* of invitation_create: it holds a secret; of invitation_approve: the code; borrowed for the call */
};

typedef void (*act_done)(void *context, const struct act_result *result);

/* Who asks for it, for the audit row: "root (uid 0)". Text for `user`, `address` is "admin". */
struct act_by {
	const char *admin;
};

#endif

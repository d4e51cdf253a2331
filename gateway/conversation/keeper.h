/* keeper.h: the part of a conversation that no module can reach: it ends it in time, with all that it started. */
#ifndef SALLYPORT_CONVERSATION_KEEPER_H
#define SALLYPORT_CONVERSATION_KEEPER_H

#include <stdint.h>

#include "sallyport/err.h"

/* What a keeper watches while the stack runs in a process of its own. */
struct keeper {
	int broker, monitor; /* whose end ends the conversation */
	uint64_t deadline_ms; /* clock_monotonic_ms; until the stack is over, or a session is open */
	int word;            /* the child's: by which it says that a session is open */
};

/* As root, before the walls: the next child begins a process namespace, whose processes all end with that child. */
[[nodiscard]] int keeper_prepare(struct diag *diag);

/* Forks. Returns 0 in the child, where the stack runs; the parent stays inside until that is over and leaves with the
 * child's status (EXIT_FAILURE when it was killed). A negative error when there is no child. */
[[nodiscard]] int keeper_split(struct keeper *keeper, struct diag *diag);

/* The child: a PAM session is open from now on. There is no deadline any more, and when somebody's end is seen, the stack
 * has longer to close it. */
void keeper_session_is_open(struct keeper *keeper);

#endif

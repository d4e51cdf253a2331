/* kept.h: the local ports that the agent keeps by itself, from `sallyport forward add` until `forward drop`; they come
 * back with the next agent.
 *
 * They stand in a file of the agent's folder, one a line: L, D or H, a space, and what the option says.
 */
#ifndef CLIENT_KEPT_H
#define CLIENT_KEPT_H

#include "agent.h"
#include "destination.h"

/* Opens what the file names; what cannot be opened is said in the log and stays in the file. */
void kept_restore(struct agent *agent);
[[nodiscard]] int kept_add(struct agent *agent, enum forward_kind kind, const char *text, struct diag *diag);
/* `text`: the local port, or all of what was added. STATUS_FAILED when there is none. */
[[nodiscard]] int kept_drop(struct agent *agent, const char *text, struct diag *diag);
/* "L", "D", "H" */
const char *kept_letter(enum forward_kind kind);

#endif

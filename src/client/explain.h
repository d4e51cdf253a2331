/* explain.h: what -v tells: each step on the way to the gateway, when it is taken, one sentence each.
 *
 * A command says it itself (main.c); the agent sends it to the commands that want it (visitor.c). Without either it goes
 * nowhere. No secret is in it.
 */
#ifndef CLIENT_EXPLAIN_H
#define CLIENT_EXPLAIN_H

#include <stdbool.h>

typedef void (*explain_sink)(void *owner, const char *sentence);

/* From now on sentences go there. NULL: nowhere. One for the whole program, as standard error is. */
void explain_to(explain_sink sink, void *owner);
bool explain_wanted(void);
[[gnu::format(printf, 1, 2)]] void explain(const char *format, ...);

#endif

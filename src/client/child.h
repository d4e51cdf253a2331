/* child.h: programs that the agent starts beside itself: this very program with a subcommand, or a helper of the desktop.
 * What they print goes to the agent's log. They end with the agent. */
#ifndef CLIENT_CHILD_H
#define CLIENT_CHILD_H

#include <stdbool.h>

struct agent;
struct child;

/* It has ended; `well`: with status 0. */
typedef void (*child_done_handler)(void *owner, bool well);

/* Starts `words[0]` (looked up in PATH) with the words after it, NULL at the end. on_done (may be NULL) is called once, and
 * not before this returns. False when it cannot be started; *out_child (may be NULL) is set otherwise. */
bool child_start(struct agent *agent, const char *const *words, child_done_handler on_done, void *owner,
		 struct child **out_child);
/* The same with this program, the agent's own settings and those words. */
bool child_start_self(struct agent *agent, const char *const *words, child_done_handler on_done, void *owner,
		      struct child **out_child);
/* Asks it to end. on_done follows. */
void child_stop(struct child *child);
/* The agent ends: every child is asked to, and nobody is told. */
void child_stop_all(struct agent *agent);

/* Says it on the desktop (notify-send(1)), where there is one. */
void child_notify(struct agent *agent, const char *title, const char *text);

#endif

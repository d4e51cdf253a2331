/* signals.h: the signals that end the program, taken as events.
 *
 * They are blocked and read from a signalfd(2), so that whoever waits (a prompt, the loop) sees them at a
 * point where it can clean up: restore the terminal, cancel the login, close the tunnels.
 */
#ifndef CLIENT_SIGNALS_H
#define CLIENT_SIGNALS_H

#include <signal.h>

#include "status.h"

/* Blocks SIGINT, SIGTERM, SIGHUP and SIGQUIT (those that are not ignored already), ignores SIGPIPE. */
[[nodiscard]] int signals_open(struct diag *diag);
/* Readable when one waits; -1 before signals_open. */
int signals_fd(void);
/* Takes those that wait; returns the first one that was ever caught, 0 when none. */
int signals_caught(void);
/* Takes one that waits, without counting it as caught: it is somebody else's to obey. 0 when none. */
int signals_taken(void);
/* Waits that long; STATUS_SIGNAL when a signal came first. */
[[nodiscard]] int signals_pause(int duration_ms);
/* The mask that children must start with. */
const sigset_t *signals_original_mask(void);
/* Ends this process by that signal, so that the shell sees what happened. */
[[noreturn]] void signals_die(int signal_number);

#endif

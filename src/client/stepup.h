/* stepup.h: a tunnel needs a fresh login in the middle of the work: the user is asked in a window (`sallyport login --fresh`
 * by the helper that the environment names), while all else flows; then the tunnel is asked for again.
 *
 * Several tunnels wait for one login. Where nobody can be asked, or who was asked said no a moment ago, nothing begins:
 * the refusal's own sentence says what to do.
 */
#ifndef CLIENT_STEPUP_H
#define CLIENT_STEPUP_H

#include <stdbool.h>
#include <stdint.h>

#include "destination.h"

struct agent;

/* Somebody who waits for it. on_stepped is called once, unless stepup_leave comes first; `fresh`: ask again. */
struct stepup_waiter {
	void (*on_stepped)(struct stepup_waiter *waiter, bool fresh);
	struct stepup_waiter *next; /* stepup's own */
	bool waiting;
};

/* Part of struct agent; zero is its beginning. */
struct stepup {
	struct stepup_waiter *first, *told; /* who waits, and who is about to be told */
	struct child *login;
	uint64_t begun_ms;
	uint64_t again_ms; /* not before this somebody is asked again */
};

/* False: nobody can be asked now; the waiter is told nothing. */
bool stepup_wait(struct agent *agent, const struct destination *destination, struct stepup_waiter *waiter);
/* Who was asked and does not answer is asked no longer; to be called every few seconds. */
void stepup_look(struct agent *agent);
/* Waits no longer. Harmless when it does not wait. */
void stepup_leave(struct agent *agent, struct stepup_waiter *waiter);

#endif

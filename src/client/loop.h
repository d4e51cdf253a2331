/* loop.h: the event loop of a command, and waiting on it in a straight line.
 *
 * A command reads as steps; each step that needs the network waits here until its condition holds. Signals
 * end every wait, so that each command cleans up at its own place.
 */
#ifndef CLIENT_LOOP_H
#define CLIENT_LOOP_H

#include <stdbool.h>
#include <uv.h>

#include "status.h"

struct loop {
	uv_loop_t uv;
	uv_poll_t signals;
	uv_timer_t limit;
	bool out_of_time;
	uv_prepare_t look; /* the last before the loop sleeps */
	bool (*is_done)(const void *subject);
	const void *subject;
};

[[nodiscard]] int loop_init(struct loop *loop, struct diag *diag);
/* Runs what closing handles still have to say, then ends the loop. Every handle must be closing. */
void loop_fini(struct loop *loop);

/* Waits until is_done(subject). STATUS_OK then, STATUS_SIGNAL when a signal came first. */
[[nodiscard]] int loop_wait(struct loop *loop, bool (*is_done)(const void *subject), const void *subject);
/* Waits that long; STATUS_SIGNAL when a signal came first. */
[[nodiscard]] int loop_pause(struct loop *loop, uint64_t duration_ms);
/* As loop_wait for a farewell that must not take long: signals do not end it, the time limit does. Returns
 * whether the condition holds. */
bool loop_wait_briefly(struct loop *loop, uint64_t limit_ms, bool (*is_done)(const void *subject),
		       const void *subject);

#endif

/* loop.h: the monitor's event loop: descriptors that can be read, and one tick. epoll(7). */
#ifndef SALLYPORT_MONITOR_LOOP_H
#define SALLYPORT_MONITOR_LOOP_H

#include <stdbool.h>

#include "sallyport/err.h"

struct watch {
	int fd;
	void (*on_readable)(struct watch *watch, void *monitor);
	void *owner;
};

struct loop {
	int epoll;
	bool stopping;
};

[[nodiscard]] int loop_init(struct loop *loop, struct diag *diag);
/* The watch must stay where it is until loop_forget. */
[[nodiscard]] int loop_watch(struct loop *loop, struct watch *watch);
/* Before its descriptor is closed. A watch that is forgotten inside a round is not called in that round. */
void loop_forget(struct loop *loop, struct watch *watch);
/* One round: waits up to wait_ms (-1: for ever) and calls who is readable. */
void loop_turn(struct loop *loop, int wait_ms, void *monitor);

#endif

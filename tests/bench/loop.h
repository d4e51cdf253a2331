/* loop.h: an event loop on epoll, one per program.
 *
 * A watch is embedded in the object that owns the descriptor. Memory of an object that may still have an
 * event in the present batch is given to loop_bury, which frees it when the batch is over.
 */
#ifndef BENCH_LOOP_H
#define BENCH_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

struct watch {
	int fd; /* -1 when not watched */
	uint32_t events;
	void (*ready)(struct watch *watch, uint32_t events);
};

/* The object of type `type` whose member `member` the watch is. */
#define OWNER_OF(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* Ends the program when the loop runs longer than this in all; 0 is without end. */
void loop_set_time_limit(unsigned seconds);
void loop_watch(struct watch *watch, int fd, uint32_t events);
/* Sets the events that are waited for; free of cost when they stay the same. */
void loop_change(struct watch *watch, uint32_t events);
/* Closes the descriptor and forgets the watch. */
void loop_close(struct watch *watch);
void loop_bury(void *memory);
/* Serves events until done(self) is true, which is asked before each wait; NULL is never. */
void loop_until(bool (*done)(void *self), void *self);
/* Nanoseconds of the monotonic clock. */
uint64_t now_ns(void);

#endif

/* window.h: how much the other side may send ahead on one tunnel: as much as fits on the way (the bandwidth-delay
 * product), found by looking how fast what was allowed has come. Used alike by the worker and the client. Pure.
 *
 * Only what has left for the near side counts: a target that does not read never makes its window grow. All windows of a
 * connection grow out of one `spare`, so that their memory has a bound together.
 */
#ifndef SALLYPORT_WINDOW_H
#define SALLYPORT_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 1 Gbit/s over 130 ms: what has left is told when it is half a window, so half of it must fit on the way. What a reader
 * that has stopped leaves in memory, at most. */
enum { WINDOW_LARGEST_BYTES = 32 * 1024 * 1024 };

struct window {
	uint32_t first, size; /* what was allowed at the beginning, and at the moment */
	size_t consumed;      /* since `begun_ms` */
	uint64_t begun_ms;
};

void window_init(struct window *window, uint32_t first_bytes, uint64_t now_ms);
/* Counts; true when half a window has been consumed: then window_judge is due. */
bool window_consumed(struct window *window, size_t size);
/* The window doubles when that half took less than a round trip (then it held the sender back, or soon will) and the
 * spare allows it. Returns the new size, or 0 when it stays. Begins to count anew. */
uint32_t window_judge(struct window *window, uint64_t now_ms, uint64_t round_trip_us, uint64_t *spare_bytes);
/* At the tunnel's end: what it has grown by is others' again. Harmless before window_init, and twice. */
void window_fini(struct window *window, uint64_t *spare_bytes);

#endif

/* window.h: how much the gateway may send ahead on one tunnel: as much as fits on the way (the bandwidth-delay
 * product), found by looking how fast what was allowed has come. Pure. */
#ifndef CLIENT_WINDOW_H
#define CLIENT_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	WINDOW_FIRST_BYTES = 1024 * 1024,
	/* 1 Gbit/s over 130 ms. What a local reader that has stopped leaves in memory, at most. */
	WINDOW_LARGEST_BYTES = 16 * 1024 * 1024,
};

struct window {
	uint32_t size;    /* what is allowed at the moment */
	size_t consumed;  /* since `begun_ms` */
	uint64_t begun_ms;
};

void window_init(struct window *window, uint64_t now_ms);
/* Counts; true when half a window has been consumed: then window_judge is due. */
bool window_consumed(struct window *window, size_t size);
/* The window grows when that half took less than a round trip: then it held the sender back, or soon will. Returns the new size, or 0
 * when it stays. Begins to count anew. */
uint32_t window_judge(struct window *window, uint64_t now_ms, uint64_t round_trip_us);

#endif

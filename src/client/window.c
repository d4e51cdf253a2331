/* window.c: how much the gateway may send ahead on one tunnel. */
#include "window.h"

void window_init(struct window *window, uint64_t now_ms)
{
	*window = (struct window){.size = WINDOW_FIRST_BYTES, .begun_ms = now_ms};
}

bool window_consumed(struct window *window, size_t size)
{
	window->consumed += size;
	return window->consumed >= window->size / 2;
}

uint32_t window_judge(struct window *window, uint64_t now_ms, uint64_t round_trip_us)
{
	/* On a short way the clock's milliseconds are coarse; there a megabyte is enough anyway. */
	bool held_back = (now_ms - window->begun_ms) * 1000 < round_trip_us;
	window->consumed = 0;
	window->begun_ms = now_ms;
	if (!held_back || window->size >= WINDOW_LARGEST_BYTES)
		return 0;
	window->size *= 2;
	return window->size;
}

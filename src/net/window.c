/* window.c: how much the other side may send ahead on one tunnel. */
#include "sallyport/window.h"

void window_init(struct window *window, uint32_t first_bytes, uint64_t now_ms)
{
	*window = (struct window){.first = first_bytes, .size = first_bytes, .begun_ms = now_ms};
}

bool window_consumed(struct window *window, size_t size)
{
	window->consumed += size;
	return window->consumed >= window->size / 2;
}

uint32_t window_judge(struct window *window, uint64_t now_ms, uint64_t round_trip_us, uint64_t *spare_bytes)
{
	/* On a short way the clock's milliseconds are coarse; there the first window is enough anyway. */
	bool held_back = (now_ms - window->begun_ms) * 1000 < round_trip_us;
	window->consumed = 0;
	window->begun_ms = now_ms;
	if (!held_back || window->size > WINDOW_LARGEST_BYTES / 2 || window->size > *spare_bytes)
		return 0;
	*spare_bytes -= window->size;
	window->size *= 2;
	return window->size;
}

void window_fini(struct window *window, uint64_t *spare_bytes)
{
	*spare_bytes += window->size - window->first;
	window->size = window->first;
}

/* clock.c: the two clocks. */
#include "sallyport/clock.h"

#include <time.h>

static uint64_t read_clock_ms(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t clock_monotonic_ms(void)
{
	return read_clock_ms(CLOCK_BOOTTIME);
}

uint64_t clock_wall_ms(void)
{
	return read_clock_ms(CLOCK_REALTIME);
}

void clock_format(uint64_t wall_ms, char *out_text, size_t capacity)
{
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm parts;
	if (!gmtime_r(&seconds, &parts) || strftime(out_text, capacity, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
		out_text[0] = 0;
}

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

int clock_parse(const char *text, uint64_t *out_wall_ms)
{
	struct tm time = {.tm_isdst = 0};
	const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &time);
	time_t seconds = end && !*end ? timegm(&time) : -1;
	if (seconds < 0)
		return ERR_BAD_INPUT;
	*out_wall_ms = (uint64_t)seconds * 1000;
	return 0;
}

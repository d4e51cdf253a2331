/* clock.c: the two clocks. */
#include "sallyport/clock.h"

#include <stdio.h>
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

/* Not by strftime: its names of days and months are the locale's. */
void clock_format_http(uint64_t wall_ms, char *out_text, size_t capacity)
{
	static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm parts;
	if (!gmtime_r(&seconds, &parts))
		out_text[0] = 0;
	else
		snprintf(out_text, capacity, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[parts.tm_wday], parts.tm_mday, months[parts.tm_mon],
			 parts.tm_year + 1900, parts.tm_hour, parts.tm_min, parts.tm_sec);
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

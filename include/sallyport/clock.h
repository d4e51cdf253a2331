/* clock.h: the two clocks. Deadlines use the monotonic one, records the wall clock. */
#ifndef SALLYPORT_CLOCK_H
#define SALLYPORT_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#include "sallyport/err.h"

/* Milliseconds of CLOCK_BOOTTIME: goes on during sleep, never back. */
uint64_t clock_monotonic_ms(void);
/* Milliseconds since 1970-01-01 UTC. */
uint64_t clock_wall_ms(void);
/* "2026-11-23T21:16:05Z" (RFC 3339); capacity at least 21. */
void clock_format(uint64_t wall_ms, char *out_text, size_t capacity);

/* "Mon, 23 Nov 2026 21:16:05 GMT" (RFC 9110 5.6.7); capacity at least 30. */
void clock_format_http(uint64_t wall_ms, char *out_text, size_t capacity);

/* The form of clock_format and no other. ERR_BAD_INPUT. */
[[nodiscard]] int clock_parse(const char *text, uint64_t *out_wall_ms);

#endif

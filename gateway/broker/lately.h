/* lately.h: how often something happened within the last hour, by its kind. Pure: time comes from the caller.
 *
 * Kept in pieces of five minutes, so the hour is between 55 and 60 minutes long.
 */
#ifndef SALLYPORT_BROKER_LATELY_H
#define SALLYPORT_BROKER_LATELY_H

#include <stdint.h>

#define LATELY_KINDS 32
#define LATELY_PIECES 12
#define LATELY_MS (60 * 60 * 1000)

struct lately {
	struct {
		uint64_t number; /* of the piece, since the clock began; one more, so that 0 is none */
		uint32_t counts[LATELY_KINDS];
	} pieces[LATELY_PIECES];
};

/* By the clock that nobody can set. */
void lately_add(struct lately *lately, unsigned kind, uint64_t monotonic_ms);
uint64_t lately_count(const struct lately *lately, unsigned kind, uint64_t monotonic_ms);

#endif

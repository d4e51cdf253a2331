/* lately.c: a ring of five minutes each; what is older than an hour is written over. See lately.h. */
#include "lately.h"

#include <string.h>

static uint64_t number_at(uint64_t monotonic_ms)
{
	return monotonic_ms / (LATELY_MS / LATELY_PIECES) + 1;
}

void lately_add(struct lately *lately, unsigned kind, uint64_t monotonic_ms)
{
	uint64_t number = number_at(monotonic_ms);
	unsigned place = number % LATELY_PIECES;
	if (kind >= LATELY_KINDS)
		return;
	if (lately->pieces[place].number != number) {
		memset(&lately->pieces[place], 0, sizeof(lately->pieces[place]));
		lately->pieces[place].number = number;
	}
	lately->pieces[place].counts[kind]++;
}

uint64_t lately_count(const struct lately *lately, unsigned kind, uint64_t monotonic_ms)
{
	uint64_t number = number_at(monotonic_ms), sum = 0;
	for (unsigned i = 0; kind < LATELY_KINDS && i < LATELY_PIECES; i++)
		if (lately->pieces[i].number && lately->pieces[i].number + LATELY_PIECES > number)
			sum += lately->pieces[i].counts[kind];
	return sum;
}

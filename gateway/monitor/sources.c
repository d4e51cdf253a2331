/* sources.c: the decision whom to drop before door one. */
#include "sources.h"

bool sources_drop(uint64_t unauthenticated, uint64_t start, uint64_t full, uint32_t dice)
{
	if (unauthenticated < start)
		return false;
	if (unauthenticated >= full)
		return true;
	/* From 30 in 100 at `start` up to all at `full`. */
	uint64_t above = unauthenticated - start, room = full - start;
	uint64_t percent = 30 + 70 * above / room;
	return dice % 100 < percent;
}

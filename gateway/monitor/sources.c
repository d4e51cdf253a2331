/* sources.c: the decision whom to drop before door one, and how often something may be done. */
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

bool sources_take(struct sources_bucket *bucket, uint64_t most, uint64_t per_second, uint64_t now_ms)
{
	uint64_t now = now_ms > bucket->at_ms ? now_ms : bucket->at_ms, passed = now - bucket->at_ms;
	uint64_t price = 1000 / per_second;
	bucket->spent_ms = bucket->spent_ms > passed ? bucket->spent_ms - passed : 0;
	bucket->at_ms = now;
	if (bucket->spent_ms + price > most * price)
		return false;
	bucket->spent_ms += price;
	return true;
}

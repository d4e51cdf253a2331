/* sources.h: who may connect before door one: random early drop, and buckets of tokens. Pure functions. */
#ifndef SALLYPORT_MONITOR_SOURCES_H
#define SALLYPORT_MONITOR_SOURCES_H

#include <stdbool.h>
#include <stdint.h>

/* Random early drop, as sshd's MaxStartups (sshd_config(5)): none below `start`, all from `full` on, in between with
 * a probability that grows evenly. `dice` is a uniform random number. */
bool sources_drop(uint64_t unauthenticated, uint64_t start, uint64_t full, uint32_t dice);

/* A bucket of tokens: `most` at once, `per_second` in the long run. Zeroed memory is a full bucket. */
struct sources_bucket {
	uint64_t spent_ms, at_ms; /* what of its contents was spent, as the time that refilling takes; and since when */
};

/* Takes one; false when there is none. Time that runs backwards refills nothing. */
bool sources_take(struct sources_bucket *bucket, uint64_t most, uint64_t per_second, uint64_t now_ms);

#endif

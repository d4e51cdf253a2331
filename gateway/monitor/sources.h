/* sources.h: who may connect before door one: the cap on unauthenticated connections. Pure functions. */
#ifndef SALLYPORT_MONITOR_SOURCES_H
#define SALLYPORT_MONITOR_SOURCES_H

#include <stdbool.h>
#include <stdint.h>

/* Random early drop, as sshd's MaxStartups (sshd_config(5)): none below `start`, all from `full` on, in between with
 * a probability that grows evenly. `dice` is a uniform random number. */
bool sources_drop(uint64_t unauthenticated, uint64_t start, uint64_t full, uint32_t dice);

#endif

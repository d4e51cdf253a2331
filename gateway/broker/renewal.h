/* renewal.h: a device asks for its next certificate. */
#ifndef SALLYPORT_BROKER_RENEWAL_H
#define SALLYPORT_BROKER_RENEWAL_H

#include "sallyport/edge/worker_broker.h"

struct worker;

/* Answered once: `certificate` or `problem`. ERR_BAD_PEER for what is not text. */
[[nodiscard]] int renewal_asked(struct worker *worker, const struct worker_broker_renew *message);

#endif

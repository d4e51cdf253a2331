/* enrolment.h: a laptop with an invitation asks for its first certificate. */
#ifndef SALLYPORT_BROKER_ENROLMENT_H
#define SALLYPORT_BROKER_ENROLMENT_H

#include "sallyport/edge/worker_broker.h"

struct worker;

/* Answered once: `certificate`, `pending` or `problem`. ERR_BAD_PEER for what is not text. */
[[nodiscard]] int enrolment_asked(struct worker *worker, const struct worker_broker_enroll *message);

#endif

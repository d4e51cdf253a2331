/* revocations.h: the published list of revoked certificates (CRL): for others; door one asks the registry. */
#ifndef SALLYPORT_BROKER_REVOCATIONS_H
#define SALLYPORT_BROKER_REVOCATIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "sallyport/buf.h"
#include "sallyport/edge/worker_broker.h"

struct broker;
struct worker;
struct revocations_wait;

struct revocations {
	struct buf list; /* DER; empty before the first */
	uint64_t made_at_ms;
	uint64_t number;   /* of the list; grows */
	uint64_t revision; /* of the registry that it was made from */
	bool asked;        /* the signer is at it */
	LIST_HEAD(, revocations_wait) waiting;
};

/* A worker wants it: answered at once while it is fresh, else when the signer has made it. */
void revocations_asked(struct worker *worker, const struct worker_broker_revocations *message);
/* The signer's answer; empty when it could not. */
void revocations_made(struct broker *broker, struct view list);
/* Something was revoked or superseded. */
void revocations_changed(struct broker *broker);

#endif

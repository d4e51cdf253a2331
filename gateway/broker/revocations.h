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
	int list; /* DER, in memory that nobody can change; -1: there is none */
	uint32_t size;
	struct buf coming;  /* from the signer */
	bool too_many;      /* more than a list holds */
	uint64_t made_at_ms; /* 0: it must be made anew */
	uint64_t number;   /* of the list; grows */
	uint64_t revision, asked_revision; /* grows with the registry; what the list that is made knows */
	bool asked;        /* the signer is at it */
	LIST_HEAD(, revocations_wait) waiting;
};

/* A worker wants it: answered at once while it is fresh, else when the signer has made it. */
void revocations_asked(struct worker *worker, const struct worker_broker_revocations *message);
/* A piece of the signer's answer; all of it empty when it could not. ERR_BAD_PEER. */
[[nodiscard]] int revocations_piece(struct broker *broker, struct view piece, bool last);
void revocations_lost_signer(struct broker *broker);
/* A sentence when nothing can be published, else "". */
const char *revocations_trouble(const struct broker *broker);
/* Something was revoked or superseded. */
void revocations_changed(struct broker *broker);

#endif

/* door_one.h: is this device known, active, and was its key proven? */
#ifndef SALLYPORT_BROKER_DOOR_ONE_H
#define SALLYPORT_BROKER_DOOR_ONE_H

#include <stdbool.h>
#include <stdint.h>

#include "sallyport/edge/worker_broker.h"

struct broker;
struct worker;

/* The worker's client has shown a leaf; or the worker has refused it by itself. */
[[nodiscard]] int door_one_peer(struct worker *worker, const struct worker_broker_peer *message);
[[nodiscard]] int door_one_peer_refused(struct worker *worker, const struct worker_broker_peer_refused *message);
/* The signer's verdict on a worker's proof. */
void door_one_verified(struct broker *broker, uint64_t worker, bool good, const char *reason);
/* The signer is gone, and the proofs with it. */
/* Whatever was asked about its certificate elsewhere has an answer, or will have none (ocsp.c). */
void door_one_checked(struct worker *worker);
void door_one_lost_signer(struct broker *broker);
/* Shut: recorded, then told. The code is a literal or lives as long as the call. */
void door_one_reject(struct worker *worker, const char *code, const char *detail);

#endif

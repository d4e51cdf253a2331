/* renewal_approval.h: where enrolments need an approval, a renewal after the certificate's end needs one too. */
#ifndef SALLYPORT_BROKER_RENEWAL_APPROVAL_H
#define SALLYPORT_BROKER_RENEWAL_APPROVAL_H

#include "invitation.h"
#include "issuance.h"
#include "sallyport/edge/worker_broker.h"

struct worker;

/* The approved one for this device and key, which is then the caller's to use up. NULL: the worker is told to come again. */
struct invitation *renewal_approval(struct worker *worker, uint32_t request, const struct issuance_key *key);

#endif

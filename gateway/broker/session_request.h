/* session_request.h: what a worker may ask about a session; and how a login becomes one. */
#ifndef SALLYPORT_BROKER_SESSION_REQUEST_H
#define SALLYPORT_BROKER_SESSION_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "sallyport/buf.h"
#include "sallyport/edge/worker_broker.h"

struct link;
struct policy_facts;
struct session;
struct worker;

void session_on_get(struct worker *worker, const struct worker_broker_session_get *message);
void session_on_renew(struct worker *worker, const struct worker_broker_session_renew *message);
void session_on_end(struct worker *worker, const struct worker_broker_session_end *message);
void session_on_resources(struct worker *worker, const struct worker_broker_resources *message);

/* The live session of this token on this worker's device; NULL when there is none: then the request has
 * been refused, with `status` (401, or 407 for CONNECT) and the event's name in the record. */
struct session *session_of_request(struct worker *worker, uint32_t request, struct view token, uint32_t status,
				   const char *event);
/* The same for one that was found otherwise; NULL: none was. */
struct session *session_admit(struct worker *worker, uint32_t request, struct session *session, uint32_t status, const char *event);

/* The resource_items of a request: what the user may reach, and what is missing for the rest. */
void session_send_resources(struct worker *worker, uint32_t request, const struct policy_facts *facts);

/* The same and their end, once the facts of that session are there. */
void session_answer_resources(struct worker *worker, uint32_t request, struct session *session);

/* Door two is open: the session is recorded, then the worker is told (resources first, then the token). The wish is copied. */
struct session_wish {
	const char *user;
	const char *realm; /* that let him in */
	bool portal;       /* a browser wishes it, at the portal */
	bool with_factor;  /* his second factor was given */
	struct link *pam_session; /* the process of his open PAM session, taken over; NULL: none */
};
void session_grant(struct worker *worker, uint32_t request, const struct session_wish *wish);

#endif

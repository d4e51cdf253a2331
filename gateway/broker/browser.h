/* browser.h: what a browser shows instead of a session's token, which browsers cannot send to a proxy.
 *
 * A browser token stands for one session of one device, for proxy requests only; the portal shows it, and the person gives
 * it to the browser's own dialogue. Where the realm has `browser`, a proxy request with nothing at all counts for the one
 * person whose session the portal has opened on this device. Whose it is is never guessed.
 */
#ifndef SALLYPORT_BROKER_BROWSER_H
#define SALLYPORT_BROKER_BROWSER_H

#include <stdbool.h>
#include <stdint.h>

#include "sallyport/buf.h"
#include "sallyport/edge/worker_broker.h"
#include "tunnel.h"

struct broker;
struct session;
struct worker;

/* Whether the session's realm lets a browser in by it, without a token. */
bool browser_is_allowed(const struct broker *broker, const struct session *session);

/* What a proxy request shows. */
struct browser_claim {
	struct view token; /* empty: nothing */
	struct view user;  /* of Basic; empty: none */
	uint32_t status;   /* of a refusal: 407, or 401 */
	const char *event; /* in the record */
};
/* The live session of this worker's device that it stands for, and how; NULL when the request has been refused. */
struct session *browser_session(struct worker *worker, uint32_t request, const struct browser_claim *claim,
				enum tunnel_way *out_way);

void browser_on_token(struct worker *worker, const struct worker_broker_browser_token *message);
void browser_on_script(struct worker *worker, const struct worker_broker_proxy_script *message);

#endif

/* routes.h: which paths there are, for whom, and what a request to each must bring. To add one, add a row in routes.c. */
#ifndef SALLYPORT_WORKER_ROUTES_H
#define SALLYPORT_WORKER_ROUTES_H

#include "worker.h"

enum body_rule { NO_BODY, JSON_BODY, PKCS10_BODY };
enum token_rule { NO_TOKEN, WITH_TOKEN, PERHAPS_TOKEN, BASIC };

/* Where and for whom a route exists. */
enum door {
	MAIN = 1 << 0,      /* an accepted device */
	RETURNING = 1 << 1, /* a device whose certificate has expired */
	ENROLMENT = 1 << 2, /* the enrolment listener */
	HOST = 1 << 3,      /* an internal host */
};

struct route {
	unsigned doors;
	const char *method, *path; /* a path that ends in '/' goes on with the id of a conversation */
	enum body_rule body;
	enum token_rule token; /* WITH_TOKEN: the browser's cookie will do (browser.h); PERHAPS_TOKEN: and nothing, too */
	void (*serve)(struct exchange *exchange);
};

enum door routes_door(const struct client *client);
/* The route; or NULL with the methods that the path knows in exchange->allow ("" for an unknown path). */
const struct route *routes_find(struct exchange *exchange, const struct http_request *request);

#endif

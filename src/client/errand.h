/* errand.h: a request to the gateway that waits for the connection, and is sent again when the connection is lost
 * before the answer and sending it twice does no harm. */
#ifndef CLIENT_ERRAND_H
#define CLIENT_ERRAND_H

#include "api.h"
#include "uplink.h"

struct errand;

struct errand_result {
	int status; /* STATUS_OK after 2xx */
	struct diag diag;
	struct view body;
	const struct refused *refused; /* how the gateway refused; NULL unless it did */
	const char *gateway;           /* that was asked ("host:port"); empty: none was */
};
/* Called once; the errand is gone afterwards. */
typedef void (*errand_done_handler)(void *owner, const struct errand_result *result);

/* Copies the request. on_done may be called before it returns; *out_errand is set before. */
[[nodiscard]] int errand_start(struct uplink *uplink, const struct api_request *request, errand_done_handler on_done,
			       void *owner, struct errand **out_errand, struct diag *diag);
/* The owner goes: nobody is told. NULL is allowed. */
void errand_drop(struct errand *errand);

#endif

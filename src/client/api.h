/* api.h: JSON requests on the connection, and their answers. */
#ifndef CLIENT_API_H
#define CLIENT_API_H

#include "connection.h"
#include "loop.h"
#include "problem.h"

struct api_request {
	const char *method; /* "GET" */
	const char *path;   /* "/v1/session" */
	const char *token;  /* NULL: without */
	/* For the agent and client_call: with the stored session of the gateway that is asked, instead of `token`; and at that
	 * gateway ("host:port") or at none. NULL: any. */
	bool with_session;
	const char *only_at;
	struct view body;   /* JSON unless content_type says otherwise; or empty */
	const char *content_type;  /* NULL: application/json */
	const char *authorization; /* the whole header, instead of a token; NULL: none */
};

/* One request on its way. */
struct api_call;
/* The answer is there, or will never be (api_call_result). */
typedef void (*api_done_handler)(struct api_call *call, void *owner);

[[nodiscard]] int api_start(struct connection *connection, const struct api_request *request, api_done_handler on_done,
			    void *owner, struct api_call **out_call, struct diag *diag);
bool api_is_done(const struct api_call *call);
/* STATUS_OK after 2xx; else the status and sentence of the refusal, or of the connection's end. */
int api_result(const struct api_call *call, struct diag *out_diag);
/* Valid as long as the call. */
struct view api_body(const struct api_call *call);
/* The status of a good answer, and after how many seconds to ask again (0: not said). */
unsigned api_http_status(const struct api_call *call, unsigned *out_retry_after_s);
/* How the gateway refused; NULL unless it did. */
const struct refused *api_refused(const struct api_call *call);
/* Drops the call, whether done or not; wipes what was received. NULL is allowed. */
void api_free(struct api_call *call);

/* The same in a straight line: sends, waits, appends the body of a good answer to `out_body` (NULL: not
 * wanted). STATUS_SIGNAL when a signal came first. `out_refused` may be NULL. */
[[nodiscard]] int api_call(struct loop *loop, struct connection *connection, const struct api_request *request,
			   struct buf *out_body, struct refused *out_refused, struct diag *diag);
/* A farewell: sends, waits for a short time, whatever signals come. True when it was answered with 2xx. */
bool api_call_briefly(struct loop *loop, struct connection *connection, const struct api_request *request);

#endif

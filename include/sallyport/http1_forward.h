/* http1_forward.h: heads as a proxy carries them on (RFC 9110 7.6): fields of one hop stay behind. Pure functions.
 *
 * A request is written anew, as one of HTTP/1.1 to its target with "Connection: close": whatever the client wrote, exactly
 * one request leaves, and nothing can stand behind it. Host is made of the target; cookies become one line, without
 * ours. "Via" is added, "Forwarded" is not: where the client is, is no target's business.
 */
#ifndef SALLYPORT_HTTP1_FORWARD_H
#define SALLYPORT_HTTP1_FORWARD_H

#include <stdbool.h>

#include "sallyport/err.h"
#include "sallyport/http.h"

/* What a gateway calls itself in "Via". */
#define HTTP1_VIA_NAME "sallyport"

/* Whom it is for, as str_split_authority takes it apart, and how it came. */
struct http1_forward {
	const char *host;
	uint16_t port;
	const char *received;   /* the protocol's version: "1.1", "2.0" */
	const char *own_cookie; /* the name of the gateway's own, which no target ever sees */
};

/* Why a request is not carried on. */
struct http1_refusal {
	unsigned status;
	const char *sentence; /* a constant */
};

/* Appends the head for the target. ERR_BAD_INPUT with a refusal for what cannot be carried on: TRACE, OPTIONS with
 * Max-Forwards, a body whose length is not said, odd characters. ERR_LIMIT, ERR_SYSTEM of the buffer. */
[[nodiscard]] int http1_forward_request(const struct http_request *request, const struct http1_forward *forward,
					struct buf *out_head, struct http1_refusal *out_refusal);
/* Whether a host has only characters of names and addresses; whether it is one, others decide. */
bool http1_forward_names_host(const char *host);
/* The fields of an answer that are carried on, but for those of its framing. out_fields has room for `count`; views are
 * those of `fields`. Returns how many there are. */
size_t http1_forward_fields(const struct http_header *fields, size_t count, struct http_header *out_fields);

#endif

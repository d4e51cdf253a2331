/* http.h: a request and a response, in the same words for HTTP/1.1 (http1.h) and HTTP/2 (h2.h), so that
 * what serves requests need not know how they came. Structs only; views are borrowed as each header says.
 */
#ifndef SALLYPORT_HTTP_H
#define SALLYPORT_HTTP_H

#include <stdbool.h>
#include <stdint.h>

#include "sallyport/buf.h"

/* Names in lower case. */
struct http_header {
	struct view name, value;
};

#define HTTP_HEADER(name_, value_) ((struct http_header){view_string(name_), view_string(value_)})

/* A request head. What was absent is an empty view. A header below that came twice makes the request
 * ambiguous: `refuse` is 400 then. */
struct http_request {
	struct view method;
	struct view path;      /* origin form with its query; empty for CONNECT */
	struct view authority; /* CONNECT's target as the client wrote it; otherwise Host or :authority */
	struct view authorization;
	struct view proxy_authorization;
	struct view content_type;
	struct view accept;
	int64_t content_length; /* -1: not said (HTTP/1.1: no body then) */
	bool has_body;          /* on_data / HTTP1_BODY may follow */
	unsigned refuse;        /* 0, or the status to answer instead of serving it: 400, 431 ... */
	const char *refuse_sentence; /* why; a constant; NULL when refuse is 0 */
};

/* A response head, as a client sees it. */
struct http_response {
	unsigned status;
	struct view content_type;
	struct view retry_after;
	struct view proxy_authenticate;
	int64_t content_length; /* -1: not said */
	bool has_body;
};

#endif

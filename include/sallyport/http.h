/* http.h: a request and a response, in the same words for HTTP/1.1 (http1.h) and HTTP/2 (h2.h), so that
 * what serves requests need not know how they came. Structs only; views are borrowed as each header says.
 */
#ifndef SALLYPORT_HTTP_H
#define SALLYPORT_HTTP_H

#include <stdbool.h>
#include <stdint.h>

#include "sallyport/buf.h"

/* What we write has names in lower case. */
struct http_header {
	struct view name, value;
};

#define HTTP_HEADER(name_, value_) ((struct http_header){view_string(name_), view_string(value_)})

/* More fields than any head needs. */
#define HTTP_FIELDS_MAX 256

/* A request head. What was absent is an empty view. A header below that came twice makes the request
 * ambiguous: `refuse` is 400 then.
 *
 * The scheme says for whom a request is: "http", for somebody else, to whom a proxy carries it (on HTTP/1.1 an
 * absolute-form target; authority and path are the target's, whatever Host says); anything else, for us. */
struct http_request {
	struct view method;
	struct view scheme;    /* "http", "https", in lower case; empty for CONNECT and on HTTP/1.1's origin form */
	struct view path;      /* origin form with its query; empty for CONNECT; of an absolute-form target what follows
				* the authority: perhaps nothing, or a query alone */
	struct view authority; /* CONNECT's target as the client wrote it; of an absolute-form target its own; otherwise
				* Host or :authority */
	struct view authorization;
	struct view proxy_authorization;
	struct view content_type;
	struct view accept;
	struct view cookie;    /* HTTP/2: all crumbs, joined by "; " */
	struct view origin;
	struct view fetch_site, fetch_mode, fetch_dest; /* Sec-Fetch-Site, -Mode, -Dest: what the browser says of the request */
	const struct http_header *headers; /* all of them, in their order; names in lower case on HTTP/2, elsewhere as sent */
	size_t header_count;               /* at most HTTP_FIELDS_MAX; 0 when it is refused for what is wrong with its lines */
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

/* http1.h: the server's side of HTTP/1.1: requests out of bytes, response heads into bytes. No I/O.
 *
 * Answers for: strict framing (promise E5: what is ambiguous is refused and the connection ends), bounds of
 * head and body. Leaves to its caller: serving, routing, moving bytes. Only src/net/http1*.c know
 * http_parser.h.
 *
 * Decisions: a body needs Content-Length; Transfer-Encoding is refused with 411 (with both: 400). Lines end
 * in CRLF and nothing else. HTTP/1.1 only, except that 1.0 is understood and always closed. CONNECT has no
 * body: after its head every byte belongs to the tunnel.
 */
#ifndef SALLYPORT_HTTP1_H
#define SALLYPORT_HTTP1_H

#include "sallyport/buf.h"
#include "sallyport/err.h"
#include "sallyport/http.h"
#include "sallyport/own.h"

struct http1;

[[nodiscard]] int http1_new(size_t head_bytes, size_t body_bytes, struct http1 **out_http1);
void http1_free(struct http1 *http1);
DEFINE_OWN(http1, struct http1 *, http1_free)

enum http1_event {
	HTTP1_MORE,    /* all input is taken: come back with more */
	HTTP1_REQUEST, /* a head is whole: http1_request */
	HTTP1_BODY,    /* bytes of the body: http1_body */
	HTTP1_WHOLE,   /* the request is whole: serve it, then http1_again */
	HTTP1_TUNNEL,  /* instead of HTTP1_WHOLE for CONNECT: what is left of the input is the tunnel's */
	HTTP1_REFUSED, /* http1_request()->refuse (400, 411, 413, 431, 505) and its sentence: answer, close */
};

/* Takes from the front of *input and says what came; call again with the rest until HTTP1_MORE. After
 * HTTP1_WHOLE nothing is taken before http1_again (pipelined requests wait in the caller's input: keep
 * *input, it is not copied). After HTTP1_TUNNEL and HTTP1_REFUSED nothing is taken any more. */
enum http1_event http1_next(struct http1 *http1, struct view *input);
/* The request at hand; views are valid until http1_again or http1_free. */
const struct http_request *http1_request(const struct http1 *http1);
/* The chunk of the last HTTP1_BODY; borrows from the input. */
struct view http1_body(const struct http1 *http1);
/* True while part of a head has come and the rest has not. */
bool http1_has_begun(const struct http1 *http1);
/* True when the connection may serve another request after this one. False once refused. */
bool http1_keeps_alive(const struct http1 *http1);
/* True when the client understands an answer in chunks (HTTP/1.1). */
bool http1_takes_chunks(const struct http1 *http1);
/* True when the client waits for "100 Continue" before it sends the body. Send http1_write_continue's
 * bytes after HTTP1_REQUEST unless the final answer can be given at once (then close). */
bool http1_expects_continue(const struct http1 *http1);
/* Ready for the next request. Also after a CONNECT that was refused, but only when no byte followed its
 * head (otherwise those bytes have two meanings: close). */
void http1_again(struct http1 *http1);

[[nodiscard]] int http1_write_continue(struct buf *out);
/* A response head with Date-free standard framing. content_length -1: none (CONNECT's 200). `keep_alive`
 * false adds "Connection: close". */
enum http1_after { HTTP1_KEEP, HTTP1_CLOSE };
[[nodiscard]] int http1_write_head(struct buf *out, unsigned status, const struct http_header *headers,
				   size_t header_count, int64_t content_length, enum http1_after after);
/* "Not Found"; "Unknown" for statuses without a row. */
const char *http1_reason(unsigned status);

#endif

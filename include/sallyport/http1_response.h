/* http1_response.h: one answer of a server that we have asked by HTTP/1.1, out of bytes, strictly. No I/O.
 *
 * Answers for: what of the bytes is head, what is body, and whether that was all of it. Interim answers (1xx) are passed
 * over. Whatever could be read in two ways is broken: both lengths, a length twice, folded lines, lines that end in
 * anything but CRLF, another coding than chunked; and so is what has no meaning after our question, 101 and 407. Leaves
 * to its caller: asking (one question for each connection, so that nothing follows an answer), and the bytes.
 */
#ifndef SALLYPORT_HTTP1_RESPONSE_H
#define SALLYPORT_HTTP1_RESPONSE_H

#include "sallyport/err.h"
#include "sallyport/http.h"
#include "sallyport/own.h"

struct http1_response;

/* What was asked: the answer to HEAD has no body, whatever its head says. */
enum http1_question { HTTP1_ASKED, HTTP1_ASKED_HEAD };
[[nodiscard]] int http1_response_new(size_t head_bytes, enum http1_question question, struct http1_response **out_response);
void http1_response_free(struct http1_response *response);
DEFINE_OWN(http1_response, struct http1_response *, http1_response_free)

/* How the body ends. */
enum http1_body {
	HTTP1_BODY_NONE,
	HTTP1_BODY_LENGTH,  /* after content_length bytes */
	HTTP1_BODY_CHUNKED,
	HTTP1_BODY_CLOSE,   /* with the connection */
};

struct http1_answer {
	unsigned status; /* 200 to 599 */
	unsigned minor;  /* of HTTP/1.x: 0 or 1 */
	enum http1_body body;
	int64_t content_length;            /* as said, also where there is no body (HEAD, 304); -1: not said */
	const struct http_header *headers; /* all, in their order, names in lower case */
	size_t header_count;
};

/* Takes bytes off the front of *input until the head is whole (0); what is left is body. ERR_AGAIN: all is taken, come back
 * with more. ERR_BAD_PEER: broken, and http1_response_wrong says why. */
[[nodiscard]] int http1_response_head(struct http1_response *response, struct view *input);
/* After the head is whole; its views are valid until http1_response_forget_head. */
const struct http1_answer *http1_response_answer(const struct http1_response *response);
void http1_response_forget_head(struct http1_response *response);

/* Bytes of the body, framing and all; what is content moves to the front, and *size becomes its number (0: only framing).
 * What stands behind the end is dropped. ERR_BAD_PEER: broken. */
[[nodiscard]] int http1_response_body(struct http1_response *response, uint8_t *bytes, size_t *size);
/* True when all of the answer has come. */
bool http1_response_is_whole(const struct http1_response *response);
/* The server has ended its direction: 0 when the answer is whole by that, else ERR_BAD_PEER: it was cut off. */
[[nodiscard]] int http1_response_end(struct http1_response *response);
/* What is wrong, as a constant sentence in the middle of a line: "its head is folded". NULL when nothing is. */
const char *http1_response_wrong(const struct http1_response *response);

#endif

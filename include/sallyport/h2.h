/* h2.h: one HTTP/2 connection, server or client: bytes in, bytes out, events. No I/O.
 *
 * Answers for: framing, header rules, flow control, floods (promise E4), stream errors. Leaves to its
 * caller: moving the bytes (tls_read -> h2_input, h2_output -> tls_write), what a request means, when to
 * end. Only src/net/h2*.c know nghttp2.
 *
 * Tunnel data that goes out is pulled: when the connection has room, on_read is asked for bytes, straight
 * into the frame; ERR_AGAIN puts the stream to sleep until h2_resume. So an idle tunnel owns no buffer.
 * Data that comes in is shown by on_data and counts against the stream's window until h2_consume: a
 * slow reader slows its own stream only.
 *
 * A loop's turn:  for every tls_read: h2_input;  then while tls_can_write: h2_output -> tls_write;  then
 * tls_flush. Handlers are called from h2_input and h2_output (on_closed also from h2_free). They may call
 * everything here except h2_input, h2_output and h2_free. Flush once per turn, not per event.
 */
#ifndef SALLYPORT_H2_H
#define SALLYPORT_H2_H

#include <stdbool.h>
#include <stdint.h>

#include "sallyport/buf.h"
#include "sallyport/err.h"
#include "sallyport/http.h"
#include "sallyport/own.h"

/* Header and payload of a full DATA frame are one TLS record (16,384 bytes). */
#define H2_DATA_MAX 16375

enum h2_role { H2_SERVER, H2_CLIENT };

/* Error codes of streams and connections (RFC 9113 7). */
enum h2_code {
	H2_NO_ERROR = 0x0,
	H2_PROTOCOL_ERROR = 0x1,
	H2_INTERNAL_ERROR = 0x2,
	H2_FLOW_CONTROL_ERROR = 0x3,
	H2_STREAM_CLOSED = 0x5,
	H2_REFUSED_STREAM = 0x7,
	H2_CANCEL = 0x8,
	H2_CONNECT_ERROR = 0xa,
	H2_ENHANCE_YOUR_CALM = 0xb,
	H2_CONNECTION_LOST = 0x10000, /* not on the wire: h2_free found the stream open */
};

struct h2;

/* A stream; h2 owns the memory, until on_closed has returned. */
struct h2_stream {
	void *owner; /* the caller's, untouched */
	int32_t id;
	unsigned flags;                    /* h2's */
	struct h2_stream *previous, *next; /* h2's list of all */
	struct h2_head *head;              /* h2's: a head on its way in, else NULL */
	struct h2_body *body;              /* h2's: a body on its way out, else NULL */
	uint32_t unwanted_bytes;           /* h2's: of the request, after its answer */
};

struct h2_handlers {
	/* Server: a request head. Answer with h2_respond or h2_respond_tunnel, now or later; with
	 * request->refuse set, h2_respond with that status. Views are valid during the call. */
	void (*on_request)(struct h2 *h2, struct h2_stream *stream, const struct http_request *request);
	/* Client: a final response head (1xx are skipped). A CONNECT's tunnel stands at 2xx. */
	void (*on_response)(struct h2 *h2, struct h2_stream *stream, const struct http_response *response);
	/* Bytes of a body or a tunnel. Each byte must be given back by h2_consume, sooner or later. */
	void (*on_data)(struct h2 *h2, struct h2_stream *stream, struct view bytes);
	/* The peer has ended its direction in good order (END_STREAM). */
	void (*on_finish)(struct h2 *h2, struct h2_stream *stream);
	/* Fill up to `capacity` bytes of a tunnel, or of a body that h2_respond_head has announced. Returns their number, 0 for
	 * the end of this direction (END_STREAM), ERR_AGAIN to sleep until h2_resume, or another error: the
	 * stream is reset with CONNECT_ERROR. */
	int (*on_read)(struct h2 *h2, struct h2_stream *stream, uint8_t *into, size_t capacity);
	/* The stream is over; `code` is H2_NO_ERROR when both directions ended in good order, else what the
	 * RST_STREAM said (for a tunnel never H2_NO_ERROR). `by_peer` is true when the peer reset it. Called
	 * once for each stream that on_request announced or h2_request returned; it is gone afterwards. */
	void (*on_closed)(struct h2 *h2, struct h2_stream *stream, enum h2_code code, bool by_peer);
};

struct h2_options {
	enum h2_role role;
	const struct h2_handlers *handlers; /* must outlive h2; unused ones of a role may be NULL */
	void *owner;
	uint32_t streams_max;         /* most streams that the peer may have open */
	uint32_t head_bytes;          /* largest head; above it request->refuse is 431 */
	uint32_t stream_window_bytes; /* what the peer may send ahead on one stream */
};

[[nodiscard]] int h2_new(const struct h2_options *options, struct h2 **out_h2);
/* on_closed with H2_CONNECTION_LOST for every stream that is still there, then frees. NULL is allowed. */
void h2_free(struct h2 *h2);
DEFINE_OWN(h2, struct h2 *, h2_free)
void *h2_owner(const struct h2 *h2);

/* Bytes from the peer. ERR_BAD_PEER: the peer broke the protocol or floods; GOAWAY waits in h2_output:
 * send it, then close. */
[[nodiscard]] int h2_input(struct h2 *h2, struct view bytes);
/* The next bytes for the peer, valid until the next call of anything here. ERR_AGAIN: nothing now. */
[[nodiscard]] int h2_output(struct h2 *h2, struct view *out_bytes);
/* True while the connection has a future; false after GOAWAY with no stream left: flush and close. */
bool h2_is_alive(const struct h2 *h2);
/* Streams that are open now (announced and not closed). */
size_t h2_stream_count(const struct h2 *h2);
/* True after the peer's GOAWAY: no new h2_request. */
bool h2_is_draining(const struct h2 *h2);

/* Server: answers with a whole body (copied; may be empty) and ends the stream. `head_only` of a HEAD
 * request: give an empty body. A header content-length is added. ERR_CLOSED when the stream is over. */
[[nodiscard]] int h2_respond(struct h2 *h2, struct h2_stream *stream, unsigned status,
			     const struct http_header *headers, size_t header_count, struct view body);
/* Server: answers a CONNECT with 200; from now on on_read feeds the stream. */
[[nodiscard]] int h2_respond_tunnel(struct h2 *h2, struct h2_stream *stream, const struct http_header *headers,
				    size_t header_count);

/* Server: answers with these headers as they are; the body, if there is one, is what on_read gives, to its end. Where it
 * breaks off, h2_reset: the client must not take it for whole. ERR_LIMIT for more headers than HTTP_FIELDS_MAX and some. */
enum h2_body_source { H2_BODY_NONE, H2_BODY_READ };
[[nodiscard]] int h2_respond_head(struct h2 *h2, struct h2_stream *stream, unsigned status,
				  const struct http_header *headers, size_t header_count, enum h2_body_source source);

/* Client: what to ask for. `path` is ignored for CONNECT. A body is copied. */
struct h2_request {
	const char *method;
	struct view authority;
	struct view path;
	const struct http_header *headers;
	size_t header_count;
	struct view body; /* empty: none; ignored for CONNECT, whose data comes from on_read */
	void *owner;      /* becomes stream->owner */
};
/* ERR_CLOSED after GOAWAY, ERR_LIMIT when stream numbers have run out. More streams than the peer allows
 * wait inside. */
[[nodiscard]] int h2_request(struct h2 *h2, const struct h2_request *request, struct h2_stream **out_stream);

/* Wakes a stream that on_read put to sleep. Harmless otherwise. */
void h2_resume(struct h2 *h2, struct h2_stream *stream);
/* That many bytes shown by on_data are done with: the peer may send as many more. */
void h2_consume(struct h2 *h2, struct h2_stream *stream, size_t size);
/* The peer may from now on send that many bytes ahead on this stream; a window never shrinks. */
void h2_widen(struct h2 *h2, struct h2_stream *stream, uint32_t window_bytes);
/* RST_STREAM. on_closed follows, from h2_output. */
void h2_reset(struct h2 *h2, struct h2_stream *stream, enum h2_code code);
/* Asks the peer to open no more streams (two-step GOAWAY, so that none in flight is lost). */
void h2_drain(struct h2 *h2);
/* GOAWAY with that code, at once; streams die with the connection. */
void h2_terminate(struct h2 *h2, enum h2_code code);
/* A PING; the peer's answer is swallowed. Keeps a NAT's memory alive. */
void h2_ping(struct h2 *h2);

/* "CONNECT_ERROR" */
const char *h2_code_name(enum h2_code code);

#endif

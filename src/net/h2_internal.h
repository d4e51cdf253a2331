/* h2_internal.h: a connection from the inside; shared by the h2*.c files only.
 *
 * h2.c: life, bytes, streams. h2_events.c: what nghttp2 tells. h2_head.c: header fields into a request or a
 * response. h2_submit.c: requests and responses out.
 */
#ifndef SALLYPORT_NET_H2_INTERNAL_H
#define SALLYPORT_NET_H2_INTERNAL_H

#include <nghttp2/nghttp2.h>

#include "sallyport/h2.h"

enum h2_stream_flag {
	H2_ANNOUNCED = 1 << 0,     /* the caller knows the stream: on_closed is owed */
	H2_CONNECT = 1 << 1,       /* a CONNECT request */
	H2_TUNNEL = 1 << 2,        /* the tunnel stands: on_read feeds it */
	H2_PEER_FINISHED = 1 << 3, /* END_STREAM has come */
	H2_PEER_RESET = 1 << 4,    /* RST_STREAM has come */
	H2_SLEEPING = 1 << 5,      /* waits for h2_resume */
	H2_ANSWERED = 1 << 6,      /* client: the final response head has come */
	H2_REFUSED_HEAD = 1 << 7,  /* server: what follows of the request is dropped */
	H2_RESETTING = 1 << 8,     /* our RST_STREAM is on its way */
	H2_STREAMED = 1 << 9,      /* server: the answer's body comes from on_read */
	H2_UNWANTED = 1 << 12,     /* server: the whole answer is out while the request still comes in */
};

/* Header fields that somebody asks about. */
#define H2_FIELDS(F)                                                                                    \
	F(METHOD, ":method") F(SCHEME, ":scheme") F(PATH, ":path") F(AUTHORITY, ":authority")           \
	F(STATUS, ":status") F(HOST, "host") F(AUTHORIZATION, "authorization")                          \
	F(PROXY_AUTHORIZATION, "proxy-authorization") F(CONTENT_TYPE, "content-type")                   \
	F(CONTENT_LENGTH, "content-length") F(ACCEPT, "accept") F(RETRY_AFTER, "retry-after")           \
	F(PROXY_AUTHENTICATE, "proxy-authenticate") F(COOKIE, "cookie") F(ORIGIN, "origin")             \
	F(FETCH_SITE, "sec-fetch-site") F(FETCH_MODE, "sec-fetch-mode") F(FETCH_DEST, "sec-fetch-dest")
#define H2_FIELD_ENUM(name, text) H2_FIELD_##name,
enum h2_field { H2_FIELDS(H2_FIELD_ENUM) H2_FIELD_COUNT };

/* A field in a head's text. */
struct h2_place {
	uint32_t name, name_size, value, value_size;
};

/* A head on its way in. */
struct h2_head {
	struct buf text;   /* names and values, one after the other */
	struct buf places; /* a struct h2_place for each that is no pseudo-header */
	struct buf cookie; /* its crumbs (RFC 9113 8.2.3), joined */
	struct h2_place fields[H2_FIELD_COUNT];
	uint32_t seen; /* a bit for each field */
	size_t bytes;
	bool too_large, twice;
	struct http_header *headers; /* for the request that is made of it */
};

/* A body on its way out. */
struct h2_body {
	size_t size, sent;
	uint8_t bytes[];
};

/* Frames that cost us work and move nothing: a bucket of tokens, refilled by time. */
struct h2_budget {
	uint32_t tokens;
	uint64_t refilled_ms;
};

struct h2 {
	nghttp2_session *session;
	struct h2_options options;
	struct h2_stream streams; /* head of the list of all */
	size_t stream_count;      /* announced ones */
	struct h2_budget budget;
	bool flooded, draining, drain_started;
};

/* h2.c */
struct h2_stream *h2_stream_new(struct h2 *h2, int32_t id);
struct h2_stream *h2_stream_find(struct h2 *h2, int32_t id);
void h2_stream_end(struct h2 *h2, struct h2_stream *stream, enum h2_code code);

/* h2_events.c */
void h2_events_register(nghttp2_session_callbacks *callbacks);

/* h2_head.c. A head that does not fit or has a field twice is marked so; adding never fails but for memory. */
struct h2_head *h2_head_new(size_t limit);
void h2_head_free(struct h2_head *head);
[[nodiscard]] int h2_head_add(struct h2_head *head, struct view name, struct view value);
/* Views borrow from the head. */
void h2_head_request(struct h2_head *head, struct http_request *out_request);
void h2_head_response(const struct h2_head *head, struct http_response *out_response);

/* h2_submit.c. A body is wiped when it goes: it may hold a token. */
void h2_body_free(struct h2_body *body);
/* nghttp2's source of DATA for every stream of ours. */
ssize_t h2_source_read(nghttp2_session *session, int32_t id, uint8_t *into, size_t capacity, uint32_t *flags,
		       nghttp2_data_source *source, void *owner);

#endif

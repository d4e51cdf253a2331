/* h2_submit.c: requests and responses out; and where the bytes of DATA frames come from. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "h2_internal.h"

/* Those of an answer that is carried on, and some of our own. */
enum { HEADERS_MAX = HTTP_FIELDS_MAX + 8 };

/* ---- DATA ---- */

void h2_body_free(struct h2_body *body)
{
	if (body)
		wipe(body->bytes, body->size);
	free(body);
}

static ssize_t read_body(struct h2_body *body, uint8_t *into, size_t capacity, uint32_t *flags)
{
	size_t left = body->size - body->sent;
	size_t taken = left < capacity ? left : capacity;
	memcpy(into, body->bytes + body->sent, taken);
	body->sent += taken;
	if (taken == left)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)taken;
}

ssize_t h2_source_read(nghttp2_session *session, int32_t id, uint8_t *into, size_t capacity, uint32_t *flags,
		       nghttp2_data_source *source, void *owner)
{
	(void)session, (void)id;
	struct h2 *h2 = owner;
	struct h2_stream *stream = source->ptr;
	if (stream->body)
		return read_body(stream->body, into, capacity, flags);
	int result = ERR_AGAIN;
	if (stream->flags & (H2_TUNNEL | H2_STREAMED) && !(stream->flags & H2_PEER_RESET))
		result = h2->options.handlers->on_read(h2, stream, into, capacity);
	if (result > 0)
		return result;
	if (result == 0) {
		*flags |= NGHTTP2_DATA_FLAG_EOF;
		return 0;
	}
	stream->flags |= H2_SLEEPING;
	if (result != ERR_AGAIN)
		h2_reset(h2, stream, H2_CONNECT_ERROR);
	return NGHTTP2_ERR_DEFERRED;
}

static int keep_body(struct h2_stream *stream, struct view body)
{
	stream->body = malloc(sizeof(*stream->body) + body.size);
	if (!stream->body)
		return ERR_SYSTEM;
	stream->body->size = body.size;
	stream->body->sent = 0;
	memcpy(stream->body->bytes, body.data, body.size);
	return 0;
}

/* ---- heads ---- */

struct fields {
	nghttp2_nv list[HEADERS_MAX];
	size_t count;
};

static int add_field(struct fields *fields, struct view name, struct view value)
{
	if (fields->count == HEADERS_MAX)
		return ERR_LIMIT;
	fields->list[fields->count++] = (nghttp2_nv){
		.name = (uint8_t *)(uintptr_t)name.data, .namelen = name.size,
		.value = (uint8_t *)(uintptr_t)value.data, .valuelen = value.size,
	};
	return 0;
}

static int add_text(struct fields *fields, const char *name, const char *value)
{
	return add_field(fields, view_string(name), view_string(value));
}

static int add_headers(struct fields *fields, const struct http_header *headers, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int result = add_field(fields, headers[i].name, headers[i].value);
		if (result < 0)
			return result;
	}
	return 0;
}

static int submit_response(struct h2 *h2, struct h2_stream *stream, const struct fields *fields, bool with_data)
{
	nghttp2_data_provider provider = {.source.ptr = stream, .read_callback = h2_source_read};
	int result = nghttp2_submit_response(h2->session, stream->id, fields->list, fields->count,
					     with_data ? &provider : NULL);
	return result < 0 ? ERR_CLOSED : 0;
}

int h2_respond(struct h2 *h2, struct h2_stream *stream, unsigned status, const struct http_header *headers,
	       size_t header_count, struct view body)
{
	struct fields fields = {.count = 0};
	char status_text[16], length_text[32];
	snprintf(status_text, sizeof(status_text), "%u", status);
	snprintf(length_text, sizeof(length_text), "%zu", body.size);
	int result = add_text(&fields, ":status", status_text);
	if (result == 0 && status != 204)
		result = add_text(&fields, "content-length", length_text);
	if (result == 0)
		result = add_headers(&fields, headers, header_count);
	if (result == 0 && body.size)
		result = keep_body(stream, body);
	return result < 0 ? result : submit_response(h2, stream, &fields, body.size != 0);
}

int h2_respond_tunnel(struct h2 *h2, struct h2_stream *stream, const struct http_header *headers, size_t header_count)
{
	struct fields fields = {.count = 0};
	int result = add_text(&fields, ":status", "200");
	if (result == 0)
		result = add_headers(&fields, headers, header_count);
	if (result < 0)
		return result;
	stream->flags |= H2_TUNNEL;
	return submit_response(h2, stream, &fields, true);
}

int h2_respond_head(struct h2 *h2, struct h2_stream *stream, unsigned status, const struct http_header *headers,
		    size_t header_count, enum h2_body_source source)
{
	struct fields fields = {.count = 0};
	char status_text[16];
	snprintf(status_text, sizeof(status_text), "%u", status);
	int result = add_text(&fields, ":status", status_text);
	if (result == 0)
		result = add_headers(&fields, headers, header_count);
	if (result < 0)
		return result;
	if (source == H2_BODY_READ)
		stream->flags |= H2_STREAMED;
	return submit_response(h2, stream, &fields, source == H2_BODY_READ);
}

static int request_fields(struct fields *fields, const struct h2_request *request, bool connect)
{
	int result = add_text(fields, ":method", request->method);
	if (result == 0 && !connect)
		result = add_text(fields, ":scheme", "https");
	if (result == 0 && !connect)
		result = add_field(fields, view_string(":path"), request->path);
	if (result == 0)
		result = add_field(fields, view_string(":authority"), request->authority);
	return result < 0 ? result : add_headers(fields, request->headers, request->header_count);
}

int h2_request(struct h2 *h2, const struct h2_request *request, struct h2_stream **out_stream)
{
	bool connect = strcmp(request->method, "CONNECT") == 0;
	struct fields fields = {.count = 0};
	char length_text[32];
	int result = h2->draining ? ERR_CLOSED : request_fields(&fields, request, connect);
	snprintf(length_text, sizeof(length_text), "%zu", request->body.size);
	if (result == 0 && request->body.size && !connect)
		result = add_text(&fields, "content-length", length_text);
	if (result < 0)
		return result;
	struct h2_stream *stream = h2_stream_new(h2, 0);
	if (!stream)
		return ERR_SYSTEM;
	bool with_body = !connect && request->body.size;
	if (with_body && keep_body(stream, request->body) < 0) {
		h2_stream_end(h2, stream, H2_INTERNAL_ERROR);
		return ERR_SYSTEM;
	}
	nghttp2_data_provider provider = {.source.ptr = stream, .read_callback = h2_source_read};
	int32_t id = nghttp2_submit_request(h2->session, NULL, fields.list, fields.count,
					    connect || with_body ? &provider : NULL, stream);
	if (id < 0) {
		h2_stream_end(h2, stream, H2_INTERNAL_ERROR);
		return id == NGHTTP2_ERR_STREAM_ID_NOT_AVAILABLE ? ERR_LIMIT : ERR_SYSTEM;
	}
	stream->id = id;
	stream->owner = request->owner;
	stream->flags = H2_ANNOUNCED | (connect ? H2_CONNECT : 0);
	h2->stream_count++;
	*out_stream = stream;
	return 0;
}

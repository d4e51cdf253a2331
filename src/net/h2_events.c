/* h2_events.c: what nghttp2 tells, turned into the caller's events; and the budget against floods.
 *
 * nghttp2 itself bounds: acknowledgements that wait (PING, SETTINGS), stream resets by rate, CONTINUATION
 * frames, entries of SETTINGS. The budget here bounds every frame that moves nothing.
 */
#include <string.h>

#include "h2_internal.h"
#include "sallyport/clock.h"

enum { BUDGET_MOST = 2000, BUDGET_PER_SECOND = 200 };

static const uint8_t drain_mark[8] = {'d', 'r', 'a', 'i', 'n', 'e', 'd', '?'};

static int spend(struct h2 *h2)
{
	if (h2->budget.tokens == 0) {
		uint64_t now = clock_monotonic_ms(), earned = (now - h2->budget.refilled_ms) * BUDGET_PER_SECOND / 1000;
		if (h2->budget.refilled_ms == 0)
			earned = BUDGET_MOST;
		h2->budget.tokens = earned < BUDGET_MOST ? (uint32_t)earned : BUDGET_MOST;
		h2->budget.refilled_ms = now;
	}
	if (h2->budget.tokens == 0) {
		h2->flooded = true;
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	}
	h2->budget.tokens--;
	return 0;
}

static struct h2_stream *stream_of(nghttp2_session *session, int32_t id)
{
	return id > 0 ? nghttp2_session_get_stream_user_data(session, id) : NULL;
}

/* ---- heads ---- */

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *owner)
{
	struct h2 *h2 = owner;
	if (frame->hd.type != NGHTTP2_HEADERS)
		return 0;
	struct h2_stream *stream = stream_of(session, frame->hd.stream_id);
	bool request = frame->headers.cat == NGHTTP2_HCAT_REQUEST;
	if (request && !stream)
		stream = h2_stream_new(h2, frame->hd.stream_id);
	if (!stream)
		return request ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
	bool wanted = request || (h2->options.role == H2_CLIENT && !(stream->flags & H2_ANSWERED));
	if (!wanted || stream->head)
		return 0; /* trailers */
	stream->head = h2_head_new(h2->options.head_bytes);
	return stream->head ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_size,
		     const uint8_t *value, size_t value_size, uint8_t flags, void *owner)
{
	(void)flags;
	(void)owner;
	struct h2_stream *stream = stream_of(session, frame->hd.stream_id);
	if (!stream || !stream->head)
		return 0;
	int result = h2_head_add(stream->head, view_of(name, name_size), view_of(value, value_size));
	return result < 0 ? NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE : 0;
}

/* nghttp2 would only leave the field out: a malformed request is refused whole (RFC 9113 8.1.1). */
static int on_invalid_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
			     size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags, void *owner)
{
	(void)session, (void)frame, (void)name, (void)name_size, (void)value, (void)value_size, (void)flags;
	(void)owner;
	return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static void finish(struct h2 *h2, struct h2_stream *stream)
{
	stream->flags |= H2_PEER_FINISHED;
	if (h2->options.handlers->on_finish && !(stream->flags & H2_REFUSED_HEAD))
		h2->options.handlers->on_finish(h2, stream);
	/* A CONNECT that was refused: our direction will carry nothing. */
	if (h2->options.role == H2_CLIENT && (stream->flags & (H2_CONNECT | H2_TUNNEL)) == H2_CONNECT)
		h2_reset(h2, stream, H2_CANCEL);
}

static void announce_request(struct h2 *h2, struct h2_stream *stream, bool has_body)
{
	struct h2_head *head = take_pointer(&stream->head);
	struct http_request request;
	h2_head_request(head, &request);
	request.has_body = has_body;
	stream->flags |= H2_ANNOUNCED | (view_is(request.method, "CONNECT") ? H2_CONNECT : 0) |
			 (request.refuse ? H2_REFUSED_HEAD : 0);
	h2->stream_count++;
	h2->options.handlers->on_request(h2, stream, &request);
	h2_head_free(head);
}

static void announce_response(struct h2 *h2, struct h2_stream *stream, bool has_body)
{
	struct h2_head *head = take_pointer(&stream->head);
	struct http_response response;
	h2_head_response(head, &response);
	response.has_body = has_body;
	if (response.status >= 200) {
		stream->flags |= H2_ANSWERED;
		if (stream->flags & H2_CONNECT && response.status < 300)
			stream->flags |= H2_TUNNEL;
		h2->options.handlers->on_response(h2, stream, &response);
		if (stream->flags & H2_TUNNEL)
			h2_resume(h2, stream);
	}
	h2_head_free(head);
}

static void on_head(struct h2 *h2, struct h2_stream *stream, bool has_body)
{
	bool whole = stream->head && stream->head->bytes;
	if (whole && h2->options.role == H2_SERVER && !(stream->flags & H2_ANNOUNCED))
		announce_request(h2, stream, has_body);
	else if (whole && h2->options.role == H2_CLIENT && !(stream->flags & H2_ANSWERED))
		announce_response(h2, stream, has_body);
}

/* ---- frames ---- */

static void on_ping_answered(struct h2 *h2, const nghttp2_ping *ping)
{
	if (!h2->drain_started || memcmp(ping->opaque_data, drain_mark, sizeof(drain_mark)) != 0)
		return;
	/* All that was sent before the notice has arrived: name the last stream that we serve. */
	nghttp2_submit_goaway(h2->session, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(h2->session),
			      NGHTTP2_NO_ERROR, NULL, 0);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *owner)
{
	struct h2 *h2 = owner;
	struct h2_stream *stream = stream_of(session, frame->hd.stream_id);
	bool last = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
	switch (frame->hd.type) {
	case NGHTTP2_HEADERS:
		if (stream)
			on_head(h2, stream, !last);
		if (stream && last)
			finish(h2, stream);
		return 0;
	case NGHTTP2_DATA:
		if (stream && last)
			finish(h2, stream);
		return frame->hd.length == 0 && !last ? spend(h2) : 0;
	case NGHTTP2_RST_STREAM:
		if (stream)
			stream->flags |= H2_PEER_RESET;
		return spend(h2);
	case NGHTTP2_GOAWAY:
		h2->draining = true;
		return 0;
	case NGHTTP2_PING:
		if (frame->hd.flags & NGHTTP2_FLAG_ACK) {
			on_ping_answered(h2, &frame->ping);
			return 0;
		}
		return spend(h2);
	case NGHTTP2_WINDOW_UPDATE:
		return 0;
	default:
		return spend(h2);
	}
}

/* Some clients (curl 7.88) look at an answer only after their whole body has gone: so it is let in and dropped, up to a
 * bound. Then no more of it is wanted (RFC 9113 8.1). */
enum { UNWANTED_MAX = 4 << 20 };

static int drop_unwanted(struct h2 *h2, struct h2_stream *stream, size_t size)
{
	stream->unwanted_bytes += (uint32_t)size;
	if (stream->unwanted_bytes > UNWANTED_MAX)
		h2_reset(h2, stream, H2_NO_ERROR);
	nghttp2_session_consume_stream(h2->session, stream->id, size);
	return 0;
}

static int on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data, size_t size,
			 void *owner)
{
	(void)flags;
	struct h2 *h2 = owner;
	struct h2_stream *stream = stream_of(session, id);
	/* The connection's window comes back at once: what holds a stream back is its own window. */
	nghttp2_session_consume_connection(session, size);
	if (stream && stream->flags & H2_UNWANTED)
		return drop_unwanted(h2, stream, size);
	if (stream && stream->flags & H2_ANNOUNCED && !(stream->flags & H2_REFUSED_HEAD))
		h2->options.handlers->on_data(h2, stream, view_of(data, size));
	else
		nghttp2_session_consume_stream(session, id, size);
	return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *owner)
{
	struct h2_stream *stream = stream_of(session, id);
	if (stream)
		h2_stream_end(owner, stream, (enum h2_code)code);
	return 0;
}

/* A whole answer was given while the request still comes in. */
static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *owner)
{
	struct h2 *h2 = owner;
	bool last = frame->hd.flags & NGHTTP2_FLAG_END_STREAM &&
		    (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA);
	if (!last || h2->options.role != H2_SERVER)
		return 0;
	struct h2_stream *stream = stream_of(session, frame->hd.stream_id);
	if (stream && !(stream->flags & (H2_TUNNEL | H2_PEER_FINISHED)))
		stream->flags |= H2_UNWANTED;
	return 0;
}

/* A request that could not be sent any more (GOAWAY came first, or it was taken back) ends here. Where nghttp2 has opened
 * its stream all the same it closes it afterwards, and must not find us there. */
static int on_frame_not_sent(nghttp2_session *session, const nghttp2_frame *frame, int error, void *owner)
{
	(void)error;
	struct h2 *h2 = owner;
	if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	struct h2_stream *stream = h2_stream_find(h2, frame->hd.stream_id);
	if (!stream)
		return 0;
	nghttp2_session_set_stream_user_data(session, stream->id, NULL);
	h2_stream_end(h2, stream, H2_REFUSED_STREAM);
	return 0;
}

/* Frames that break a rule cost an answer each, and on_frame never hears of them. */
static int on_invalid_frame(nghttp2_session *session, const nghttp2_frame *frame, int error, void *owner)
{
	(void)session, (void)frame, (void)error;
	return spend(owner);
}

/* Header and payload of a DATA frame fill one TLS record. */
static ssize_t data_length(nghttp2_session *session, uint8_t type, int32_t id, int32_t connection_window,
			   int32_t stream_window, uint32_t frame_size, void *owner)
{
	(void)session, (void)type, (void)id, (void)connection_window, (void)stream_window, (void)frame_size;
	(void)owner;
	return H2_DATA_MAX;
}

void h2_events_register(nghttp2_session_callbacks *callbacks)
{
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks, on_invalid_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
	nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid_frame);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
	nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
	nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, on_frame_not_sent);
	nghttp2_session_callbacks_set_data_source_read_length_callback(callbacks, data_length);
}

void h2_drain(struct h2 *h2)
{
	if (h2->drain_started)
		return;
	h2->drain_started = true;
	if (h2->options.role == H2_CLIENT) {
		nghttp2_submit_goaway(h2->session, NGHTTP2_FLAG_NONE, 0, NGHTTP2_NO_ERROR, NULL, 0);
		return;
	}
	nghttp2_submit_shutdown_notice(h2->session);
	nghttp2_submit_ping(h2->session, NGHTTP2_FLAG_NONE, drain_mark);
}

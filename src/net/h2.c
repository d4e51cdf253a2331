/* h2.c: an HTTP/2 connection's life: made, fed, emptied, freed; and its streams. */
#include "sallyport/h2.h"

#include <stdlib.h>

#include "h2_internal.h"

/* What holds a stream back is its own window; the connection's is never the narrow place. */
enum { CONNECTION_WINDOW = 1 << 30 };

/* ---- streams ---- */

struct h2_stream *h2_stream_new(struct h2 *h2, int32_t id)
{
	struct h2_stream *stream = calloc(1, sizeof(*stream));
	if (!stream)
		return NULL;
	stream->id = id;
	stream->next = h2->streams.next;
	stream->previous = &h2->streams;
	stream->next->previous = stream;
	h2->streams.next = stream;
	if (id)
		nghttp2_session_set_stream_user_data(h2->session, id, stream);
	return stream;
}

struct h2_stream *h2_stream_find(struct h2 *h2, int32_t id)
{
	for (struct h2_stream *stream = h2->streams.next; stream != &h2->streams; stream = stream->next)
		if (stream->id == id)
			return stream;
	return NULL;
}

void h2_stream_end(struct h2 *h2, struct h2_stream *stream, enum h2_code code)
{
	bool by_peer = stream->flags & H2_PEER_RESET;
	/* A tunnel that is reset without a complaint is cut all the same; so is the answer to whoever does not want it. */
	if (code == H2_NO_ERROR && by_peer && stream->flags & (H2_TUNNEL | H2_STREAMED))
		code = H2_CANCEL;
	stream->previous->next = stream->next;
	stream->next->previous = stream->previous;
	if (stream->flags & H2_ANNOUNCED) {
		h2->stream_count--;
		if (h2->options.handlers->on_closed)
			h2->options.handlers->on_closed(h2, stream, code, by_peer);
	}
	h2_head_free(stream->head);
	h2_body_free(stream->body);
	free(stream);
}

/* ---- life ---- */

static int make_session(struct h2 *h2)
{
	nghttp2_session_callbacks *callbacks = NULL;
	nghttp2_option *option = NULL;
	int result = ERR_SYSTEM;
	if (nghttp2_session_callbacks_new(&callbacks) == 0 && nghttp2_option_new(&option) == 0) {
		h2_events_register(callbacks);
		nghttp2_option_set_no_auto_window_update(option, 1);
		nghttp2_option_set_no_closed_streams(option, 1);
		nghttp2_option_set_max_send_header_block_length(option, 65536);
		int (*const make)(nghttp2_session **, const nghttp2_session_callbacks *, void *, const nghttp2_option *) =
			h2->options.role == H2_SERVER ? nghttp2_session_server_new2 : nghttp2_session_client_new2;
		result = make(&h2->session, callbacks, h2, option) == 0 ? 0 : ERR_SYSTEM;
	}
	nghttp2_option_del(option);
	nghttp2_session_callbacks_del(callbacks);
	return result;
}

static int say_settings(struct h2 *h2)
{
	bool server = h2->options.role == H2_SERVER;
	nghttp2_settings_entry settings[] = {
		{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, h2->options.stream_window_bytes},
		{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, h2->options.head_bytes},
		server ? (nghttp2_settings_entry){NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, h2->options.streams_max}
		       : (nghttp2_settings_entry){NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
	};
	if (nghttp2_submit_settings(h2->session, NGHTTP2_FLAG_NONE, settings, 3) < 0 ||
	    nghttp2_session_set_local_window_size(h2->session, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW) < 0)
		return ERR_BUG;
	return 0;
}

int h2_new(const struct h2_options *options, struct h2 **out_h2)
{
	OWN(own_h2) struct h2 *h2 = calloc(1, sizeof(*h2));
	if (!h2)
		return ERR_SYSTEM;
	h2->options = *options;
	h2->streams.next = h2->streams.previous = &h2->streams;
	int result = make_session(h2);
	if (result == 0)
		result = say_settings(h2);
	if (result == 0)
		*out_h2 = take_pointer(&h2);
	return result;
}

void h2_free(struct h2 *h2)
{
	if (!h2)
		return;
	while (h2->streams.next && h2->streams.next != &h2->streams)
		h2_stream_end(h2, h2->streams.next, H2_CONNECTION_LOST);
	nghttp2_session_del(h2->session);
	free(h2);
}

void *h2_owner(const struct h2 *h2)
{
	return h2->options.owner;
}

/* ---- bytes ---- */

int h2_input(struct h2 *h2, struct view bytes)
{
	ssize_t taken = nghttp2_session_mem_recv(h2->session, bytes.data, bytes.size);
	if (taken >= 0)
		return 0;
	bool flooded = h2->flooded || taken == NGHTTP2_ERR_FLOODED;
	nghttp2_session_terminate_session(h2->session, flooded ? NGHTTP2_ENHANCE_YOUR_CALM : NGHTTP2_PROTOCOL_ERROR);
	return taken == NGHTTP2_ERR_NOMEM ? ERR_SYSTEM : ERR_BAD_PEER;
}

int h2_output(struct h2 *h2, struct view *out_bytes)
{
	const uint8_t *bytes;
	ssize_t size = nghttp2_session_mem_send(h2->session, &bytes);
	if (size < 0)
		return size == NGHTTP2_ERR_NOMEM ? ERR_SYSTEM : ERR_BUG;
	if (size == 0)
		return ERR_AGAIN;
	*out_bytes = view_of(bytes, (size_t)size);
	return 0;
}

bool h2_is_alive(const struct h2 *h2)
{
	return nghttp2_session_want_read(h2->session) || nghttp2_session_want_write(h2->session);
}

size_t h2_stream_count(const struct h2 *h2)
{
	return h2->stream_count;
}

bool h2_is_draining(const struct h2 *h2)
{
	return h2->draining;
}

/* ---- a stream ---- */

void h2_resume(struct h2 *h2, struct h2_stream *stream)
{
	if (!(stream->flags & H2_SLEEPING))
		return;
	stream->flags &= ~(unsigned)H2_SLEEPING;
	nghttp2_session_resume_data(h2->session, stream->id);
}

void h2_consume(struct h2 *h2, struct h2_stream *stream, size_t size)
{
	nghttp2_session_consume_stream(h2->session, stream->id, size);
}

void h2_widen(struct h2 *h2, struct h2_stream *stream, uint32_t window_bytes)
{
	if (nghttp2_session_get_stream_effective_local_window_size(h2->session, stream->id) < (int32_t)window_bytes)
		nghttp2_session_set_local_window_size(h2->session, NGHTTP2_FLAG_NONE, stream->id, (int32_t)window_bytes);
}

void h2_reset(struct h2 *h2, struct h2_stream *stream, enum h2_code code)
{
	if (stream->flags & H2_RESETTING)
		return;
	stream->flags |= H2_RESETTING;
	nghttp2_submit_rst_stream(h2->session, NGHTTP2_FLAG_NONE, stream->id, code);
}

void h2_terminate(struct h2 *h2, enum h2_code code)
{
	nghttp2_session_terminate_session(h2->session, code);
}

void h2_ping(struct h2 *h2)
{
	nghttp2_submit_ping(h2->session, NGHTTP2_FLAG_NONE, NULL);
}

const char *h2_code_name(enum h2_code code)
{
	return code == H2_CONNECTION_LOST ? "CONNECTION_LOST" : nghttp2_http2_strerror(code);
}

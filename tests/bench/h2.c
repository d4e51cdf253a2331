/* h2.c: nghttp2 between one connection and its tunnels.
 *
 * Windows as large as an ordinary fast client's: 1 MiB a stream, 16 MiB a connection.
 */
#include "h2.h"

#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fail.h"

#define STREAM_WINDOW (1 << 20)
#define CONNECTION_WINDOW (16 << 20)

struct h2 {
	struct connection connection;
	nghttp2_session *session;
	const struct h2_route *route;
	void (*opened)(void *owner);
	void *owner;
	const uint8_t *chunk; /* nghttp2's, not yet produced; good until it is asked for the next */
	size_t chunk_size;
	bool busy; /* within a call of nghttp2: what a callback wants to say goes out after it */
};

struct stream {
	struct tunnel tunnel;
	struct h2 *h2;
	int32_t id;
	int status;
	int status_limit; /* a status of this or more is a failure */
	bool ending;      /* nothing will be sent after the present bytes */
};

static struct stream *stream_of(struct tunnel *tunnel)
{
	return OWNER_OF(tunnel, struct stream, tunnel);
}

static void check(int result, const char *what)
{
	if (result < 0)
		fail("%s: %s", what, nghttp2_strerror(result));
}

/* ---- what nghttp2 reports ---- */

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_size,
		     const uint8_t *value, size_t value_size, uint8_t flags, void *owner)
{
	(void)flags, (void)owner, (void)value_size;
	struct stream *stream = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
	if (stream && name_size == 7 && memcmp(name, ":status", 7) == 0)
		stream->status = atoi((const char *)value);
	return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *owner)
{
	(void)owner;
	struct stream *stream = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
	if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code)
		fail("the server ended the connection: %s", nghttp2_http2_strerror(frame->goaway.error_code));
	if (!stream || frame->hd.type != NGHTTP2_HEADERS)
		return 0;
	if (stream->status < 200 || stream->status >= stream->status_limit)
		fail("the server answered %d", stream->status);
	stream->tunnel.events->opened(&stream->tunnel);
	return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes, size_t size, void *owner)
{
	(void)flags, (void)owner;
	struct stream *stream = nghttp2_session_get_stream_user_data(session, id);
	if (stream)
		stream->tunnel.events->received(&stream->tunnel, bytes, size);
	return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t error, void *owner)
{
	(void)owner;
	struct stream *stream = nghttp2_session_get_stream_user_data(session, id);
	if (!stream)
		return 0;
	if (!stream->ending || (error != NGHTTP2_NO_ERROR && error != NGHTTP2_CANCEL))
		fail("the server ended a stream: %s", nghttp2_http2_strerror(error));
	stream->tunnel.events->finished(&stream->tunnel);
	loop_bury(stream);
	return 0;
}

static nghttp2_session *make_session(struct h2 *h2)
{
	nghttp2_session_callbacks *callbacks;
	nghttp2_session *session;
	check(nghttp2_session_callbacks_new(&callbacks), "nghttp2");
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
	check(nghttp2_session_client_new(&session, callbacks, h2), "nghttp2");
	nghttp2_session_callbacks_del(callbacks);
	return session;
}

/* ---- bytes to and from the connection ---- */

static struct h2 *h2_of(struct connection *connection)
{
	return OWNER_OF(connection, struct h2, connection);
}

static void on_opened(struct connection *connection)
{
	struct h2 *h2 = h2_of(connection);
	const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW},
						   {NGHTTP2_SETTINGS_ENABLE_PUSH, 0}};
	h2->session = make_session(h2);
	check(nghttp2_submit_settings(h2->session, NGHTTP2_FLAG_NONE, settings, 2), "settings");
	check(nghttp2_session_set_local_window_size(h2->session, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW), "window");
	h2->opened(h2->owner);
	connection_flush(connection);
}

static void on_received(struct connection *connection, const uint8_t *bytes, size_t size)
{
	struct h2 *h2 = h2_of(connection);
	h2->busy = true;
	ssize_t taken = nghttp2_session_mem_recv(h2->session, bytes, size);
	h2->busy = false;
	check((int)taken, "the server's frames");
	connection_flush(connection);
}

static bool next_chunk(struct h2 *h2)
{
	if (!h2->chunk_size) {
		h2->busy = true;
		ssize_t size = nghttp2_session_mem_send(h2->session, &h2->chunk);
		h2->busy = false;
		check((int)size, "frames to send");
		h2->chunk_size = (size_t)size;
	}
	return h2->chunk_size > 0;
}

static size_t on_produce(struct connection *connection, uint8_t *space, size_t size)
{
	struct h2 *h2 = h2_of(connection);
	size_t produced = 0;
	while (produced < size && next_chunk(h2)) {
		size_t piece = size - produced < h2->chunk_size ? size - produced : h2->chunk_size;
		memcpy(space + produced, h2->chunk, piece);
		h2->chunk += piece;
		h2->chunk_size -= piece;
		produced += piece;
	}
	return produced;
}

static void on_ended(struct connection *connection, const char *why)
{
	(void)connection;
	fail("the server ended the connection: %s", why);
}

static const struct connection_user user = {on_opened, on_received, on_produce, on_ended};

static void flush(struct h2 *h2)
{
	if (!h2->busy)
		connection_flush(&h2->connection);
}

/* ---- streams ---- */

static ssize_t read_stream(nghttp2_session *session, int32_t id, uint8_t *space, size_t size, uint32_t *flags,
			   nghttp2_data_source *source, void *owner)
{
	(void)session, (void)id, (void)owner;
	struct stream *stream = source->ptr;
	size_t taken = tunnel_take(&stream->tunnel, space, size);
	if (stream->ending && !tunnel_has_bytes(&stream->tunnel))
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	else if (!taken)
		return NGHTTP2_ERR_DEFERRED;
	return (ssize_t)taken;
}

/* A stream that is already being read has nothing to resume: that is no failure. */
static void kick(struct tunnel *tunnel)
{
	struct stream *stream = stream_of(tunnel);
	nghttp2_session_resume_data(stream->h2->session, stream->id);
	flush(stream->h2);
}

static void finish(struct tunnel *tunnel)
{
	stream_of(tunnel)->ending = true;
	kick(tunnel);
}

static const struct tunnel_carrier carrier = {kick, finish};

static nghttp2_nv header(const char *name, const char *value)
{
	return (nghttp2_nv){(uint8_t *)name, (uint8_t *)value, strlen(name), strlen(value), NGHTTP2_NV_FLAG_NONE};
}

static struct stream *new_stream(struct h2 *h2, const struct tunnel_events *events, void *owner)
{
	struct stream *stream = must_allocate(sizeof(*stream));
	stream->tunnel = (struct tunnel){.carrier = &carrier, .events = events, .owner = owner};
	stream->h2 = h2;
	return stream;
}

static struct tunnel *submit(struct stream *stream, const nghttp2_nv *headers, size_t count, bool has_body)
{
	nghttp2_data_provider provider = {.source.ptr = stream, .read_callback = read_stream};
	stream->id = nghttp2_submit_request(stream->h2->session, NULL, headers, count, has_body ? &provider : NULL, stream);
	check(stream->id, "a request");
	flush(stream->h2);
	return &stream->tunnel;
}

struct tunnel *h2_tunnel(struct h2 *h2, const struct tunnel_events *events, void *owner)
{
	const struct h2_route *route = h2->route;
	struct stream *stream = new_stream(h2, events, owner);
	stream->status_limit = 300;
	nghttp2_nv headers[] = {header(":method", "CONNECT"), header(":authority", route->target),
				header("proxy-authorization", route->authorization ? route->authorization : "")};
	return submit(stream, headers, route->authorization ? 3 : 2, true);
}

struct tunnel *h2_get(struct h2 *h2, const char *path, const struct tunnel_events *events, void *owner)
{
	const struct h2_route *route = h2->route;
	struct stream *stream = new_stream(h2, events, owner);
	stream->status_limit = 500;
	stream->ending = true;
	nghttp2_nv headers[] = {header(":method", "GET"), header(":scheme", "https"),
				header(":authority", route->tls->server_name), header(":path", path),
				header("authorization", route->authorization ? route->authorization : "")};
	return submit(stream, headers, route->authorization ? 5 : 4, false);
}

struct h2 *h2_open(const struct h2_route *route, void (*opened)(void *owner), void *owner)
{
	struct h2 *h2 = must_allocate(sizeof(*h2));
	h2->route = route;
	h2->opened = opened;
	h2->owner = owner;
	connection_open(&h2->connection, route->port, route->tls, &user);
	return h2;
}

/* Streams of a closed connection are not reported; the process ends soon after, or they have finished. */
void h2_close(struct h2 *h2)
{
	if (h2->session)
		nghttp2_session_terminate_session(h2->session, NGHTTP2_NO_ERROR);
	connection_flush(&h2->connection);
	connection_close(&h2->connection);
	nghttp2_session_del(h2->session);
	loop_bury(h2);
}

/* http2_side.c: HTTP/2 between TLS and the exchanges: each stream is an exchange, or a tunnel once it was opened. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "sallyport/edge/monitor_room.h"
#include "worker.h"

enum { STRANGER_STREAMS_MAX = 8 };

static struct worker *worker_of(struct h2 *h2)
{
	return h2_owner(h2);
}

static enum stream_kind kind_of(const struct h2_stream *stream)
{
	return *(const enum stream_kind *)stream->owner;
}

static void on_request(struct h2 *h2, struct h2_stream *stream, const struct http_request *request)
{
	struct worker *worker = worker_of(h2);
	const struct conf *conf = worker->conf;
	/* Served when it is whole: on_finish comes for a request without a body as well. */
	if (!exchange_begin(worker, stream, request))
		worker_end(EXIT_FAILURE);
	if (worker->client.requests >= conf->requests_per_connection)
		h2_drain(h2);
	/* So many may have been under way when we said so: who asks for more than these does not listen. */
	if (worker->client.requests > conf->requests_per_connection + conf->streams_per_connection)
		h2_terminate(h2, H2_ENHANCE_YOUR_CALM);
}

/* To a target, which gives the window back as it takes. */
static bool is_carried(const struct h2_stream *stream)
{
	const struct exchange *exchange = stream->owner;
	return kind_of(stream) == STREAM_EXCHANGE && exchange->forward && !exchange->answered && !exchange->refused;
}

static void take_body(struct h2 *h2, struct h2_stream *stream, struct view bytes)
{
	if (kind_of(stream) == STREAM_EXCHANGE)
		exchange_body(stream->owner, bytes);
	h2_consume(h2, stream, bytes.size);
}

static void on_data(struct h2 *h2, struct h2_stream *stream, struct view bytes)
{
	if (!stream->owner) {
		h2_consume(h2, stream, bytes.size);
		return;
	}
	if (kind_of(stream) == STREAM_TUNNEL)
		tunnel_write(stream->owner, bytes);
	else if (is_carried(stream))
		forward_body(((struct exchange *)stream->owner)->forward, bytes);
	else
		take_body(h2, stream, bytes);
}

static void on_finish(struct h2 *h2, struct h2_stream *stream)
{
	(void)h2;
	if (!stream->owner)
		return;
	if (kind_of(stream) == STREAM_TUNNEL)
		tunnel_finish(stream->owner);
	else if (kind_of(stream) == STREAM_EXCHANGE)
		exchange_whole(stream->owner);
}

static int on_read(struct h2 *h2, struct h2_stream *stream, uint8_t *into, size_t capacity)
{
	(void)h2;
	/* A tunnel that ended in good order has told its end before it went away. */
	if (!stream->owner || kind_of(stream) == STREAM_EXCHANGE)
		return 0;
	return kind_of(stream) == STREAM_FEED ? feed_read(stream->owner, into, capacity)
					      : tunnel_read(stream->owner, into, capacity);
}

static void exchange_closed(struct exchange *exchange, enum h2_code code, bool by_peer)
{
	if (exchange->forward)
		forward_stream_closed(exchange, code, by_peer);
	exchange_gone(exchange);
}

static void on_closed(struct h2 *h2, struct h2_stream *stream, enum h2_code code, bool by_peer)
{
	(void)h2;
	if (!stream->owner)
		return;
	if (kind_of(stream) == STREAM_TUNNEL)
		tunnel_stream_closed(stream->owner, code, by_peer);
	else if (kind_of(stream) == STREAM_FEED)
		feed_gone(stream->owner);
	else
		exchange_closed(stream->owner, code, by_peer);
	stream->owner = NULL;
}

static const struct h2_handlers handlers = {
	.on_request = on_request,
	.on_data = on_data,
	.on_finish = on_finish,
	.on_read = on_read,
	.on_closed = on_closed,
};

/* Strangers need few, and what they do not take of an answer lies in memory. */
static uint32_t streams_max(const struct worker *worker)
{
	uint64_t most = worker->conf->streams_per_connection;
	bool is_stranger = worker->client.listener == MONITOR_ROOM_ENROLMENT;
	return (uint32_t)(is_stranger && most > STRANGER_STREAMS_MAX ? STRANGER_STREAMS_MAX : most);
}

int http2_begin(struct worker *worker)
{
	const struct conf *conf = worker->conf;
	const struct h2_options options = {
		.role = H2_SERVER,
		.handlers = &handlers,
		.owner = worker,
		.streams_max = streams_max(worker),
		.head_bytes = (uint32_t)conf->head_bytes,
		.stream_window_bytes = (uint32_t)conf->stream_window,
	};
	worker->spare_bytes = conf->stream_window_growth;
	/* Who speaks HTTP/2 takes what comes, whatever its tunnels do: who takes nothing for so long is gone. On HTTP/1.1 it may
	 * be a tunnel's reader that rests. */
	const unsigned silence_ms = (unsigned)conf->client_silence_ms;
	if (silence_ms)
		setsockopt(worker->client.fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &silence_ms, sizeof(silence_ms));
	return h2_new(&options, &worker->client.h2);
}

int http2_output(struct worker *worker)
{
	struct client *client = &worker->client;
	struct view bytes;
	int result;
	forward_turn(worker);
	while (tls_can_write(client->tls)) {
		result = h2_output(client->h2, &bytes);
		if (result == ERR_AGAIN)
			return 0;
		if (result < 0 || tls_write(client->tls, bytes) < 0)
			worker_end(EXIT_SUCCESS);
	}
	return ERR_AGAIN;
}

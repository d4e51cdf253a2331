/* tunnel.c: a tunnel's life in the worker: the broker's socket on one side, a stream (or, after an HTTP/1.1 CONNECT, the
 * whole connection) on the other; the pump moves the bytes. Its end is told to the broker once, with what it carried.
 * A request that is carried to a target (forward.c) goes such a way too.
 */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sallyport/clock.h"
#include "sallyport/fd.h"
#include "sallyport/log.h"
#include "sallyport/str.h"
#include "worker.h"

/* ---- what the pump asks ---- */

static struct tunnel *tunnel_of(struct pump *pump)
{
	return pump->owner;
}

static void on_pump_ready(struct pump *pump)
{
	tunnel_wake(tunnel_of(pump));
}

void tunnel_wake(struct tunnel *tunnel)
{
	/* HTTP/1.1: the turn reads (http1_output). */
	if (tunnel->forward)
		forward_wake(tunnel->forward);
	else if (tunnel->stream)
		h2_resume(tunnel->worker->client.h2, tunnel->stream);
}

void tunnel_go_on(struct tunnel *tunnel)
{
	struct client *client = &tunnel->worker->client;
	if (!client->input_paused || tunnel_pending(tunnel) > 0)
		return;
	if (client->forwarding == tunnel)
		http1_continue(tunnel->worker);
	if (client->whole != tunnel)
		return;
	client->input_paused = false;
	client_more(tunnel->worker);
}

static void widen_if_held_back(struct tunnel *tunnel)
{
	struct worker *worker = tunnel->worker;
	uint32_t wider = window_judge(&tunnel->window, clock_monotonic_ms(), fd_round_trip_us(worker->client.fd),
				      &worker->spare_bytes);
	if (wider)
		h2_widen(worker->client.h2, tunnel->stream, wider);
}

static void on_pump_consumed(struct pump *pump, size_t size)
{
	struct tunnel *tunnel = tunnel_of(pump);
	if (tunnel->forward)
		size = forward_consumed(tunnel->forward, size);
	if (!tunnel->stream) {
		tunnel_go_on(tunnel);
		return;
	}
	h2_consume(tunnel->worker->client.h2, tunnel->stream, size);
	if (window_consumed(&tunnel->window, size))
		widen_if_held_back(tunnel);
}

static void on_pump_reset(struct pump *pump)
{
	struct tunnel *tunnel = tunnel_of(pump);
	if (tunnel->stream && !tunnel->forward)
		h2_reset(tunnel->worker->client.h2, tunnel->stream, H2_CONNECT_ERROR);
}

int tunnel_pull(struct tunnel *tunnel, uint8_t *into, size_t capacity)
{
	return tunnel->shaped ? shaper_read(tunnel, into, capacity) : pump_read(&tunnel->pump, into, capacity);
}

void tunnel_push(struct tunnel *tunnel, struct view bytes)
{
	if (tunnel->shaped)
		shaper_write(tunnel, bytes);
	else
		pump_write(&tunnel->pump, bytes);
}

int tunnel_read(struct tunnel *tunnel, uint8_t *into, size_t capacity)
{
	return tunnel->forward ? forward_read(tunnel->forward, into, capacity) : tunnel_pull(tunnel, into, capacity);
}

void tunnel_write(struct tunnel *tunnel, struct view bytes)
{
	if (tunnel->forward)
		forward_body(tunnel->forward, bytes);
	else
		tunnel_push(tunnel, bytes);
}

void tunnel_finish(struct tunnel *tunnel)
{
	if (tunnel->forward)
		forward_whole(tunnel->forward);
	else if (tunnel->shaped)
		shaper_finish(tunnel);
	else
		pump_finish(&tunnel->pump);
}

size_t tunnel_pending(const struct tunnel *tunnel)
{
	return pump_pending(&tunnel->pump) + (tunnel->shaped ? shaper_pending(tunnel) : 0);
}

static void on_pump_closed(struct pump *pump)
{
	free(tunnel_of(pump));
}

static void tell_end(const struct tunnel *tunnel)
{
	const char *reason = *tunnel->ordered ? tunnel->ordered : pump_end_name(tunnel->pump.end);
	(void)LINK_SEND(&tunnel->worker->broker, worker_broker, tunnel_closed, -1, .tunnel = tunnel->id,
			.bytes_to_target = tunnel->pump.bytes_to_near, .bytes_to_client = tunnel->pump.bytes_from_near,
			.reason = view_string(reason));
}

static bool ended_well(const struct tunnel *tunnel)
{
	return tunnel->pump.end == PUMP_CLIENT_FIN || tunnel->pump.end == PUMP_TARGET_FIN;
}

void tunnel_reset_connection(const struct client *client)
{
	struct linger now = {.l_onoff = 1, .l_linger = 0};
	(void)setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

static void let_go_of_stream(struct tunnel *tunnel)
{
	if (tunnel->pump.end == PUMP_ENDED)
		h2_reset(tunnel->worker->client.h2, tunnel->stream, H2_CANCEL);
	tunnel->stream->owner = NULL;
	tunnel->stream = NULL;
}

/* True: it must be reset. */
static bool let_go_of_connection(const struct tunnel *tunnel)
{
	struct client *client = &tunnel->worker->client;
	bool well = ended_well(tunnel);
	client->whole = NULL;
	client->input_paused = false;
	client->closing_after |= well;
	if (!well)
		tunnel_reset_connection(client);
	return !well;
}

/* The client's side; true: the connection must be reset. */
static bool let_go(struct tunnel *tunnel)
{
	if (tunnel->forward)
		return forward_ended(tunnel);
	if (tunnel->stream)
		let_go_of_stream(tunnel);
	return tunnel->worker->client.whole == tunnel && let_go_of_connection(tunnel);
}

static void on_pump_ended(struct pump *pump)
{
	struct tunnel *tunnel = tunnel_of(pump);
	struct worker *worker = tunnel->worker;
	tell_end(tunnel);
	shaper_leave(tunnel);
	window_fini(&tunnel->window, &worker->spare_bytes);
	LIST_REMOVE(tunnel, all);
	worker->tunnel_count--;
	bool reset_connection = let_go(tunnel);
	pump_close(pump, on_pump_closed);
	if (reset_connection)
		worker_end(EXIT_SUCCESS);
	if (worker->client.state == CLIENT_OVER && LIST_EMPTY(&worker->tunnels))
		worker_end(EXIT_SUCCESS);
}

static const struct pump_carrier carrier = {
	.ready = on_pump_ready, .consumed = on_pump_consumed, .reset = on_pump_reset, .ended = on_pump_ended};

/* ---- opening ---- */

void tunnel_unwanted(struct worker *worker, uint64_t id, int fd)
{
	close(fd);
	(void)LINK_SEND(&worker->broker, worker_broker, tunnel_closed, -1, .tunnel = id, .reason = view_string("client_gone"));
}

static struct tunnel *make_tunnel(struct exchange *exchange, const struct tunnel_opening *opening)
{
	struct worker *worker = exchange->worker;
	struct tunnel *tunnel = calloc(1, sizeof(*tunnel));
	if (!tunnel)
		return NULL;
	tunnel->kind = STREAM_TUNNEL;
	tunnel->worker = worker;
	tunnel->id = opening->id;
	tunnel->session = opening->session;
	tunnel->stream = exchange->stream;
	if ((opening->rate && shaper_join(tunnel, opening->rate_group, opening->rate) < 0) ||
	    pump_start(&tunnel->pump, worker->loop, opening->fd, opening->fd, &carrier, tunnel) < 0) {
		shaper_leave(tunnel);
		free(tunnel);
		return NULL;
	}
	window_init(&tunnel->window, (uint32_t)worker->conf->stream_window, clock_monotonic_ms());
	LIST_INSERT_HEAD(&worker->tunnels, tunnel, all);
	worker->tunnel_count++;
	return tunnel;
}

void tunnel_open(struct exchange *exchange, const struct tunnel_opening *opening)
{
	struct worker *worker = exchange->worker;
	struct h2_stream *stream = exchange->stream;
	struct tunnel *tunnel = make_tunnel(exchange, opening);
	if (!tunnel) {
		tunnel_unwanted(worker, opening->id, opening->fd);
		exchange_refuse(exchange, 503, "unavailable", "The gateway has no room for another tunnel now.");
		return;
	}
	if (exchange->forward) {
		forward_begin(exchange, tunnel);
		return;
	}
	exchange->answered = true;
	if (!stream) {
		http1_become_tunnel(worker, tunnel);
		return;
	}
	stream->owner = tunnel;
	exchange_gone(exchange);
	if (h2_respond_tunnel(worker->client.h2, stream, NULL, 0) < 0)
		pump_carrier_lost(&tunnel->pump);
}

/* ---- ending ---- */

void tunnel_stream_closed(struct tunnel *tunnel, enum h2_code code, bool by_peer)
{
	/* The stream frees itself: nothing more is said on it. */
	tunnel->stream = NULL;
	/* Both directions ended in good order: the pump may still have bytes for the target, and ends by itself. */
	if (code == H2_NO_ERROR && !tunnel->forward)
		return;
	if (code == H2_CONNECTION_LOST)
		pump_carrier_lost(&tunnel->pump);
	else if (by_peer)
		pump_carrier_reset(&tunnel->pump);
	else
		pump_abort(&tunnel->pump);
}

struct tunnel *tunnel_find(struct worker *worker, uint64_t id)
{
	struct tunnel *tunnel;
	LIST_FOREACH(tunnel, &worker->tunnels, all)
		if (tunnel->id == id)
			return tunnel;
	return NULL;
}

static bool is_meant(const struct tunnel *tunnel, uint64_t session, uint64_t id)
{
	return id ? tunnel->id == id : !session || tunnel->session == session;
}

unsigned tunnel_close_all(struct worker *worker, uint64_t session, uint64_t id, const char *reason)
{
	struct tunnel *tunnel, *next;
	unsigned count = 0;
	for (tunnel = LIST_FIRST(&worker->tunnels); tunnel; tunnel = next) {
		next = LIST_NEXT(tunnel, all);
		if (!is_meant(tunnel, session, id))
			continue;
		str_copy(tunnel->ordered, sizeof(tunnel->ordered), reason);
		count++;
		pump_abort(&tunnel->pump);
	}
	return count;
}

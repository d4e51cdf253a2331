/* tunnel.c: one CONNECT stream between a local descriptor and a destination behind the gateway.
 *
 * Two lives end separately: the stream (on_closed) and the pump (on_pump_closed). The tunnel is over when both
 * are; a tunnel that was refused never had a pump.
 */
#include "tunnel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sallyport/clock.h"
#include "sallyport/own.h"
#include "sallyport/str.h"
#include "sallyport/window.h"

enum { PROBLEM_BYTES_MAX = 16 * 1024, PREFACE_BYTES_MAX = 128 * 1024 };

struct tunnel {
	struct stream stream; /* first: a stream is its tunnel */
	struct pump pump;
	uv_loop_t *loop;
	void (*on_stands)(void *owner);
	tunnel_over_handler on_over;
	void *owner;
	struct buf preface;
	struct window window;
	char target[DESTINATION_TEXT_MAX];
	int in_fd, out_fd; /* the owner's until the pump has them */
	bool pumping;      /* from the start of the pump to its closed handler */
	bool stream_open;
	bool peer_finished;
	bool near_finished;
	unsigned http_status;
	char retry_after[16];
	struct buf refusal; /* body of an answer that is not 2xx */
	struct tunnel_ending ending;
};

void tunnel_close_with_reset(int fd)
{
	struct linger at_once = {.l_onoff = 1, .l_linger = 0};
	/* Not a socket: then there is no RST either. */
	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	close(fd);
}

/* Tells the owner and frees, when nothing of the tunnel is left. */
static void settle(struct tunnel *tunnel)
{
	if (tunnel->pumping || tunnel->stream_open)
		return;
	tunnel->on_over(tunnel->owner, &tunnel->ending);
	buf_fini(&tunnel->refusal);
	buf_fini(&tunnel->preface);
	free(tunnel);
}

/* ---- the pump's side ---- */

static struct tunnel *tunnel_of(struct pump *pump)
{
	return pump->owner;
}

static void pump_is_ready(struct pump *pump)
{
	connection_resume(&tunnel_of(pump)->stream);
}

static void pump_has_consumed(struct pump *pump, size_t size)
{
	struct tunnel *tunnel = tunnel_of(pump);
	connection_consumed(&tunnel->stream, size);
	if (!window_consumed(&tunnel->window, size) || !tunnel->stream.h2)
		return;
	struct connection *connection = tunnel->stream.connection;
	uint32_t wider = window_judge(&tunnel->window, clock_monotonic_ms(), connection_round_trip_us(connection),
				      connection_spare_bytes(connection));
	if (wider)
		connection_widen(&tunnel->stream, wider);
}

static void pump_was_reset(struct pump *pump)
{
	connection_reset(&tunnel_of(pump)->stream, H2_CONNECT_ERROR);
}

static void on_pump_closed(struct pump *pump)
{
	struct tunnel *tunnel = tunnel_of(pump);
	tunnel->pumping = false;
	settle(tunnel);
}

static const char *end_sentence(enum pump_end end)
{
	switch (end) {
	case PUMP_TARGET_RESET:
		return _("the local side broke the connection");
	case PUMP_CLIENT_RESET:
		return _("the connection was reset at the other side");
	default:
		return _("the connection to the gateway was lost");
	}
}

static void pump_has_ended(struct pump *pump)
{
	struct tunnel *tunnel = tunnel_of(pump);
	tunnel->ending.pump = pump->end;
	if (pump->end != PUMP_CLIENT_FIN && pump->end != PUMP_TARGET_FIN)
		tunnel->ending.status = diag_set(&tunnel->ending.diag, STATUS_FAILED, "%s: %s", tunnel->target,
						 end_sentence(pump->end));
	pump_close(pump, on_pump_closed);
}

static const struct pump_carrier carrier = {
	.ready = pump_is_ready,
	.consumed = pump_has_consumed,
	.reset = pump_was_reset,
	.ended = pump_has_ended,
};

/* ---- the stream's side ---- */

static struct tunnel *tunnel_of_stream(struct stream *stream)
{
	return (struct tunnel *)stream;
}

static void start_pump(struct tunnel *tunnel)
{
	if (tunnel->on_stands)
		tunnel->on_stands(tunnel->owner);
	if (pump_start(&tunnel->pump, tunnel->loop, tunnel->in_fd, tunnel->out_fd, &carrier, tunnel) < 0) {
		tunnel->ending.status = diag_set(&tunnel->ending.diag, STATUS_FAILED, _("%s: cannot watch the local side"),
						 tunnel->target);
		connection_reset(&tunnel->stream, H2_CANCEL);
		return;
	}
	tunnel->pumping = tunnel->ending.stood = true;
	window_init(&tunnel->window, CONNECTION_WINDOW_BYTES, clock_monotonic_ms());
	connection_resume(&tunnel->stream);
}

static void on_response(struct stream *stream, const struct http_response *response)
{
	struct tunnel *tunnel = tunnel_of_stream(stream);
	tunnel->http_status = response->status;
	if (response->status / 100 == 2)
		start_pump(tunnel);
	else if (view_to_string(response->retry_after, tunnel->retry_after, sizeof(tunnel->retry_after)) < 0)
		tunnel->retry_after[0] = 0;
}

static void on_data(struct stream *stream, struct view bytes)
{
	struct tunnel *tunnel = tunnel_of_stream(stream);
	if (tunnel->pumping) {
		pump_write(&tunnel->pump, bytes);
		return;
	}
	if (tunnel->http_status / 100 != 2)
		/* More than fits is no problem document. */
		(void)!buf_add(&tunnel->refusal, bytes);
	connection_consumed(stream, bytes.size);
}

static void on_finish(struct stream *stream)
{
	struct tunnel *tunnel = tunnel_of_stream(stream);
	tunnel->peer_finished = true;
	if (tunnel->pumping)
		pump_finish(&tunnel->pump);
	else
		/* A refusal ends here: there is nothing to send to a tunnel that does not stand. */
		connection_resume(stream);
}

static int read_preface(struct tunnel *tunnel, uint8_t *into, size_t capacity)
{
	size_t count = tunnel->preface.size < capacity ? tunnel->preface.size : capacity;
	memcpy(into, tunnel->preface.data, count);
	buf_consume(&tunnel->preface, count);
	return (int)count;
}

static int on_read(struct stream *stream, uint8_t *into, size_t capacity)
{
	struct tunnel *tunnel = tunnel_of_stream(stream);
	if (!tunnel->pumping)
		return tunnel->peer_finished ? 0 : ERR_AGAIN;
	if (tunnel->preface.size)
		return read_preface(tunnel, into, capacity);
	int count = pump_read(&tunnel->pump, into, capacity);
	tunnel->near_finished |= count == 0;
	return count;
}

static void judge_refusal(struct tunnel *tunnel, enum h2_code code)
{
	struct tunnel_ending *ending = &tunnel->ending;
	struct refused refused;
	if (ending->status != STATUS_OK)
		return;
	ending->refused = true;
	if (code == H2_CONNECTION_LOST) {
		ending->status = connection_ending(tunnel->stream.connection, &ending->diag);
		if (ending->status == STATUS_OK)
			ending->status = diag_set(&ending->diag, STATUS_UNREACHABLE,
						  _("%s: the gateway closed the connection without an answer"), tunnel->target);
	} else if (!tunnel->http_status) {
		ending->status = diag_set(&ending->diag, STATUS_FAILED, _("%s: the gateway did not open the tunnel (%s)"),
					  tunnel->target, h2_code_name(code));
	} else {
		problem_read(buf_view(&tunnel->refusal), tunnel->http_status, view_string(tunnel->retry_after), &refused);
		ending->status = problem_explain(&refused, tunnel->target, &ending->diag);
		ending->session_ended = problem_ends_session(&refused);
		ending->wants_fresh_login = problem_wants_fresh_login(&refused);
	}
}

static void end_pump(struct tunnel *tunnel, enum h2_code code)
{
	bool in_good_order = code == H2_NO_ERROR && tunnel->peer_finished && tunnel->near_finished;
	/* After a good end the pump may still have bytes for the local side; it ends by itself. */
	if (code == H2_CONNECTION_LOST)
		pump_carrier_lost(&tunnel->pump);
	else if (!in_good_order)
		pump_carrier_reset(&tunnel->pump);
}

static void on_closed(struct stream *stream, enum h2_code code, bool by_peer)
{
	(void)by_peer;
	struct tunnel *tunnel = tunnel_of_stream(stream);
	window_fini(&tunnel->window, connection_spare_bytes(stream->connection));
	tunnel->stream_open = false;
	tunnel->ending.code = code;
	if (tunnel->pumping)
		end_pump(tunnel, code);
	else if (tunnel->http_status / 100 != 2)
		judge_refusal(tunnel, code);
	settle(tunnel);
}

static const struct stream_handlers handlers = {
	.on_response = on_response,
	.on_data = on_data,
	.on_finish = on_finish,
	.on_read = on_read,
	.on_closed = on_closed,
};

static int send_request(struct tunnel *tunnel, const struct tunnel_options *options, struct diag *diag)
{
	char authorization[ANSWER_TOKEN_MAX + 16];
	snprintf(authorization, sizeof(authorization), "Bearer %s", options->token->text);
	struct http_header headers[] = {HTTP_HEADER("proxy-authorization", authorization)};
	struct h2_request request = {
		.method = "CONNECT",
		.authority = view_string(tunnel->target),
		.headers = headers,
		.header_count = 1,
	};
	int status = connection_request(options->connection, &request, &tunnel->stream, diag);
	wipe(authorization, sizeof(authorization));
	return status;
}

int tunnel_start(const struct tunnel_options *options, struct tunnel **out_tunnel, struct diag *diag)
{
	struct tunnel *tunnel = calloc(1, sizeof(*tunnel));
	if (!tunnel)
		return diag_set(diag, STATUS_FAILED, _("memory is out"));
	tunnel->stream.handlers = &handlers;
	tunnel->loop = options->loop;
	tunnel->on_stands = options->on_stands;
	tunnel->on_over = options->on_over;
	tunnel->owner = options->owner;
	tunnel->in_fd = options->in_fd;
	tunnel->out_fd = options->out_fd;
	tunnel->refusal = BUF_INIT(PROBLEM_BYTES_MAX);
	tunnel->preface = BUF_INIT(PREFACE_BYTES_MAX);
	destination_text(options->destination, tunnel->target);
	int status = buf_add(&tunnel->preface, options->preface) < 0
			     ? diag_set(diag, STATUS_FAILED, _("memory is out")) : send_request(tunnel, options, diag);
	if (status != STATUS_OK) {
		buf_fini(&tunnel->preface);
		free(tunnel);
		return status;
	}
	tunnel->stream_open = true;
	*out_tunnel = tunnel;
	return STATUS_OK;
}

void tunnel_bytes(const struct tunnel *tunnel, uint64_t *out_sent, uint64_t *out_received)
{
	*out_sent = tunnel->pump.bytes_from_near;
	*out_received = tunnel->pump.bytes_to_near;
}

void tunnel_abort(struct tunnel *tunnel)
{
	connection_reset(&tunnel->stream, H2_CANCEL);
	if (tunnel->pumping)
		pump_abort(&tunnel->pump);
}

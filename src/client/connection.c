/* connection.c: the one connection to the gateway. What travels on its streams is api.c's and tunnel.c's
 * matter; why a device was refused is worded in refusal.c.
 *
 *     dial -> handshake -> open -> over
 *                |           |
 *                +-----------+---> over (connection->status says why)
 */
#include "connection.h"

#include <netinet/in.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "dial.h"
#include "explain.h"
#include "refusal.h"
#include "sallyport/clock.h"
#include "sallyport/fd.h"
#include "sallyport/own.h"
#include "sallyport/str.h"
#include "sallyport/tls.h"
#include "sallyport/x509.h"

enum {
	HANDSHAKE_LIMIT_MS = 15000,
	/* One turn of the loop reads so many records, so that local sides get their turn too. */
	RECORDS_PER_TURN = 64,
	HEAD_BYTES = 64 * 1024,
	/* A NAT sees a packet every minute. The kernel tries again after 51, 102 and 204 seconds without an answer: a tunnel
	 * outlives minutes without a network. That others go another way by then is the uplink's matter. */
	KEEPALIVE_IDLE_S = 60,
	KEEPALIVE_INTERVAL_S = 10,
	KEEPALIVE_PROBES = 3,
	UNACKNOWLEDGED_LIMIT_MS = 300000,
	/* How long the gateway may take to end its side after we have ended ours. */
	FINISH_LIMIT_MS = 10000,
	/* What local readers that have stopped may leave in memory, beyond the windows that their tunnels began with. */
	SPARE_BYTES = 256 * 1024 * 1024,
};

struct connection {
	enum connection_state state;
	int status; /* once over */
	struct diag diag;
	size_t streams_cut;
	struct stream *streams;
	connection_change_handler on_change;
	void *owner;
	const struct device *device;
	char host[256], authority[272];
	uv_loop_t *loop;
	struct dial *dial;
	int fd;
	struct tls *tls;
	struct h2 *h2;
	uint64_t heard_ms;
	uint64_t spare_bytes; /* what windows may still grow by */
	bool answered;     /* the gateway has sent something after the handshake: the device was accepted */
	bool finishing;    /* connection_finish */
	bool output_ended; /* the gateway has been told that no more comes */
	bool closing;      /* connection_close: nobody wants to be told */
	uv_poll_t poll;      /* only once there is a descriptor */
	int watched;         /* what poll waits for */
	uv_prepare_t flush;  /* once per turn, before the loop sleeps */
	uv_idle_t more;      /* runs while bytes wait inside the TLS session */
	uv_timer_t limit;
	unsigned handles;
};

static void on_event(uv_poll_t *poll, int status, int events);

static void watch(struct connection *connection)
{
	int wanted = UV_READABLE | (tls_wants_write(connection->tls) ? UV_WRITABLE : 0);
	/* libuv would register anew each time. */
	if (wanted != connection->watched)
		uv_poll_start(&connection->poll, wanted, on_event);
	connection->watched = wanted;
}

/* ---- the end ---- */

static void let_go(struct connection *connection)
{
	uv_timer_stop(&connection->limit);
	uv_idle_stop(&connection->more);
	uv_prepare_stop(&connection->flush);
	if (connection->poll.data)
		uv_poll_stop(&connection->poll);
	if (connection->dial)
		dial_cancel(take_pointer(&connection->dial));
	connection->streams_cut = connection_stream_count(connection);
	/* Streams are told here; they may ask for the state, which says OVER. */
	h2_free(take_pointer(&connection->h2));
	tls_free(take_pointer(&connection->tls));
	if (connection->fd >= 0)
		close(take_fd(&connection->fd));
}

static void over(struct connection *connection, int status, const struct diag *diag)
{
	if (connection->state == CONNECTION_OVER)
		return;
	connection->state = CONNECTION_OVER;
	connection->status = status;
	if (diag)
		connection->diag = *diag;
	let_go(connection);
	if (!connection->closing)
		connection->on_change(connection, connection->owner);
}

[[gnu::format(printf, 3, 4)]] static void over_with(struct connection *connection, int status, const char *format, ...);
static void over_with(struct connection *connection, int status, const char *format, ...)
{
	struct diag diag;
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(diag.text, sizeof(diag.text), format, arguments);
	va_end(arguments);
	over(connection, status, &diag);
}

/* The gateway speaks of our certificate's time: then both clocks matter. */
static int explain_time(const struct connection *connection, int status, struct diag *diag)
{
	const struct refusal_times times = {connection->device->not_before_s, connection->device->not_after_s,
					    (int64_t)(clock_wall_ms() / 1000)};
	return tls_alert_received(connection->tls) == TLS_ALERT_CERTIFICATE_EXPIRED
		       ? refusal_for_time(&times, connection->authority, diag)
		       : status;
}

static void over_by_peer(struct connection *connection)
{
	struct diag diag;
	int status = refusal_explain(connection->tls, connection->authority, connection->answered, &diag);
	over(connection, explain_time(connection, status, &diag), &diag);
}

/* ---- streams ---- */

static struct stream *user_of(struct h2_stream *stream)
{
	return stream->owner;
}

static void enlist(struct connection *connection, struct stream *stream)
{
	stream->answered = false;
	stream->previous = NULL;
	stream->next = connection->streams;
	if (stream->next)
		stream->next->previous = stream;
	connection->streams = stream;
}

static void delist(struct stream *stream)
{
	if (stream->previous)
		stream->previous->next = stream->next;
	else
		stream->connection->streams = stream->next;
	if (stream->next)
		stream->next->previous = stream->previous;
}

static void on_response(struct h2 *h2, struct h2_stream *stream, const struct http_response *response)
{
	(void)h2;
	if (user_of(stream))
		user_of(stream)->answered = true;
	if (user_of(stream))
		user_of(stream)->handlers->on_response(user_of(stream), response);
}

static void on_data(struct h2 *h2, struct h2_stream *stream, struct view bytes)
{
	if (user_of(stream))
		user_of(stream)->handlers->on_data(user_of(stream), bytes);
	else
		h2_consume(h2, stream, bytes.size);
}

static void on_finish(struct h2 *h2, struct h2_stream *stream)
{
	(void)h2;
	if (user_of(stream))
		user_of(stream)->handlers->on_finish(user_of(stream));
}

static int on_read(struct h2 *h2, struct h2_stream *stream, uint8_t *into, size_t capacity)
{
	(void)h2;
	if (!user_of(stream) || !user_of(stream)->handlers->on_read)
		return ERR_AGAIN;
	return user_of(stream)->handlers->on_read(user_of(stream), into, capacity);
}

static void on_closed(struct h2 *h2, struct h2_stream *stream, enum h2_code code, bool by_peer)
{
	(void)h2;
	struct stream *user = user_of(stream);
	if (!user)
		return;
	user->h2 = NULL;
	delist(user);
	user->handlers->on_closed(user, code, by_peer);
}

static const struct h2_handlers stream_handlers = {
	.on_response = on_response,
	.on_data = on_data,
	.on_finish = on_finish,
	.on_read = on_read,
	.on_closed = on_closed,
};

bool connection_takes_requests(const struct connection *connection)
{
	return connection->state == CONNECTION_OPEN && connection->h2 && !h2_is_draining(connection->h2);
}

int connection_request(struct connection *connection, struct h2_request *request, struct stream *stream,
		       struct diag *diag)
{
	if (!connection_takes_requests(connection))
		return diag_set(diag, STATUS_UNREACHABLE, _("The connection to the gateway %s is over"), connection->authority);
	if (!request->authority.size)
		request->authority = view_string(connection->authority);
	request->owner = stream;
	stream->connection = connection;
	if (h2_request(connection->h2, request, &stream->h2) < 0)
		return diag_set(diag, STATUS_UNREACHABLE, _("The connection to the gateway %s takes no more requests"),
				connection->authority);
	enlist(connection, stream);
	return STATUS_OK;
}

void connection_consumed(struct stream *stream, size_t size)
{
	if (stream->h2)
		h2_consume(stream->connection->h2, stream->h2, size);
}

void connection_widen(struct stream *stream, uint32_t window_bytes)
{
	if (stream->h2)
		h2_widen(stream->connection->h2, stream->h2, window_bytes);
}

uint64_t connection_round_trip_us(const struct connection *connection)
{
	return fd_round_trip_us(connection->fd);
}

uint64_t *connection_spare_bytes(struct connection *connection)
{
	return &connection->spare_bytes;
}

void connection_resume(struct stream *stream)
{
	if (stream->h2)
		h2_resume(stream->connection->h2, stream->h2);
}

void connection_reset(struct stream *stream, enum h2_code code)
{
	if (stream->h2)
		h2_reset(stream->connection->h2, stream->h2, code);
}

void connection_forget(struct stream *stream)
{
	if (!stream->h2)
		return;
	struct h2_stream *h2_stream = take_pointer(&stream->h2);
	delist(stream);
	h2_stream->owner = NULL;
	h2_reset(stream->connection->h2, h2_stream, H2_CANCEL);
}

void connection_give_up_unanswered(struct connection *connection)
{
	struct stream *stream = connection->streams;
	while (stream) {
		if (stream->answered) {
			stream = stream->next;
			continue;
		}
		connection_forget(stream);
		stream->handlers->on_closed(stream, H2_CONNECTION_LOST, false);
		/* Others may have gone with it. */
		stream = connection->streams;
	}
}

/* ---- bytes ---- */

/* All is handed over: say that there is no more. What the gateway still sends is read, so that closing does not
 * turn into an RST that overtakes the last bytes. */
static void end_output(struct connection *connection)
{
	if (!connection->output_ended && tls_close_write(connection->tls) == 0 && tls_flush(connection->tls) == 0) {
		shutdown(connection->fd, SHUT_WR);
		connection->output_ended = true;
	}
}

/* Fills the batch. True when it is full (it may have been before) and may not have been enough. */
static bool fill_batch(struct connection *connection)
{
	struct view bytes;
	while (tls_can_write(connection->tls)) {
		if (h2_output(connection->h2, &bytes) < 0 || tls_write(connection->tls, bytes) < 0)
			return false;
	}
	return tls_wants_write(connection->tls);
}

/* Hands the gateway what the streams have for it. That sending fails is no verdict: why it fails (an alert, a
 * GOAWAY) is about to be read. */
static void send_output(struct connection *connection)
{
	bool full, sent;
	do {
		full = fill_batch(connection);
		sent = tls_flush(connection->tls) == 0;
	} while (full && sent);
	if (sent && connection->finishing)
		end_output(connection);
	else if (sent && !h2_is_alive(connection->h2))
		over(connection, STATUS_OK, NULL);
}

static void on_flush(uv_prepare_t *prepare)
{
	struct connection *connection = prepare->data;
	send_output(connection);
	if (connection->state == CONNECTION_OPEN)
		watch(connection);
}

static void on_more(uv_idle_t *idle);

static void on_input_end(struct connection *connection)
{
	/* A good-bye with nothing left to do is no failure. */
	bool in_good_order = tls_ending(connection->tls) == TLS_CLOSED && !h2_is_alive(connection->h2);
	if (connection->finishing || in_good_order)
		over(connection, STATUS_OK, NULL);
	else
		over_by_peer(connection);
}

static void receive(struct connection *connection)
{
	struct view bytes;
	uv_idle_stop(&connection->more);
	for (int i = 0; i < RECORDS_PER_TURN; i++) {
		int result = tls_read(connection->tls, &bytes);
		if (result == ERR_AGAIN)
			return;
		if (result < 0) {
			on_input_end(connection);
			return;
		}
		connection->answered = true;
		connection->heard_ms = clock_monotonic_ms();
		if (!connection->finishing && h2_input(connection->h2, bytes) < 0) {
			over_with(connection, STATUS_UNREACHABLE, _("The gateway %s does not speak HTTP/2 as it should"),
				  connection->authority);
			return;
		}
	}
	/* Records inside the session make no descriptor readable. */
	uv_idle_start(&connection->more, on_more);
}

static void on_more(uv_idle_t *idle)
{
	receive(idle->data);
}

/* ---- the way up ---- */

static int make_h2(struct connection *connection)
{
	const struct h2_options options = {
		.role = H2_CLIENT,
		.handlers = &stream_handlers,
		.owner = connection,
		.streams_max = 1,
		.head_bytes = HEAD_BYTES,
		.stream_window_bytes = CONNECTION_WINDOW_BYTES,
	};
	return h2_new(&options, &connection->h2);
}

static void explain_handshake(const struct connection *connection)
{
	struct x509_facts facts;
	char until[32];
	if (!explain_wanted() || x509_facts(tls_peer_leaf(connection->tls), &facts, NULL) < 0)
		return;
	clock_format((uint64_t)facts.not_after_s * 1000, until, sizeof(until));
	explain("%s: %s, %s; it shows the certificate \"%s\" by \"%s\", good until %s", connection->authority,
		tls_protocol_name(connection->tls), tls_suite_name(connection->tls), facts.name, facts.issuer, until);
}

static void handshake_done(struct connection *connection)
{
	uv_timer_stop(&connection->limit);
	if (tls_application(connection->tls) != TLS_HTTP2)
		over_with(connection, STATUS_UNREACHABLE, _("What answers at %s does not speak HTTP/2: it is no Sallyport gateway"),
			  connection->authority);
	else if (make_h2(connection) < 0)
		over_with(connection, STATUS_FAILED, _("memory is out"));
	if (connection->state == CONNECTION_OVER)
		return;
	connection->state = CONNECTION_OPEN;
	connection->heard_ms = clock_monotonic_ms();
	explain_handshake(connection);
	uv_prepare_start(&connection->flush, on_flush);
	connection->on_change(connection, connection->owner);
	/* The gateway's first records may have come with its last handshake message. */
	if (connection->state == CONNECTION_OPEN)
		receive(connection);
}

static void handshake(struct connection *connection)
{
	struct diag diag = {0};
	int result = tls_handshake(connection->tls, &diag);
	if (result == 0) {
		handshake_done(connection);
	} else if (result == ERR_AGAIN) {
		watch(connection);
	} else {
		(void)tls_flush(connection->tls);
		int status = refusal_explain_handshake(connection->tls, result, connection->authority, &diag);
		over(connection, explain_time(connection, status, &diag), &diag);
	}
}

static void on_event(uv_poll_t *poll, int status, int events)
{
	(void)events;
	struct connection *connection = poll->data;
	/* After a failure libuv has stopped watching. */
	if (status < 0)
		connection->watched = 0;
	if (connection->state == CONNECTION_HANDSHAKE)
		handshake(connection);
	else if (connection->state == CONNECTION_OPEN)
		receive(connection);
}

static void notice_dead_paths(int fd)
{
	static const struct {
		int level, option, value;
	} options[] = {
		{SOL_SOCKET, SO_KEEPALIVE, 1},
		{IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S},
		{IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S},
		{IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES},
		{IPPROTO_TCP, TCP_USER_TIMEOUT, UNACKNOWLEDGED_LIMIT_MS},
	};
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		(void)setsockopt(fd, options[i].level, options[i].option, &options[i].value, sizeof(options[i].value));
}

static void on_limit(uv_timer_t *timer)
{
	struct connection *connection = timer->data;
	if (connection->finishing)
		over(connection, STATUS_OK, NULL);
	else
		over_with(connection, STATUS_UNREACHABLE, _("The gateway %s does not finish the TLS handshake; check this device's network, or try again later"),
			  connection->authority);
}

static void on_dialed(void *owner, int fd, const struct diag *diag)
{
	struct connection *connection = owner;
	struct diag failure;
	connection->dial = NULL;
	if (fd < 0) {
		over(connection, STATUS_UNREACHABLE, diag);
		return;
	}
	connection->fd = fd;
	connection->state = CONNECTION_HANDSHAKE;
	notice_dead_paths(fd);
	if (uv_poll_init(connection->loop, &connection->poll, fd) < 0) {
		over_with(connection, STATUS_FAILED, _("cannot watch the connection to the gateway"));
		return;
	}
	connection->poll.data = connection;
	connection->handles++;
	uv_timer_start(&connection->limit, on_limit, HANDSHAKE_LIMIT_MS, 0);
	if (tls_new_client(connection->device->credentials, fd, connection->host, &connection->tls, &failure) < 0)
		over(connection, STATUS_FAILED, &failure);
	else
		handshake(connection);
}

int connection_start(uv_loop_t *loop, const struct settings *settings, const struct device *device,
		     connection_change_handler on_change, void *owner, struct connection **out_connection,
		     struct diag *diag)
{
	struct connection *connection = calloc(1, sizeof(*connection));
	if (!connection)
		return diag_set(diag, STATUS_FAILED, _("memory is out"));
	connection->loop = loop;
	connection->device = device;
	connection->on_change = on_change;
	connection->owner = owner;
	connection->fd = -1;
	connection->spare_bytes = SPARE_BYTES;
	str_copy(connection->host, sizeof(connection->host), settings->host);
	settings_authority(settings, connection->authority, sizeof(connection->authority));
	if (dial_start(loop, settings->host, settings->port, on_dialed, connection, &connection->dial, diag) < 0) {
		free(connection);
		return STATUS_UNREACHABLE;
	}
	uv_prepare_init(loop, &connection->flush);
	uv_idle_init(loop, &connection->more);
	uv_timer_init(loop, &connection->limit);
	connection->flush.data = connection->more.data = connection->limit.data = connection;
	connection->handles = 3;
	*out_connection = connection;
	return STATUS_OK;
}

enum connection_state connection_state(const struct connection *connection)
{
	return connection->state;
}

int connection_ending(const struct connection *connection, struct diag *out_diag)
{
	*out_diag = connection->diag;
	return connection->status;
}

size_t connection_streams_cut(const struct connection *connection)
{
	return connection->streams_cut;
}

const char *connection_authority(const struct connection *connection)
{
	return connection->authority;
}

uint64_t connection_heard_ms(const struct connection *connection)
{
	return connection->heard_ms;
}

void connection_ping(struct connection *connection)
{
	if (connection->state == CONNECTION_OPEN)
		h2_ping(connection->h2);
}

bool connection_is_awaited(const struct connection *connection)
{
	const struct stream *stream = connection->streams;
	while (stream && (stream->answered || stream->background))
		stream = stream->next;
	return stream;
}

size_t connection_stream_count(const struct connection *connection)
{
	size_t background = 0;
	for (const struct stream *stream = connection->streams; stream; stream = stream->next)
		background += stream->background;
	return connection->h2 ? h2_stream_count(connection->h2) - background : 0;
}

static bool local_address(const struct connection *connection, char *out_text, size_t capacity)
{
	struct sockaddr_storage address;
	socklen_t length = sizeof(address);
	return connection->fd >= 0 && getsockname(connection->fd, (struct sockaddr *)&address, &length) == 0 &&
	       getnameinfo((struct sockaddr *)&address, length, out_text, (socklen_t)capacity, NULL, 0, NI_NUMERICHOST) == 0;
}

bool connection_same_address(const struct connection *connection, const struct connection *other)
{
	char first[INET6_ADDRSTRLEN + 20], second[INET6_ADDRSTRLEN + 20];
	return local_address(connection, first, sizeof(first)) && local_address(other, second, sizeof(second)) &&
	       strcmp(first, second) == 0;
}

void connection_finish(struct connection *connection)
{
	if (connection->state != CONNECTION_OPEN || connection->finishing)
		return;
	connection->finishing = true;
	h2_terminate(connection->h2, H2_NO_ERROR);
	uv_timer_start(&connection->limit, on_limit, FINISH_LIMIT_MS, 0);
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct connection *connection = handle->data;
	if (--connection->handles == 0)
		free(connection);
}

void connection_close(struct connection *connection)
{
	if (!connection)
		return;
	connection->closing = true;
	if (connection->state == CONNECTION_OPEN && !connection->finishing) {
		h2_terminate(connection->h2, H2_NO_ERROR);
		connection->finishing = true;
		send_output(connection);
	}
	over(connection, STATUS_OK, NULL);
	uv_close((uv_handle_t *)&connection->flush, on_handle_closed);
	uv_close((uv_handle_t *)&connection->more, on_handle_closed);
	uv_close((uv_handle_t *)&connection->limit, on_handle_closed);
	if (connection->poll.data)
		uv_close((uv_handle_t *)&connection->poll, on_handle_closed);
}

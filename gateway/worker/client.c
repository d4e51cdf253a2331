/* client.c: the one client: its handshake, its proof, its acceptance, and then its bytes, in rounds of the loop.
 *
 *   NONE (-> PROXIED) -> HANDSHAKE -> PROVING -> OPEN -> (end)
 *               |           |        |
 *               +--> REFUSED +--------+--> ENDING: alert or last answer goes out, input is dropped
 *
 * No byte of HTTP is parsed or sent before the broker has accepted the device. What the bytes mean is http1_side.c's and
 * http2_side.c's matter.
 */
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy_head.h"
#include "sallyport/clock.h"
#include "sallyport/edge/monitor_room.h"
#include "sallyport/log.h"
#include "worker.h"

/* Records that are taken in one round, before others (tunnels, the broker) have their turn. */
enum { RECORDS_PER_TURN = 32 };
/* How long an ending connection waits for the client to take the last bytes. */
enum { ENDING_MS = 2000 };
/* How long a target may take the last bytes of a client that has gone. */
enum { DRAINING_MS = 60000 };
/* A client that has not moved a byte for so long is idle. */
enum { TRIM_MS = 1000 };

static void on_ready(uv_poll_t *poll, int status, int events);
static void on_turn(uv_prepare_t *turn);
static void on_more(uv_idle_t *more);
static void on_timer(uv_timer_t *timer);

/* ---- watching ---- */

static void watch(struct client *client, int events)
{
	if (client->events == events)
		return;
	client->events = events;
	if (events)
		uv_poll_start(&client->poll, events, on_ready);
	else
		uv_poll_stop(&client->poll);
}

static bool wants_input(const struct client *client)
{
	return client->state == CLIENT_HANDSHAKE || client->state == CLIENT_ENDING ||
	       /* The whole head was read: what follows is TLS, and waits. */
	       (client->state == CLIENT_PROXIED && client->proxy_head.limit) ||
	       (client->state == CLIENT_OPEN && !client->input_paused && !client->closing_after &&
		tls_ending(client->tls) == TLS_OPEN);
}

static void watch_what_is_wanted(struct client *client)
{
	/* While the broker is asked, a client that goes away is noticed all the same. Elsewhere its end is read. */
	int events = client->state == CLIENT_PROVING ? UV_DISCONNECT : 0;
	events |= wants_input(client) ? UV_READABLE : 0;
	events |= tls_wants_write(client->tls) && client->state != CLIENT_REFUSED ? UV_WRITABLE : 0;
	watch(client, events);
}

/* ---- time limits ---- */

static void arm(struct worker *worker, uint64_t due_ms)
{
	struct client *client = &worker->client;
	if (client->timer_ms == due_ms)
		return;
	client->timer_ms = due_ms;
	uint64_t now = clock_monotonic_ms();
	if (due_ms)
		uv_timer_start(&client->timer, on_timer, due_ms > now ? due_ms - now : 0, 0);
	else
		uv_timer_stop(&client->timer);
}

/* 0 is never. */
static uint64_t sooner(uint64_t a, uint64_t b)
{
	return !a || (b && b < a) ? b : a;
}

/* The first request that is late: it is not whole, or its target does not answer. */
static uint64_t request_deadline(const struct worker *worker)
{
	const struct exchange *exchange;
	uint64_t due = 0;
	LIST_FOREACH(exchange, &worker->exchanges, all)
		due = sooner(due, sooner(exchange->deadline_ms, exchange->answer_by_ms));
	uint64_t head = worker->client.unread_since_ms;
	return head ? sooner(due, head + worker->conf->request_time_limit_ms) : due;
}

/* Somebody still works for the client. An answer that it does not take is no reason to keep its connection. */
static bool is_served(const struct worker *worker)
{
	const struct exchange *exchange;
	LIST_FOREACH(exchange, &worker->exchanges, all)
		if (!exchange->answered)
			return true;
	return !LIST_EMPTY(&worker->feeds);
}

/* When something of the open connection, or all of it, has taken too long; 0: nothing can. */
static uint64_t limit_of(struct worker *worker)
{
	struct client *client = &worker->client;
	if (client->closing_after) {
		client->closing_ms = client->closing_ms ? client->closing_ms : clock_monotonic_ms();
		return client->closing_ms + ENDING_MS;
	}
	uint64_t due = request_deadline(worker);
	if (!due && !is_served(worker) && LIST_EMPTY(&worker->tunnels))
		due = client->active_ms + worker->conf->connection_idle_ms;
	return due;
}

static void arm_what_is_due(struct worker *worker)
{
	struct client *client = &worker->client;
	if (client->state == CLIENT_PROXIED || client->state == CLIENT_HANDSHAKE || client->state == CLIENT_PROVING ||
	    client->state == CLIENT_REFUSED) {
		arm(worker, client->begun_ms + worker->conf->login_grace_ms);
		return;
	}
	if (client->state != CLIENT_OPEN)
		return;
	uint64_t due = limit_of(worker), trim = client->active_ms + TRIM_MS;
	arm(worker, !client->trimmed && !client->closing_after && (!due || trim < due) ? trim : due);
}

/* An idle client owns no buffers. */
static void trim(struct client *client)
{
	client->trimmed = true;
	tls_trim(client->tls);
	pump_trim();
	malloc_trim(0);
}

/* ---- ending ---- */

void client_over(struct worker *worker)
{
	struct client *client = &worker->client;
	struct tunnel *tunnel, *next;
	for (tunnel = LIST_FIRST(&worker->tunnels); tunnel; tunnel = next) {
		next = LIST_NEXT(tunnel, all);
		if (tunnel->stream || tunnel->forward || client->whole == tunnel || client->state == CLIENT_OVER)
			pump_carrier_lost(&tunnel->pump);
	}
	if (LIST_EMPTY(&worker->tunnels))
		worker_end(EXIT_SUCCESS);
	client->state = CLIENT_OVER;
	uv_prepare_stop(&client->turn);
	uv_idle_stop(&client->more);
	watch(client, 0);
	shutdown(client->fd, SHUT_RDWR);
	arm(worker, clock_monotonic_ms() + DRAINING_MS);
}

/* What is cut instead may be a client that was killed: the broker gives its login up earlier. */
static void say_goodbye(struct worker *worker)
{
	if (worker->client.state == CLIENT_OPEN)
		(void)LINK_SEND(&worker->broker, worker_broker, goodbye, -1);
}

static void begin_ending(struct worker *worker)
{
	struct client *client = &worker->client;
	if (client->state == CLIENT_ENDING)
		return;
	say_goodbye(worker);
	client->state = CLIENT_ENDING;
	(void)tls_flush(client->tls);
	arm(worker, clock_monotonic_ms() + ENDING_MS);
}

/* Reads and drops until the client has ended: closing with unread input would send an RST that overtakes the alert. */
static void go_on_ending(struct worker *worker)
{
	struct client *client = &worker->client;
	int flushed = tls_flush(client->tls);
	if (flushed == ERR_AGAIN)
		return;
	(void)shutdown(client->fd, SHUT_WR);
	if (flushed < 0 || tls_discard_input(client->tls) != ERR_AGAIN)
		client_over(worker);
}

static void refuse(struct worker *worker, const char *code, const char *detail)
{
	uint8_t fingerprint[TLS_FINGERPRINT_SIZE];
	struct view known = {0};
	if (tls_peer_fingerprint(worker->client.tls, fingerprint) == 0)
		known = view_of(fingerprint, sizeof(fingerprint));
	(void)LINK_SEND(&worker->broker, worker_broker, peer_refused, -1, .code = view_string(code), .detail = view_string(detail),
			.fingerprint = known, .undecided = tls_is_undecided(worker->client.tls));
	worker->client.state = CLIENT_REFUSED;
}

void client_close(struct worker *worker)
{
	struct client *client = &worker->client;
	if (client->state != CLIENT_OPEN || client->closing_after)
		return;
	if (client->h2) {
		/* What is ready (the last event of a feed, perhaps) stands before the end. */
		(void)http2_output(worker);
		h2_terminate(client->h2, H2_NO_ERROR);
	}
	client->closing_after = true;
}

static bool end_if_late(struct exchange *exchange, uint64_t now)
{
	if (exchange->answer_by_ms && exchange->answer_by_ms <= now)
		forward_late(exchange);
	else if (exchange->deadline_ms && exchange->deadline_ms <= now)
		exchange_refuse(exchange, 408, "bad_request", "The request did not arrive whole in time.");
	else
		return false;
	return true;
}

/* A request that does not come to its end is refused; on HTTP/2 the others and the tunnels go on. */
static void end_what_is_late(struct worker *worker)
{
	struct client *client = &worker->client;
	struct exchange *exchange, *next;
	uint64_t now = clock_monotonic_ms();
	bool any = false;
	/* Even the last bytes are not taken: that was all. */
	if (client->closing_after) {
		begin_ending(worker);
		return;
	}
	for (exchange = LIST_FIRST(&worker->exchanges); exchange; exchange = next) {
		next = LIST_NEXT(exchange, all);
		any |= end_if_late(exchange, now);
	}
	if (!any)
		client_close(worker);
}

/* Bytes may have come since the timer was armed: then nothing is due, and the turn arms it anew. */
static void on_open_timer(struct worker *worker)
{
	struct client *client = &worker->client;
	uint64_t now = clock_monotonic_ms(), limit = limit_of(worker);
	if (limit && now >= limit)
		end_what_is_late(worker);
	else if (!client->trimmed && now >= client->active_ms + TRIM_MS)
		trim(client);
}

static void on_timer(uv_timer_t *timer)
{
	struct worker *worker = timer->data;
	struct client *client = &worker->client;
	client->timer_ms = 0;
	switch (client->state) {
	case CLIENT_PROXIED:
	case CLIENT_HANDSHAKE:
	case CLIENT_PROVING:
		refuse(worker, "login_grace", "no accepted device within login_grace");
		begin_ending(worker);
		break;
	case CLIENT_REFUSED:
		begin_ending(worker);
		break;
	case CLIENT_OPEN:
		on_open_timer(worker);
		break;
	default:
		client_over(worker);
	}
}

static void note_activity(struct client *client)
{
	client->active_ms = clock_monotonic_ms();
	client->trimmed = false;
}

/* ---- door one ---- */

static void ask_broker(struct worker *worker)
{
	struct client *client = &worker->client;
	uint8_t fingerprint[TLS_FINGERPRINT_SIZE];
	client->state = CLIENT_PROVING;
	int result = tls_peer_fingerprint(client->tls, fingerprint);
	if (result == 0)
		result = remote_key_prove(worker, client->tls);
	if (result < 0) {
		(void)tls_send_alert(client->tls, TLS_ALERT_INTERNAL_ERROR);
		refuse(worker, "proof_failed", "the signer did not take the device proof");
		return;
	}
	tls_proof_release(client->tls);
	(void)LINK_SEND(&worker->broker, worker_broker, peer, -1, .fingerprint = view_of(fingerprint, sizeof(fingerprint)),
			.protocol = view_string(tls_protocol_name(client->tls)), .suite = view_string(tls_suite_name(client->tls)),
			.leaf = tls_peer_leaf(client->tls));
}

static const char *code_of(int result)
{
	switch (result) {
	case ERR_CLOSED:
		return "handshake_aborted";
	case ERR_LIMIT:
		return "handshake_too_large";
	case ERR_BAD_PEER:
		return "handshake_failed";
	default:
		return "unavailable";
	}
}

static void open_up(struct worker *worker)
{
	struct client *client = &worker->client;
	client->state = CLIENT_OPEN;
	note_activity(client);
	tls_accept(client->tls);
	int result = tls_application(client->tls) == TLS_HTTP2 ? http2_begin(worker) : http1_begin(worker);
	if (result < 0)
		worker_end(EXIT_FAILURE);
	/* What the handshake needed and an idle client does not. */
	malloc_trim(0);
	/* A quick client's first request may be inside TLS already. */
	client_more(worker);
}

static void go_on_shaking_hands(struct worker *worker)
{
	struct client *client = &worker->client;
	struct diag diag = {""};
	int result = tls_handshake(client->tls, &diag);
	if (result == ERR_AGAIN)
		return;
	if (result == 0 && client->listener == MONITOR_ROOM_ENROLMENT) {
		tls_proof_release(client->tls);
		client->state = CLIENT_PROVING;
		if (client->connection[0])
			open_up(worker);
		return;
	}
	if (result == 0) {
		ask_broker(worker);
		return;
	}
	const char *code = result == ERR_DENIED ? tls_refusal(client->tls) : NULL;
	refuse(worker, code ? code : code_of(result), diag.text);
}

void client_rejected(struct worker *worker, struct view code)
{
	struct client *client = &worker->client;
	if (client->state != CLIENT_PROVING && client->state != CLIENT_REFUSED)
		worker_end(EXIT_FAILURE);
	/* A handshake that failed here has its alert in the batch already. */
	if (client->state == CLIENT_PROVING)
		(void)tls_send_alert(client->tls, tls_alert_for(code));
	begin_ending(worker);
}

void client_accepted(struct worker *worker, const struct worker_broker_accepted *accepted)
{
	struct client *client = &worker->client;
	if (client->state == CLIENT_ENDING || client->state == CLIENT_REFUSED)
		return;
	/* On the enrolment listener the broker has nothing to decide: its word may come before the client itself. */
	bool early = client->state == CLIENT_NONE ||
		     (client->listener == MONITOR_ROOM_ENROLMENT &&
		      (client->state == CLIENT_HANDSHAKE || client->state == CLIENT_PROXIED));
	if ((client->state != CLIENT_PROVING && !early) || client->connection[0] ||
	    view_to_string(accepted->connection, client->connection, sizeof(client->connection)) < 0 ||
	    view_to_string(accepted->device, client->device, sizeof(client->device)) < 0)
		worker_end(EXIT_FAILURE);
	client->returning = accepted->returning;
	client->host = accepted->host;
	if (!early)
		open_up(worker);
}

/* ---- bytes ---- */

/* The client's direction has ended, in whichever way. */
static void input_ended(struct worker *worker)
{
	struct client *client = &worker->client;
	if (tls_ending(client->tls) == TLS_CLOSED)
		say_goodbye(worker);
	if (client->http1 && tls_ending(client->tls) == TLS_CLOSED) {
		http1_finish(worker);
		return;
	}
	/* HTTP/2 has END_STREAM for half-close; the end of its connection is the end. */
	client_over(worker);
}

static bool take(struct worker *worker, struct view bytes)
{
	struct client *client = &worker->client;
	note_activity(client);
	if (client->http1) {
		http1_input(worker, bytes);
		return true;
	}
	if (h2_input(client->h2, bytes) == 0)
		return true;
	/* GOAWAY with the reason waits in the output. */
	client->closing_after = true;
	return false;
}

/* tls_free is never called: tunnels that still live are reset by the kernel with the process. */
static void read_input(struct worker *worker)
{
	struct client *client = &worker->client;
	struct view bytes;
	int result = 0;
	pump_hold();
	for (int i = 0; i < RECORDS_PER_TURN && client->state == CLIENT_OPEN && wants_input(client); i++) {
		result = tls_read(client->tls, &bytes);
		if (result < 0 || !take(worker, bytes))
			break;
	}
	/* With more to come, what is gathered for the targets may wait for it. */
	bool more = result == 0 && client->state == CLIENT_OPEN && wants_input(client);
	if (!more)
		pump_release();
	/* HTTP/1.1 has no windows: what the target does not take now keeps the client from sending more. */
	if ((client->whole && tunnel_pending(client->whole)) || (client->forwarding && tunnel_pending(client->forwarding)))
		client->input_paused = true;
	/* Not all was taken: go on in the next round, though no descriptor may tell. */
	if (more && wants_input(client))
		uv_idle_start(&client->more, on_more);
	else
		uv_idle_stop(&client->more);
	if (result < 0 && result != ERR_AGAIN)
		input_ended(worker);
}

static void on_more(uv_idle_t *more)
{
	read_input(more->data);
}

void client_more(struct worker *worker)
{
	uv_idle_start(&worker->client.more, on_more);
}

static void write_output(struct worker *worker)
{
	struct client *client = &worker->client;
	int output, flushed;
	if (tls_wants_write(client->tls))
		note_activity(client);
	do {
		output = client->h2 ? http2_output(worker) : http1_output(worker);
		flushed = tls_flush(client->tls);
	} while (output == ERR_AGAIN && flushed == 0);
	if (flushed < 0 && flushed != ERR_AGAIN)
		client_over(worker);
	bool over = client->closing_after || (client->h2 && !h2_is_alive(client->h2));
	if (over && output == 0 && flushed == 0) {
		(void)tls_close_write(client->tls);
		begin_ending(worker);
	}
}

/* Once before the loop waits: everything that this round has made goes out together. */
static void on_turn(uv_prepare_t *turn)
{
	struct worker *worker = turn->data;
	struct client *client = &worker->client;
	if (client->state == CLIENT_OPEN)
		write_output(worker);
	else if (client->state == CLIENT_ENDING)
		go_on_ending(worker);
	else if (client->state != CLIENT_REFUSED)
		(void)tls_flush(client->tls);
	if (client->state == CLIENT_OVER)
		return;
	arm_what_is_due(worker);
	watch_what_is_wanted(client);
}

/* ---- the head of the PROXY protocol ---- */

static void take_proxy_head(struct worker *worker, const struct proxy_head *head)
{
	buf_fini(&worker->client.proxy_head);
	worker->client.proxy_head.limit = 0;
	(void)LINK_SEND(&worker->broker, worker_broker, proxied, -1, .address = view_string(head->address), .port = head->port);
}

/* Never a byte more than belongs to the head: what follows is TLS's. */
static void read_proxy_head(struct worker *worker)
{
	struct client *client = &worker->client;
	struct proxy_head head;
	struct diag diag = {""};
	uint8_t space[PROXY_HEAD_MAX];
	size_t more = 0;
	int result;
	while ((result = proxy_head_parse(buf_view(&client->proxy_head), &head, &more, &diag)) == ERR_AGAIN) {
		ssize_t size = recv(client->fd, space, more < sizeof(space) ? more : sizeof(space), 0);
		if (size < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (size <= 0 || buf_add(&client->proxy_head, view_of(space, (size_t)size)) < 0)
			worker_end(EXIT_SUCCESS);
	}
	if (result == 0) {
		take_proxy_head(worker, &head);
		return;
	}
	refuse(worker, "proxy_head", diag.text);
}

void client_welcome(struct worker *worker)
{
	struct client *client = &worker->client;
	if (client->state != CLIENT_PROXIED || client->proxy_head.limit)
		worker_end(EXIT_FAILURE);
	client->state = CLIENT_HANDSHAKE;
	go_on_shaking_hands(worker);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
	struct worker *worker = poll->data;
	struct client *client = &worker->client;
	if (events & UV_DISCONNECT && client->state == CLIENT_PROVING)
		worker_end(EXIT_SUCCESS);
	/* A reset: what its tunnels have carried is not whole, and the targets must know. That of a handshake is read. */
	if (status < 0 && client->state != CLIENT_HANDSHAKE) {
		client_over(worker);
		return;
	}
	if (status == 0 && !(events & UV_READABLE) && !(events & UV_DISCONNECT))
		return;
	if (client->state == CLIENT_PROXIED)
		read_proxy_head(worker);
	else if (client->state == CLIENT_HANDSHAKE)
		go_on_shaking_hands(worker);
	else if (client->state == CLIENT_OPEN)
		read_input(worker);
}

/* ---- the beginning ---- */

void client_begin(struct worker *worker, const struct client_arrival *arrival)
{
	int fd = arrival->fd;
	uint8_t listener = arrival->listener;
	struct client *client = &worker->client;
	struct diag diag;
	const struct tls_server_options options = {.input_limit_bytes = worker->conf->handshake_bytes,
						   .sign = remote_key_sign,
						   .owner = worker,
						   .expired_grace_s = worker->conf->renew_grace_ms / 1000,
						   .anonymous = listener == MONITOR_ROOM_ENROLMENT};
	if (client->connection[0] && listener != MONITOR_ROOM_ENROLMENT)
		worker_end(EXIT_FAILURE);
	client->fd = fd;
	client->listener = listener;
	client->begun_ms = clock_monotonic_ms();
	client->state = arrival->proxied ? CLIENT_PROXIED : CLIENT_HANDSHAKE;
	client->proxy_head.limit = arrival->proxied ? PROXY_HEAD_MAX : 0;
	if (tls_new_server(worker->credentials, fd, &options, &client->tls, &diag) < 0 ||
	    uv_poll_init(worker->loop, &client->poll, fd) < 0) {
		log_error("a client cannot be served: %s", diag.text);
		worker_end(EXIT_FAILURE);
	}
	uv_prepare_init(worker->loop, &client->turn);
	uv_idle_init(worker->loop, &client->more);
	uv_timer_init(worker->loop, &client->timer);
	client->poll.data = client->turn.data = client->more.data = client->timer.data = worker;
	uv_prepare_start(&client->turn, on_turn);
	if (arrival->proxied)
		read_proxy_head(worker);
	else
		go_on_shaking_hands(worker);
}

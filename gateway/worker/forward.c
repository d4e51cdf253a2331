/* forward.c: requests for plain pages ("GET http://wiki/"), carried to their target as a proxy does (RFC 9110 7.6): the
 * question. Its way there is a tunnel: the broker grants it, records it and ends it as any other.
 *
 * A connection to a target carries one request, whose head is written anew, and as many bytes of body as were announced:
 * there is nothing to smuggle into. Bodies are held nowhere as a whole: what the target does not take stays in the
 * client's window, or on HTTP/1.1 in its socket. Counterpart: forward_answer.c.
 */
#include "forward.h"

#include <stdlib.h>
#include <string.h>

#include "browser.h"
#include "sallyport/clock.h"
#include "sallyport/http1_forward.h"
#include "sallyport/own.h"
#include "sallyport/str.h"

enum { HTTP_PORT = 80 };

/* ---- asking ---- */

static void forward_free(struct forward *forward)
{
	if (!forward)
		return;
	buf_wipe(&forward->head);
	buf_wipe(&forward->early);
	buf_wipe(&forward->unread);
	http1_response_free(forward->response);
	free(forward);
}

/* What is written anew is shorter than what came, but for Host and our own fields. */
static struct forward *new_forward(struct exchange *exchange)
{
	const struct conf *conf = exchange->worker->conf;
	struct forward *forward = calloc(1, sizeof(*forward));
	enum http1_question question = exchange->is_head ? HTTP1_ASKED_HEAD : HTTP1_ASKED;
	if (!forward || http1_response_new((size_t)conf->head_bytes, question, &forward->response) < 0) {
		free(forward);
		return NULL;
	}
	forward->worker = exchange->worker;
	forward->exchange = exchange;
	forward->head = BUF_INIT((size_t)conf->head_bytes * 2 + 1024);
	forward->early = BUF_INIT((size_t)conf->stream_window);
	forward->unread = BUF_INIT(FORWARD_STEP);
	return forward;
}

static int write_head(struct forward *forward, const struct http_request *request, const struct exchange_target *target)
{
	struct exchange *exchange = forward->exchange;
	struct http1_refusal refusal = {.status = 503, .sentence = "The gateway has no room for another request now."};
	const struct http1_forward written = {.host = target->host, .port = target->port,
					      .received = exchange->stream ? "2.0" : "1.1", .own_cookie = BROWSER_COOKIE};
	int result = http1_forward_request(request, &written, &forward->head, &refusal);
	if (result == 0)
		return 0;
	str_copy(exchange->allow, sizeof(exchange->allow), "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
	exchange_refuse(exchange, refusal.status, refusal.status == 405 ? "method_not_allowed" : "bad_request", refusal.sentence);
	return result;
}

void forward_ask(struct exchange *exchange, const struct http_request *request)
{
	struct exchange_target target = {.form = WORKER_BROKER_REQUEST};
	/* HTTP/1.1: a body that finds no way is not read. */
	exchange->is_last = !exchange->stream && request->has_body;
	if (str_split_host(request->authority, HTTP_PORT, target.host, sizeof(target.host), &target.port) < 0 ||
	    !http1_forward_names_host(target.host)) {
		exchange_refuse(exchange, 400, "bad_target", "The address must be http://HOST/ or http://HOST:PORT/, with a port from 1 to 65535.");
		return;
	}
	exchange->forward = new_forward(exchange);
	if (!exchange->forward) {
		exchange_refuse(exchange, 503, "unavailable", "The gateway has no room for another request now.");
		return;
	}
	exchange->forward->body_left = request->content_length > 0 ? (uint64_t)request->content_length : 0;
	if (write_head(exchange->forward, request, &target) == 0)
		exchange_open(exchange, request->proxy_authorization, &target);
}

/* ---- the body ---- */

static void wait_for_answer(struct forward *forward)
{
	if (forward->state == FORWARD_WAITING && forward->whole)
		forward->exchange->answer_by_ms = clock_monotonic_ms() + forward->worker->conf->answer_time_limit_ms;
}

/* Both carriers see to it that what comes is what was announced; but what leaves here is our word. */
static void cut_off(struct forward *forward)
{
	if (forward->tunnel)
		pump_abort(&forward->tunnel->pump);
}

void forward_body(struct forward *forward, struct view bytes)
{
	if (bytes.size > forward->body_left || forward->whole) {
		cut_off(forward);
		return;
	}
	forward->body_left -= bytes.size;
	forward->unconsumed += bytes.size;
	if (forward->tunnel)
		tunnel_push(forward->tunnel, bytes);
	else if (buf_add(&forward->early, bytes) < 0)
		worker_end(EXIT_FAILURE); /* more than its window, or memory is out */
}

void forward_whole(struct forward *forward)
{
	if (forward->body_left) {
		cut_off(forward);
		return;
	}
	forward->whole = true;
	wait_for_answer(forward);
}

bool forward_takes_body(const struct forward *forward)
{
	return forward->tunnel && !forward->whole && tunnel_pending(forward->tunnel) == 0;
}

bool forward_is_whole(const struct forward *forward)
{
	return forward->whole;
}

size_t forward_consumed(struct forward *forward, size_t size)
{
	size_t head = size < forward->head_left ? size : forward->head_left;
	forward->head_left -= head;
	size -= head;
	forward->unconsumed -= size;
	return size;
}

/* The client's window gets back what nobody will take. */
static void give_window_back(struct forward *forward, struct h2_stream *stream)
{
	if (stream && forward->unconsumed)
		h2_consume(forward->worker->client.h2, stream, forward->unconsumed);
	forward->unconsumed = 0;
}

/* ---- the way ---- */

void forward_begin(struct exchange *exchange, struct tunnel *tunnel)
{
	struct forward *forward = exchange->forward;
	OWN_SECRET_BUF struct buf head = forward->head, early = forward->early;
	forward->head = forward->early = (struct buf){0};
	/* From here on the broker's word is about the tunnel. */
	exchange->is_open = exchange->is_last = false;
	exchange->asked = 0;
	forward->tunnel = tunnel;
	forward->state = FORWARD_WAITING;
	forward->head_left = head.size;
	tunnel->forward = forward;
	/* An answer may come before the question is whole, from a target that takes no more of it. */
	pump_read_to_the_end(&tunnel->pump);
	if (exchange->stream)
		LIST_INSERT_HEAD(&forward->worker->waiting, forward, waiting);
	wait_for_answer(forward);
	tunnel_push(tunnel, buf_view(&head));
	if (tunnel->forward && early.size)
		tunnel_push(tunnel, buf_view(&early));
	if (tunnel->forward && !exchange->stream)
		http1_begin_forwarding(forward->worker, tunnel);
}

/* ---- the end ---- */

static void detach(struct forward *forward)
{
	struct client *client = &forward->worker->client;
	if (forward->state == FORWARD_WAITING && forward->exchange && forward->exchange->stream)
		LIST_REMOVE(forward, waiting);
	if (client->forwarding == forward->tunnel)
		client->forwarding = NULL;
	if (forward->exchange)
		forward->exchange->forward = NULL;
}

/* The target has closed or reset the connection, or has said what cannot be carried on. */
static bool is_refusal(const struct forward *forward)
{
	return forward->state == FORWARD_WAITING && forward->exchange &&
	       (forward->status || forward->tunnel->pump.end == PUMP_TARGET_RESET);
}

static void refuse(struct forward *forward)
{
	struct exchange *exchange = forward->exchange;
	struct client *client = &forward->worker->client;
	exchange->answer_by_ms = 0;
	if (!exchange->stream) {
		exchange->is_last |= !forward->whole;
		client->input_paused = true;
	}
	if (forward->status)
		exchange_refuse(exchange, forward->status, forward->code, forward->sentence);
	else
		exchange_refuse(exchange, 502, "bad_gateway", "The target closed the connection and did not answer.");
}

static void finish_http1(struct forward *forward)
{
	struct worker *worker = forward->worker;
	forward->exchange->answered = true;
	worker->client.closing_after |= forward->is_last;
	http1_end_forwarding(worker);
}

/* The answer will not come, or not to its end: no client may take it for whole. */
static bool break_off(struct forward *forward, struct h2_stream *stream)
{
	struct client *client = &forward->worker->client;
	enum pump_end end = forward->tunnel->pump.end;
	if (stream)
		h2_reset(client->h2, stream, end == PUMP_ENDED && !forward->status ? H2_CANCEL : H2_INTERNAL_ERROR);
	if (stream || client->h2 || end == PUMP_CONNECTION_LOST)
		return false;
	tunnel_reset_connection(client);
	return true;
}

bool forward_ended(struct tunnel *tunnel)
{
	struct forward *forward = take_pointer(&tunnel->forward);
	struct h2_stream *stream = take_pointer(&tunnel->stream);
	bool cut = false;
	detach(forward);
	give_window_back(forward, stream);
	if (stream && stream->owner == tunnel)
		stream->owner = NULL;
	if (is_refusal(forward))
		refuse(forward);
	else if (forward->state != FORWARD_DONE)
		cut = break_off(forward, stream);
	else if (forward->exchange)
		finish_http1(forward);
	forward_free(forward);
	return cut;
}

void forward_fail(struct forward *forward, unsigned status, const char *code, const char *sentence)
{
	struct tunnel *tunnel = forward->tunnel;
	forward->status = status;
	forward->code = code;
	str_copy(forward->sentence, sizeof(forward->sentence), sentence);
	/* So the record of the tunnel says the same. */
	str_copy(tunnel->ordered, sizeof(tunnel->ordered), code);
	pump_abort(&tunnel->pump);
}

void forward_late(struct exchange *exchange)
{
	exchange->answer_by_ms = 0;
	if (exchange->forward)
		forward_fail(exchange->forward, 504, "answer_timeout", "The target did not answer in time.");
}

void forward_refused(struct exchange *exchange)
{
	if (exchange->forward && !exchange->forward->tunnel)
		give_window_back(exchange->forward, exchange->stream);
}

void forward_stream_closed(struct exchange *exchange, enum h2_code code, bool by_peer)
{
	struct forward *forward = exchange->forward;
	struct tunnel *tunnel = forward->tunnel;
	if (!tunnel) {
		forward_free(take_pointer(&exchange->forward));
		return;
	}
	detach(forward);
	forward->exchange = NULL;
	tunnel_stream_closed(tunnel, code, by_peer);
}

void forward_gone(struct exchange *exchange)
{
	forward_free(take_pointer(&exchange->forward));
}

/* forward_answer.c: what a target answers to a request that was carried to it: its head is judged and written anew, its
 * body passed on as it is pulled. Nothing of it is held but what came with the head.
 *
 * HTTP/2: the head is taken in the turn after the target spoke, the body when the stream has room (tunnel_read). HTTP/1.1:
 * both when TLS has room (http1_output). An answer that does not come to its end is broken off for the client as well.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "forward.h"
#include "sallyport/http1_forward.h"
#include "sallyport/own.h"

/* "4000" CR LF in front of a chunk, CR LF behind it. */
enum { CHUNK_FRONT = 6, CHUNK_BACK = 2 };

/* ---- the head ---- */

struct head {
	struct http_header headers[HTTP_FIELDS_MAX + 3];
	size_t count;
	char length[24], via[32];
};

/* RFC 9110 8.6: an answer that has no content has no length of it, but for what HEAD and 304 tell. */
static bool tells_length(const struct http1_answer *answer)
{
	return answer->content_length >= 0 && answer->status != 204;
}

static void make_head(struct head *head, const struct http1_answer *answer)
{
	head->count = http1_forward_fields(answer->headers, answer->header_count, head->headers);
	snprintf(head->via, sizeof(head->via), "1.%u %s", answer->minor, HTTP1_VIA_NAME);
	head->headers[head->count++] = HTTP_HEADER("via", head->via);
}

static int answer_http2(struct forward *forward, const struct http1_answer *answer)
{
	struct exchange *exchange = forward->exchange;
	struct h2_stream *stream = exchange->stream;
	struct head head;
	make_head(&head, answer);
	snprintf(head.length, sizeof(head.length), "%lld", (long long)answer->content_length);
	if (tells_length(answer))
		head.headers[head.count++] = HTTP_HEADER("content-length", head.length);
	int result = h2_respond_head(forward->worker->client.h2, stream, answer->status, head.headers, head.count,
				     answer->body == HTTP1_BODY_NONE ? H2_BODY_NONE : H2_BODY_READ);
	if (result < 0)
		return result;
	LIST_REMOVE(forward, waiting);
	forward->state = FORWARD_ANSWERING;
	forward->exchange = NULL;
	exchange->forward = NULL;
	exchange->answered = true;
	stream->owner = forward->tunnel;
	exchange_gone(exchange);
	return 0;
}

static bool keeps_connection(const struct forward *forward)
{
	const struct client *client = &forward->worker->client;
	return http1_keeps_alive(client->http1) && client->requests < forward->worker->conf->requests_per_connection && forward->whole;
}

static int answer_http1(struct forward *forward, const struct http1_answer *answer)
{
	struct client *client = &forward->worker->client;
	OWN_BUF struct buf bytes = BUF_INIT((size_t)forward->worker->conf->head_bytes * 2 + 1024);
	struct head head;
	bool endless = answer->body == HTTP1_BODY_CHUNKED || answer->body == HTTP1_BODY_CLOSE;
	make_head(&head, answer);
	forward->in_chunks = endless && http1_takes_chunks(client->http1);
	forward->is_last = !keeps_connection(forward) || (endless && !forward->in_chunks);
	if (forward->in_chunks)
		head.headers[head.count++] = HTTP_HEADER("transfer-encoding", "chunked");
	int result = http1_write_head(&bytes, answer->status, head.headers, head.count, tells_length(answer) ? answer->content_length : -1,
				      forward->is_last ? HTTP1_CLOSE : HTTP1_KEEP);
	if (result < 0)
		return result;
	forward->state = FORWARD_ANSWERING;
	forward->exchange->answer_by_ms = 0;
	return tls_write(client->tls, buf_view(&bytes));
}

static void refuse_answer(struct forward *forward)
{
	const char *wrong = http1_response_wrong(forward->response);
	char sentence[sizeof(forward->sentence)];
	snprintf(sentence, sizeof(sentence), "The target's answer cannot be carried on: %s.", wrong ? wrong : "there is no room for it");
	forward_fail(forward, 502, "bad_gateway", sentence);
}

static int pass_head_on(struct forward *forward, struct view body)
{
	const struct http1_answer *answer = http1_response_answer(forward->response);
	int result = buf_add(&forward->unread, body);
	if (result == 0)
		result = forward->exchange->stream ? answer_http2(forward, answer) : answer_http1(forward, answer);
	if (result < 0)
		refuse_answer(forward);
	else
		http1_response_forget_head(forward->response);
	return result < 0 ? ERR_BAD_PEER : 0;
}

/* 0: the head went out. ERR_AGAIN: the target has more to say. Otherwise it was refused: `forward` is gone. */
static int take_head(struct forward *forward)
{
	uint8_t bytes[FORWARD_STEP];
	for (;;) {
		int size = tunnel_pull(forward->tunnel, bytes, sizeof(bytes));
		if (size < 0)
			return size;
		struct view input = view_of(bytes, (size_t)size);
		int result = size ? http1_response_head(forward->response, &input) : http1_response_end(forward->response);
		if (result == 0)
			return pass_head_on(forward, input);
		if (result == ERR_AGAIN)
			continue;
		refuse_answer(forward);
		return ERR_BAD_PEER;
	}
}

/* ---- the body ---- */

/* All of it is out: the target is not needed any more, whatever it still says. Gone afterwards. */
static void be_done(struct forward *forward)
{
	forward->state = FORWARD_DONE;
	pump_settle(&forward->tunnel->pump);
}

/* As tunnel_pull; first what came with the head. */
static int pull(struct forward *forward, uint8_t *into, size_t capacity)
{
	size_t size = forward->unread.size < capacity ? forward->unread.size : capacity;
	if (!size)
		return tunnel_pull(forward->tunnel, into, capacity);
	memcpy(into, forward->unread.data, size);
	buf_consume(&forward->unread, size);
	if (!forward->unread.size)
		buf_fini(&forward->unread);
	return (int)size;
}

/* Content, as much as came; 0 when all of it has been given. ERR_AGAIN; otherwise it was broken off: `forward` is gone. */
static int read_body(struct forward *forward, uint8_t *into, size_t capacity)
{
	while (!http1_response_is_whole(forward->response)) {
		int size = pull(forward, into, capacity);
		if (size < 0)
			return size;
		size_t content = (size_t)size;
		int result = size ? http1_response_body(forward->response, into, &content) : http1_response_end(forward->response);
		if (result < 0) {
			refuse_answer(forward);
			return ERR_BAD_PEER;
		}
		if (content)
			return (int)content;
	}
	return 0;
}

int forward_read(struct forward *forward, uint8_t *into, size_t capacity)
{
	int size = read_body(forward, into, capacity);
	if (size == 0)
		be_done(forward);
	return size;
}

/* ---- HTTP/2: in the turn ---- */

void forward_wake(struct forward *forward)
{
	if (forward->state == FORWARD_WAITING)
		forward->ready = true;
	else if (forward->tunnel->stream)
		h2_resume(forward->worker->client.h2, forward->tunnel->stream);
}

static void take_head_in_turn(struct forward *forward)
{
	struct tunnel *tunnel = forward->tunnel;
	forward->ready = false;
	if (take_head(forward) == 0 && http1_response_is_whole(tunnel->forward->response))
		be_done(tunnel->forward);
}

void forward_turn(struct worker *worker)
{
	struct forward *forward, *next;
	for (forward = LIST_FIRST(&worker->waiting); forward; forward = next) {
		next = LIST_NEXT(forward, waiting);
		if (forward->ready)
			take_head_in_turn(forward);
	}
}

/* ---- HTTP/1.1: when TLS has room ---- */

static int write_piece(struct forward *forward, uint8_t *space, size_t size)
{
	struct tls *tls = forward->worker->client.tls;
	char front[CHUNK_FRONT + 1];
	if (!forward->in_chunks)
		return tls_write(tls, view_of(space + CHUNK_FRONT, size));
	snprintf(front, sizeof(front), "%04x\r\n", (unsigned)size & 0xffff);
	memcpy(space, front, CHUNK_FRONT);
	memcpy(space + CHUNK_FRONT + size, "\r\n", CHUNK_BACK);
	return tls_write(tls, view_of(space, CHUNK_FRONT + size + CHUNK_BACK));
}

static int write_end(struct forward *forward)
{
	return forward->in_chunks ? tls_write(forward->worker->client.tls, view_string("0\r\n\r\n")) : 0;
}

/* True: something went on, and more may. */
static bool carry(struct client *client, uint8_t *space, size_t capacity)
{
	struct forward *forward = client->forwarding->forward;
	if (forward->state == FORWARD_WAITING)
		return take_head(forward) == 0;
	int size = read_body(forward, space + CHUNK_FRONT, capacity - CHUNK_FRONT - CHUNK_BACK);
	if (size < 0)
		return false;
	int result = size ? write_piece(forward, space, (size_t)size) : write_end(forward);
	if (result < 0)
		worker_end(EXIT_SUCCESS);
	if (size == 0)
		be_done(forward);
	return true;
}

int forward_output(struct worker *worker, uint8_t *space, size_t capacity)
{
	struct client *client = &worker->client;
	while (client->forwarding && tls_can_write(client->tls))
		if (!carry(client, space, capacity))
			return 0;
	return client->forwarding ? ERR_AGAIN : 0;
}

/* http1_side.c: HTTP/1.1 between TLS and the exchanges: one request after the other; after a CONNECT that was granted the
 * connection is the tunnel.
 *
 * Bytes that came before their time (pipelined requests, the first bytes of a tunnel behind its head, a body that its
 * target does not take yet) wait in `unread`.
 */
#include <stdlib.h>

#include "sallyport/clock.h"
#include "sallyport/own.h"
#include "worker.h"

/* Room for what one record holds and what was left of the one before. */
enum { UNREAD_MAX = 4 << 20 };

int http1_begin(struct worker *worker)
{
	worker->client.unread = BUF_INIT(UNREAD_MAX);
	return http1_new(worker->conf->head_bytes, worker->conf->body_bytes, &worker->client.http1);
}

static void keep(struct client *client, struct view bytes)
{
	if (buf_add(&client->unread, bytes) < 0)
		worker_end(EXIT_SUCCESS);
	client->input_paused = true;
}

static void say_continue(struct client *client)
{
	OWN_BUF struct buf bytes = BUF_INIT(256);
	if (!http1_expects_continue(client->http1))
		return;
	if (http1_write_continue(&bytes) < 0 || tls_write(client->tls, buf_view(&bytes)) < 0)
		worker_end(EXIT_SUCCESS);
}

static void begin_request(struct worker *worker)
{
	struct client *client = &worker->client;
	client->current = exchange_begin(worker, NULL, http1_request(client->http1));
	if (!client->current)
		worker_end(EXIT_FAILURE);
	/* A body that is carried on is asked for when there is a way for it. */
	if (!client->current->answered && !client->current->refused && !client->current->forward)
		say_continue(client);
}

/* The head, or the middle of a body, is not as it should be: that was the connection's last request. */
static void refuse_framing(struct worker *worker)
{
	struct client *client = &worker->client;
	const struct http_request *request = http1_request(client->http1);
	if (!client->current)
		begin_request(worker);
	else
		exchange_refuse(client->current, request->refuse, "bad_request", request->refuse_sentence);
	client->current->is_last = true;
}

/* What comes is the body of the request at hand, and its target takes it. */
static bool carries_body(const struct client *client)
{
	return client->forwarding && forward_takes_body(client->forwarding->forward);
}

/* Of that request nothing can be taken now. */
static bool waits_for_target(const struct client *client)
{
	return client->current && client->current->forward && !carries_body(client);
}

static void take_body(struct client *client)
{
	if (client->current->forward)
		forward_body(client->current->forward, http1_body(client->http1));
	else
		exchange_body(client->current, http1_body(client->http1));
}

/* Takes one step; false when the rest has to wait. */
static bool step(struct worker *worker, struct view *input)
{
	struct client *client = &worker->client;
	if (waits_for_target(client))
		return false;
	switch (http1_next(client->http1, input)) {
	case HTTP1_REQUEST:
		client->unread_since_ms = 0;
		begin_request(worker);
		return true;
	case HTTP1_BODY:
		take_body(client);
		return true;
	case HTTP1_WHOLE:
		exchange_whole(client->current);
		return false;
	case HTTP1_TUNNEL:
		return false;
	case HTTP1_REFUSED:
		refuse_framing(worker);
		return false;
	case HTTP1_MORE:
		break;
	}
	return false;
}

/* A request that is answered makes room for the next one. Bytes behind a CONNECT that was refused have two meanings, a
 * tunnel's or the next request's: then the connection ends. */
static void next_request(struct worker *worker, size_t waiting)
{
	struct client *client = &worker->client;
	if (!client->current || !client->current->answered || client->closing_after || client->whole)
		return;
	if (client->current->is_connect && waiting) {
		client->closing_after = true;
		return;
	}
	exchange_gone(take_pointer(&client->current));
	http1_again(client->http1);
	client->active_ms = clock_monotonic_ms();
}

/* While a request is being served nothing more is read: the client waits, as HTTP/1.1 has it. While one is carried, its
 * client's end must be seen. */
static bool has_to_pause(const struct client *client)
{
	if (!client->current || client->whole)
		return false;
	return client->unread.size || (client->forwarding ? tunnel_pending(client->forwarding) > 0 : client->current->deadline_ms == 0);
}

static void parse(struct worker *worker, struct view input)
{
	struct client *client = &worker->client;
	do {
		while (step(worker, &input))
			;
		next_request(worker, input.size);
	} while (input.size && !client->current && !client->closing_after);
	if (!client->current && !client->closing_after && client->unread_since_ms == 0)
		client->unread_since_ms = http1_has_begun(client->http1) ? clock_monotonic_ms() : 0;
	if (input.size && !client->closing_after)
		keep(client, input);
	client->input_paused = has_to_pause(client);
}

static void carry(struct client *client, struct view bytes)
{
	tunnel_write(client->whole, bytes);
	/* The pump may have ended in the middle. */
	client->input_paused = client->whole && tunnel_pending(client->whole) > 0;
}

void http1_input(struct worker *worker, struct view bytes)
{
	struct client *client = &worker->client;
	if (client->feed)
		return; /* that was the last request */
	if (client->whole)
		carry(client, bytes);
	else if (client->unread.size || (client->current && client->current->deadline_ms == 0 && !carries_body(client)))
		keep(client, bytes);
	else
		parse(worker, bytes);
}

static struct buf take_unread(struct client *client)
{
	struct buf taken = client->unread;
	client->unread = BUF_INIT(UNREAD_MAX);
	return taken;
}

void http1_continue(struct worker *worker)
{
	struct client *client = &worker->client;
	/* From inside the parser the parser goes on by itself. */
	if (!client->input_paused || client->whole || client->feed)
		return;
	client->input_paused = false;
	next_request(worker, client->unread.size);
	OWN_SECRET_BUF struct buf input = take_unread(client);
	if (!client->closing_after)
		parse(worker, buf_view(&input));
	/* TLS may hold records that no descriptor tells of. */
	if (!client->input_paused)
		client_more(worker);
}

void http1_finish(struct worker *worker)
{
	struct client *client = &worker->client;
	if (client->feed)
		client_close(worker);
	else if (client->whole)
		tunnel_finish(client->whole);
	else if (client->forwarding && !forward_is_whole(client->forwarding->forward))
		client_over(worker); /* in the middle of a body */
	else if (client->current && !client->current->answered)
		return; /* it has asked and waits for its answer with its own direction closed */
	else
		client_close(worker);
}

void http1_become_tunnel(struct worker *worker, struct tunnel *tunnel)
{
	struct client *client = &worker->client;
	OWN_BUF struct buf head = BUF_INIT(1024);
	if (http1_write_head(&head, 200, NULL, 0, -1, HTTP1_KEEP) < 0 || tls_write(client->tls, buf_view(&head)) < 0)
		worker_end(EXIT_SUCCESS);
	exchange_gone(take_pointer(&client->current));
	client->whole = tunnel;
	client->input_paused = false;
	OWN_BUF struct buf early = take_unread(client);
	if (early.size)
		carry(client, buf_view(&early));
	if (client->whole && tls_ending(client->tls) == TLS_CLOSED)
		tunnel_finish(client->whole);
	client_more(worker);
}

void http1_begin_forwarding(struct worker *worker, struct tunnel *tunnel)
{
	struct client *client = &worker->client;
	client->forwarding = tunnel;
	say_continue(client);
	client->input_paused = true;
	http1_continue(worker);
	if (tls_ending(client->tls) == TLS_CLOSED)
		http1_finish(worker);
}

void http1_end_forwarding(struct worker *worker)
{
	worker->client.input_paused = true;
	http1_continue(worker);
}

static int output_feed(struct client *client, uint8_t *space)
{
	while (tls_can_write(client->tls)) {
		int size = feed_read(client->feed, space, TLS_RECORD_MAX);
		if (size == ERR_AGAIN)
			return 0;
		if (size == 0) {
			client->closing_after = true;
			return 0;
		}
		if (size < 0 || tls_write(client->tls, view_of(space, (size_t)size)) < 0)
			worker_end(EXIT_SUCCESS);
	}
	return ERR_AGAIN;
}

int http1_output(struct worker *worker)
{
	struct client *client = &worker->client;
	static uint8_t space[TLS_RECORD_MAX];
	if (client->feed)
		return output_feed(client, space);
	if (client->forwarding)
		return forward_output(worker, space, sizeof(space));
	while (client->whole && tls_can_write(client->tls)) {
		int size = tunnel_read(client->whole, space, sizeof(space));
		if (size == ERR_AGAIN)
			return 0;
		if (size < 0)
			return 0; /* the pump has ended; tunnel.c has seen to it */
		if (size == 0) {
			(void)tls_close_write(client->tls);
			return 0;
		}
		if (tls_write(client->tls, view_of(space, (size_t)size)) < 0)
			worker_end(EXIT_SUCCESS);
	}
	/* Once the target has ended nothing is written any more: then there is nothing to wait for. */
	return client->whole && tls_wants_write(client->tls) ? ERR_AGAIN : 0;
}

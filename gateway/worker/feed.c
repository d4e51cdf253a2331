/* feed.c: `GET /v1/events`: what ends and what will, a JSON object a line, for as long as the session lives.
 *
 * On HTTP/2 a feed is a stream beside the tunnels. On HTTP/1.1 it is the connection's last answer, which ends with the
 * connection. What the client does not read waits here, up to a bound; beyond it the feed ends, and nothing waits for it.
 */
#include <stdlib.h>
#include <string.h>

#include "sallyport/clock.h"
#include "sallyport/own.h"
#include "worker.h"

/* Some hundred events. */
enum { UNREAD_MAX = 65536 };

static struct feed *find(const struct worker *worker, uint32_t number)
{
	struct feed *feed;
	LIST_FOREACH(feed, &worker->feeds, all)
		if (feed->number == number)
			return feed;
	return NULL;
}

/* ---- the beginning ---- */

static int answer_head(struct feed *feed)
{
	struct client *client = &feed->worker->client;
	struct http_header headers[2 + ANSWER_COMMON_HEADERS] = {HTTP_HEADER("content-type", "application/x-ndjson"),
								 HTTP_HEADER("cache-control", "no-store")};
	size_t count = answer_add_common(headers, 2);
	OWN_BUF struct buf head = BUF_INIT(1024);
	if (feed->stream)
		return h2_respond_tunnel(client->h2, feed->stream, headers, count);
	int result = http1_write_head(&head, 200, headers, count, -1, HTTP1_CLOSE);
	return result < 0 ? result : tls_write(client->tls, buf_view(&head));
}

/* The exchange is answered, and becomes a feed. */
static struct feed *begin(struct exchange *exchange)
{
	struct worker *worker = exchange->worker;
	struct feed *feed = calloc(1, sizeof(*feed));
	if (!feed)
		worker_end(EXIT_FAILURE);
	*feed = (struct feed){.kind = STREAM_FEED, .worker = worker, .number = exchange->number, .stream = exchange->stream,
			      .unread = BUF_INIT(UNREAD_MAX)};
	LIST_INSERT_HEAD(&worker->feeds, feed, all);
	exchange->answered = true;
	if (feed->stream) {
		feed->stream->owner = feed;
		exchange_gone(exchange);
	} else {
		worker->client.feed = feed;
		/* Whatever comes is no request any more; but the client's end must be seen. */
		worker->client.input_paused = false;
	}
	if (answer_head(feed) < 0)
		worker_end(EXIT_SUCCESS);
	return feed;
}

/* ---- events ---- */

static json_t *text_of(struct view text)
{
	return json_stringn(text.size ? (const char *)text.data : "", text.size);
}

static json_t *event_json(const struct worker_broker_event *event)
{
	static const char *const names[] = {[WORKER_BROKER_EVENT_BEGIN] = "begin", [WORKER_BROKER_EVENT_EXTENDED] = "extended",
					    [WORKER_BROKER_EVENT_ENDING] = "ending", [WORKER_BROKER_EVENT_ENDED] = "ended"};
	char at[32] = "";
	if (event->at_ms)
		clock_format(event->at_ms, at, sizeof(at));
	json_t *json = json_pack("{s:s, s:s, s:s?}", "event", names[event->kind], "what", event->tunnel ? "tunnel" : "session", "at",
				 *at ? at : NULL);
	if (json && event->reason.size)
		json_object_set_new(json, "reason", text_of(event->reason));
	if (!json || !event->tunnel)
		return json;
	json_object_set_new(json, "tunnel", json_integer((json_int_t)event->tunnel));
	json_object_set_new(json, "host", text_of(event->host));
	json_object_set_new(json, "port", json_integer(event->port));
	return json;
}

/* False: there is no room, the client does not read. */
static bool add_line(struct feed *feed, const struct worker_broker_event *event)
{
	json_t *json = event_json(event);
	OWN_MEMORY char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	json_decref(json);
	return text && buf_add_format(&feed->unread, "%s\n", text) == 0;
}

static void wake(const struct feed *feed)
{
	/* HTTP/1.1: the turn writes (http1_output). */
	if (feed->stream)
		h2_resume(feed->worker->client.h2, feed->stream);
}

int feed_event(struct worker *worker, const struct worker_broker_event *event)
{
	struct feed *feed = find(worker, event->request);
	struct exchange *exchange = feed ? NULL : exchange_find(worker, event->request);
	if (event->kind < WORKER_BROKER_EVENT_BEGIN || event->kind > WORKER_BROKER_EVENT_ENDED)
		return ERR_BAD_PEER;
	if (exchange && exchange->is_feed)
		feed = begin(exchange);
	if (!feed || feed->over)
		return 0;
	feed->over = !add_line(feed, event) || (event->kind == WORKER_BROKER_EVENT_ENDED && !event->tunnel);
	if (feed->over && (event->kind != WORKER_BROKER_EVENT_ENDED || event->tunnel))
		(void)LINK_SEND(&worker->broker, worker_broker, events_stop, -1, .request = feed->number);
	wake(feed);
	return 0;
}

/* ---- going out ---- */

int feed_read(struct feed *feed, uint8_t *into, size_t capacity)
{
	size_t size = feed->unread.size < capacity ? feed->unread.size : capacity;
	if (size == 0)
		return feed->over ? 0 : ERR_AGAIN;
	memcpy(into, feed->unread.data, size);
	buf_consume(&feed->unread, size);
	if (!feed->unread.size)
		buf_fini(&feed->unread);
	return (int)size;
}

void feed_gone(struct feed *feed)
{
	if (!feed->over)
		(void)LINK_SEND(&feed->worker->broker, worker_broker, events_stop, -1, .request = feed->number);
	LIST_REMOVE(feed, all);
	buf_fini(&feed->unread);
	free(feed);
}

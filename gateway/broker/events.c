/* events.c: feeds of events, and the look at what will end. */
#include "events.h"

#include <stdlib.h>

#include "broker.h"
#include "sallyport/clock.h"
#include "session_request.h"
#include "traffic.h"
#include "worker.h"

/* An end that moves by less is the same one. */
enum { SAME_END_MS = 2000 };

/* ---- saying ---- */

struct event {
	enum worker_broker_event_kind kind;
	const struct tunnel *tunnel; /* NULL: the session's */
	uint64_t at_ms;
	const char *reason;
};

static void say(const struct session *session, const struct event *event)
{
	const struct feed *feed;
	LIST_FOREACH(feed, &session->feeds, of_session)
		WORKER_SEND(feed->worker, event, -1, .request = feed->request, .kind = (uint8_t)event->kind,
			    .tunnel = event->tunnel ? event->tunnel->id : 0,
			    .host = view_string(event->tunnel ? event->tunnel->host : ""),
			    .port = event->tunnel ? event->tunnel->port : 0, .at_ms = event->at_ms,
			    .reason = view_string(event->reason));
}

/* ---- feeds ---- */

static void feed_free(struct feed *feed)
{
	LIST_REMOVE(feed, of_session);
	LIST_REMOVE(feed, of_worker);
	LIST_REMOVE(feed, all);
	free(feed);
}

static unsigned count(const struct worker *worker)
{
	const struct feed *feed;
	unsigned found = 0;
	LIST_FOREACH(feed, &worker->feeds, of_worker)
		found++;
	return found;
}

/* A new listener hears of what is about to end, though others have heard of it. */
static void warn_anew(struct session *session)
{
	struct tunnel *tunnel;
	session->warned = false;
	LIST_FOREACH(tunnel, &session->tunnels, of_session)
		tunnel->warned = false;
}

static struct feed *feed_new(struct worker *worker, struct session *session, uint32_t request)
{
	struct feed *feed = calloc(1, sizeof(*feed));
	if (!feed)
		return NULL;
	*feed = (struct feed){.worker = worker, .session = session, .request = request};
	LIST_INSERT_HEAD(&session->feeds, feed, of_session);
	LIST_INSERT_HEAD(&worker->feeds, feed, of_worker);
	LIST_INSERT_HEAD(&worker->broker->feeds, feed, all);
	return feed;
}

void events_inherit(struct worker *worker, struct session *session, uint32_t request)
{
	if (!feed_new(worker, session, request))
		worker_kill(worker, "gateway_restarted");
}

void events_on_begin(struct worker *worker, const struct worker_broker_events *message)
{
	struct session *session = session_of_request(worker, message->request, message->token, 401, "events");
	if (!session)
		return;
	if (count(worker) == EVENTS_PER_WORKER) {
		worker_refuse(worker, message->request,
			      &(struct refusal){.event = "events", .status = 429, .code = "too_many", .user = session->user,
						.sentence = "This connection has enough event streams.", .retry_after_s = 60});
		return;
	}
	struct feed *feed = feed_new(worker, session, message->request);
	if (!feed) {
		worker_unavailable(worker, message->request);
		return;
	}
	WORKER_SEND(worker, event, -1, .request = feed->request, .kind = WORKER_BROKER_EVENT_BEGIN,
		    .at_ms = session->expires_at_ms);
	warn_anew(session);
	events_look(worker->broker);
}

void events_on_stop(struct worker *worker, const struct worker_broker_events_stop *message)
{
	struct feed *feed;
	LIST_FOREACH(feed, &worker->feeds, of_worker)
		if (feed->request == message->request) {
			feed_free(feed);
			return;
		}
}

void events_worker_gone(struct worker *worker)
{
	while (!LIST_EMPTY(&worker->feeds))
		feed_free(LIST_FIRST(&worker->feeds));
}

/* ---- what happens ---- */

void events_session_ended(struct session *session, const char *reason)
{
	say(session, &(struct event){.kind = WORKER_BROKER_EVENT_ENDED, .at_ms = clock_wall_ms(), .reason = reason});
	while (!LIST_EMPTY(&session->feeds))
		feed_free(LIST_FIRST(&session->feeds));
}

void events_session_extended(struct session *session)
{
	session->warned = false;
	say(session, &(struct event){.kind = WORKER_BROKER_EVENT_EXTENDED, .at_ms = session->expires_at_ms, .reason = ""});
}

void events_tunnel_ended(const struct tunnel *tunnel, const char *reason)
{
	say(tunnel->session, &(struct event){.kind = WORKER_BROKER_EVENT_ENDED, .tunnel = tunnel, .at_ms = clock_wall_ms(),
					     .reason = reason});
}

/* ---- what will end ---- */

/* Milliseconds from now; UINT64_MAX: not foreseen. */
struct coming {
	uint64_t in_ms, lead_ms;
	const char *reason;
};

static struct coming coming_of_tunnel(const struct tunnel *tunnel)
{
	uint64_t now_ms = clock_monotonic_ms();
	uint64_t warn_ms = tunnel->worker->broker->room->conf.warn_before_ms;
	struct coming coming = {.in_ms = UINT64_MAX, .lead_ms = warn_ms, .reason = ""};
	if (tunnel->ends_reason) {
		coming.in_ms = tunnel->ends_at_ms > now_ms ? tunnel->ends_at_ms - now_ms : 0;
		coming.reason = tunnel->ends_reason;
	}
	if (tunnel->idle_limit_ms == 0)
		return coming;
	uint64_t idle_ms = traffic_of(tunnel->watch).idle_ms;
	uint64_t left_ms = tunnel->idle_limit_ms > idle_ms ? tunnel->idle_limit_ms - idle_ms : 0;
	if (left_ms >= coming.in_ms)
		return coming;
	/* Every tunnel is idle now and then: only one that is for most of the time that it may be is worth a word. */
	uint64_t quarter_ms = tunnel->idle_limit_ms / 4;
	return (struct coming){.in_ms = left_ms, .lead_ms = quarter_ms < warn_ms ? quarter_ms : warn_ms, .reason = "idle"};
}

uint64_t tunnel_ends_at_ms(const struct tunnel *tunnel, const char **out_reason)
{
	struct coming coming = coming_of_tunnel(tunnel);
	*out_reason = coming.reason;
	return coming.in_ms == UINT64_MAX ? 0 : clock_wall_ms() + coming.in_ms;
}

/* The earlier of the two clocks' ends. */
static struct coming coming_of_session(const struct session *session, uint64_t warn_ms)
{
	uint64_t wall_ms = clock_wall_ms();
	int64_t now_ms = (int64_t)clock_monotonic_ms();
	uint64_t by_wall = session->expires_at_ms > wall_ms ? session->expires_at_ms - wall_ms : 0;
	uint64_t by_age = session->lease_end_ms > now_ms ? (uint64_t)(session->lease_end_ms - now_ms) : 0;
	return (struct coming){.in_ms = by_wall < by_age ? by_wall : by_age, .lead_ms = warn_ms, .reason = "lease_expired"};
}

/* Warns once; and takes it back when the end has moved away. */
static void tell(const struct session *session, const struct tunnel *tunnel, const struct coming *coming, bool *warned)
{
	bool is_near = coming->in_ms <= coming->lead_ms;
	bool is_far = coming->in_ms > coming->lead_ms && coming->in_ms - coming->lead_ms > SAME_END_MS;
	uint64_t at_ms = coming->in_ms == UINT64_MAX ? 0 : clock_wall_ms() + coming->in_ms;
	if (is_near && !*warned)
		say(session, &(struct event){.kind = WORKER_BROKER_EVENT_ENDING, .tunnel = tunnel, .at_ms = at_ms,
					     .reason = coming->reason});
	else if (is_far && *warned)
		say(session, &(struct event){.kind = WORKER_BROKER_EVENT_EXTENDED, .tunnel = tunnel, .at_ms = at_ms, .reason = ""});
	*warned = is_near || (*warned && !is_far);
}

static void look_at(struct session *session, uint64_t warn_ms)
{
	struct coming coming = coming_of_session(session, warn_ms);
	struct tunnel *tunnel;
	tell(session, NULL, &coming, &session->warned);
	LIST_FOREACH(tunnel, &session->tunnels, of_session) {
		if (tunnel->state != TUNNEL_OPEN || tunnel->end_reason)
			continue;
		coming = coming_of_tunnel(tunnel);
		tell(session, tunnel, &coming, &tunnel->warned);
	}
}

/* A session with several feeds is looked at several times, and says it once. */
void events_look(struct broker *broker)
{
	struct feed *feed;
	LIST_FOREACH(feed, &broker->feeds, all)
		if (!feed->session->is_ending)
			look_at(feed->session, broker->room->conf.warn_before_ms);
}

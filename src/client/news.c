/* news.c: listens to the gateway's events. What they mean is docs/wire.md's matter; who is told, agent.c's. */
#include "news.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent.h"
#include "child.h"
#include "sallyport/clock.h"
#include "sallyport/own.h"
#include "sallyport/str.h"
#include "session.h"

enum {
	NEWS_LINE_BYTES_MAX = 64 * 1024,
	/* A gateway that refuses (one that has no events yet) is asked again so seldom. */
	REFUSED_PAUSE_MS = 60000,
	ENDED_KEPT = 32,
	/* A tunnel's end is explained by what was said so shortly before. */
	ENDED_GOOD_MS = 10000,
};

/* To give a reason other words, or a new one a meaning, add a row. */
static const struct reason {
	const char *code, *words;
	int status; /* of a session that ended for it */
	const char *advice;
} reasons[] = {
	{"lease_expired", N_("its time is over"), STATUS_LOGIN_NEEDED, N_("run: sallyport login")},
	{"fresh_login_required", N_("it needs a fresh login"), STATUS_LOGIN_NEEDED, N_("run: sallyport login --fresh")},
	{"idle", N_("nothing has passed for too long"), STATUS_LOGIN_NEEDED, NULL},
	{"hours_over", N_("the hours in which it is allowed are over"), STATUS_NOT_ALLOWED, NULL},
	{"policy_changed", N_("the policy does not allow it any more"), STATUS_NOT_ALLOWED, NULL},
	{"too_many", N_("a newer one took its place"), STATUS_LOGIN_NEEDED, N_("run: sallyport login")},
	{"logout", N_("you have logged out"), STATUS_LOGIN_NEEDED, N_("run: sallyport login")},
	{"replaced", N_("a newer login took its place"), STATUS_LOGIN_NEEDED, N_("run: sallyport login")},
	{"ended_by_admin", N_("an administrator has ended it"), STATUS_LOGIN_NEEDED, N_("run: sallyport login")},
	{"device_locked", N_("this device was locked"), STATUS_DEVICE_REFUSED, N_("ask your administrator")},
	{"device_revoked", N_("this device was revoked"), STATUS_DEVICE_REFUSED, N_("ask your administrator")},
	{"reinvited", N_("this device was enrolled anew elsewhere"), STATUS_DEVICE_REFUSED, N_("ask your administrator")},
	{"certificate_revoked", N_("the authority of this device's certificate has revoked it"), STATUS_DEVICE_REFUSED, N_("ask your administrator")},
	{"ocsp_unavailable", N_("the authority of this device's certificate is silent"), STATUS_DEVICE_REFUSED, N_("ask your administrator")},
	{"crl_stale", N_("the authority of this device's certificate is silent"), STATUS_DEVICE_REFUSED, N_("ask your administrator")},
	{"user_locked", N_("you were locked at the gateway"), STATUS_LOGIN_NEEDED, N_("ask your administrator")},
	{"unbound", N_("this device is no longer yours"), STATUS_LOGIN_NEEDED, N_("ask your administrator")},
	{"gateway_stopped", N_("the gateway is stopping"), STATUS_UNREACHABLE, NULL},
	{"", N_("the gateway gives no reason"), STATUS_LOGIN_NEEDED, N_("run: sallyport login")},
};

struct ended {
	struct destination destination;
	const char *words;
	uint64_t at_ms;
};

struct news {
	struct stream stream; /* first: a stream is its news */
	struct agent *agent;
	bool listening;
	struct token token; /* with which it listens */
	unsigned http_status;
	uint64_t pause_ms; /* not before this it is asked again */
	struct buf line;
	struct ended ended[ENDED_KEPT];
	size_t ended_next;
	char warning[256];
};

static const struct reason *find_reason(const char *code)
{
	const struct reason *reason = reasons;
	while (*reason->code && strcmp(reason->code, code) != 0)
		reason++;
	return reason;
}

/* ---- what is said ---- */

static struct destination destination_of(const struct answer_event *event)
{
	struct destination destination = {.port = event->port};
	str_copy(destination.host, sizeof(destination.host), event->host);
	return destination;
}

static void tell(struct news *news, const struct destination *destination, const char *sentence)
{
	agent_note(news->agent, destination, sentence);
	child_notify(news->agent, "Sallyport", sentence);
}

/* "2026-11-24T10:15:00.000Z" -> "10:15 UTC on 2026-11-24" */
static void say_time(const char *at, char *out_text, size_t capacity)
{
	if (strlen(at) < 16)
		str_copy(out_text, capacity, _("an unknown time"));
	else
		snprintf(out_text, capacity, _("%.5s UTC on %.10s"), at + 11, at);
}

static void on_session_ending(struct news *news, const struct answer_event *event)
{
	const struct reason *reason = find_reason(event->reason);
	char when[48];
	say_time(event->at, when, sizeof(when));
	snprintf(news->warning, sizeof(news->warning), _("Your session ends at %s: %s%s%s"), when, _(reason->words),
		 reason->advice ? "; " : "", reason->advice ? _(reason->advice) : "");
	tell(news, NULL, news->warning);
}

/* A login that replaced it has stored another token already; then nothing is lost. */
static void on_session_ended(struct news *news, const struct answer_event *event)
{
	const struct reason *reason = find_reason(event->reason);
	struct token now;
	struct diag diag;
	const char *gateway = connection_authority(news->stream.connection);
	bool replaced = session_load(news->agent->settings, gateway, &now, &diag) == STATUS_OK && strcmp(now.text, news->token.text) != 0;
	token_wipe(&now);
	news->warning[0] = 0;
	if (replaced || strcmp(reason->code, "gateway_stopped") == 0)
		return;
	int status = diag_set(&diag, reason->status, _("Your session was ended: %s%s%s"), _(reason->words), reason->advice ? "; " : "",
			      reason->advice ? _(reason->advice) : "");
	if (strcmp(reason->code, "logout") != 0)
		child_notify(news->agent, "Sallyport", diag.text);
	agent_hopeless(news->agent, status, &diag);
}

static void on_tunnel_ending(struct news *news, const struct answer_event *event)
{
	const struct reason *reason = find_reason(event->reason);
	const struct destination destination = destination_of(event);
	char when[48], sentence[512];
	/* Whoever rests for a while wants no sentence each time. */
	if (strcmp(reason->code, "idle") == 0)
		return;
	say_time(event->at, when, sizeof(when));
	snprintf(sentence, sizeof(sentence), _("The connection to %s:%u ends at %s: %s%s%s"), event->host, event->port, when, _(reason->words),
		 reason->advice ? "; " : "", reason->advice ? _(reason->advice) : "");
	tell(news, &destination, sentence);
}

static void on_tunnel_ended(struct news *news, const struct answer_event *event)
{
	const struct reason *reason = find_reason(event->reason);
	struct ended *ended = &news->ended[news->ended_next++ % ENDED_KEPT];
	char sentence[512];
	*ended = (struct ended){.destination = destination_of(event), .words = _(reason->words), .at_ms = clock_monotonic_ms()};
	snprintf(sentence, sizeof(sentence), _("The gateway ended the connection to %s:%u: %s%s%s"), event->host, event->port,
		 _(reason->words), reason->advice ? "; " : "", reason->advice ? _(reason->advice) : "");
	/* Who waits for that tunnel alone hears it with its end (passage.c). */
	const struct destination nobody = {.port = 0};
	agent_note(news->agent, &nobody, sentence);
}

static void obey(struct news *news, const struct answer_event *event)
{
	static void (*const of_session[])(struct news *, const struct answer_event *) = {
		[ANSWER_EVENT_ENDING] = on_session_ending, [ANSWER_EVENT_ENDED] = on_session_ended};
	static void (*const of_tunnel[])(struct news *, const struct answer_event *) = {
		[ANSWER_EVENT_ENDING] = on_tunnel_ending, [ANSWER_EVENT_ENDED] = on_tunnel_ended};
	if (!event->of_tunnel && event->kind != ANSWER_EVENT_ENDING)
		news->warning[0] = 0;
	void (*handler)(struct news *, const struct answer_event *) = event->of_tunnel ? of_tunnel[event->kind] : of_session[event->kind];
	if (handler)
		handler(news, event);
}

/* ---- the stream ---- */

static void on_response(struct stream *stream, const struct http_response *response)
{
	((struct news *)stream)->http_status = response->status;
}

/* Lines that are none, or of a kind that this program does not know, are passed over. */
static void take_lines(struct news *news)
{
	struct answer_event event;
	struct diag diag;
	for (;;) {
		struct view all = buf_view(&news->line);
		const uint8_t *end = all.size ? memchr(all.data, '\n', all.size) : NULL;
		if (!end)
			return;
		size_t size = (size_t)(end - all.data);
		int status = answer_parse_event(view_of(all.data, size), &event, &diag);
		buf_consume(&news->line, size + 1);
		if (status == STATUS_OK)
			obey(news, &event);
	}
}

static void on_data(struct stream *stream, struct view bytes)
{
	struct news *news = (struct news *)stream;
	/* A line without an end is dropped; so is what a refusal has to say. */
	if (news->http_status / 100 != 2 || buf_add(&news->line, bytes) < 0)
		buf_reset(&news->line);
	connection_consumed(stream, bytes.size);
	take_lines(news);
}

static void on_finish(struct stream *stream)
{
	(void)stream;
}

static void on_closed(struct stream *stream, enum h2_code code, bool by_peer)
{
	(void)code, (void)by_peer;
	struct news *news = (struct news *)stream;
	news->listening = false;
	if (news->http_status && news->http_status / 100 != 2)
		news->pause_ms = clock_monotonic_ms() + REFUSED_PAUSE_MS;
}

static const struct stream_handlers handlers = {
	.on_response = on_response,
	.on_data = on_data,
	.on_finish = on_finish,
	.on_closed = on_closed,
};

static void stop(struct news *news)
{
	if (news->listening)
		connection_forget(&news->stream);
	news->listening = false;
}

static void listen_by(struct news *news, struct connection *connection)
{
	char authorization[ANSWER_TOKEN_MAX + 16];
	struct diag diag;
	snprintf(authorization, sizeof(authorization), "Bearer %s", news->token.text);
	struct http_header headers[] = {HTTP_HEADER("authorization", authorization)};
	struct h2_request request = {
		.method = "GET", .path = view_string("/v1/events"), .headers = headers, .header_count = 1};
	news->stream = (struct stream){.handlers = &handlers, .background = true};
	news->http_status = 0;
	buf_reset(&news->line);
	news->listening = connection_request(connection, &request, &news->stream, &diag) == STATUS_OK;
	wipe(authorization, sizeof(authorization));
}

void news_look(struct news *news)
{
	struct connection *connection = news ? uplink_connection(news->agent->uplink) : NULL;
	struct token token;
	struct diag diag;
	/* While it does not answer it is not given up either. */
	if (!connection)
		return;
	bool logged_in = session_load(news->agent->settings, connection_authority(connection), &token, &diag) == STATUS_OK;
	bool same = strcmp(token.text, news->token.text) == 0;
	if (!logged_in || !same || (news->listening && news->stream.connection != connection))
		stop(news);
	if (!same) {
		news->pause_ms = 0;
		news->warning[0] = 0;
	}
	news->token = token;
	if (logged_in && !news->listening && clock_monotonic_ms() >= news->pause_ms)
		listen_by(news, connection);
	token_wipe(&token);
}

void news_look_anew(struct news *news)
{
	if (news)
		news->pause_ms = 0;
	news_look(news);
}

const char *news_why_ended(const struct news *news, const struct destination *destination)
{
	uint64_t now_ms = clock_monotonic_ms();
	for (size_t i = 0; news && i < ENDED_KEPT; i++) {
		const struct ended *ended = &news->ended[i];
		if (ended->words && now_ms - ended->at_ms < ENDED_GOOD_MS &&
		    destination_equal(&ended->destination, destination))
			return ended->words;
	}
	return NULL;
}

const char *news_warning(const struct news *news)
{
	return news && news->warning[0] ? news->warning : NULL;
}

/* ---- life ---- */

struct news *news_open(struct agent *agent)
{
	struct news *news = calloc(1, sizeof(*news));
	if (!news)
		return NULL;
	news->agent = agent;
	news->line = BUF_INIT(NEWS_LINE_BYTES_MAX);
	return news;
}

void news_close(struct news *news)
{
	if (!news)
		return;
	stop(news);
	buf_fini(&news->line);
	token_wipe(&news->token);
	free(news);
}

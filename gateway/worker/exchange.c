/* exchange.c: one request, whatever the HTTP version: its head is judged, its body collected, its route served.
 *
 * Routes are a table (routes.c), its one answer is answer.c's. A refusal of the worker's own is reported, so that its
 * request_id is found in the record.
 */
#include <stdlib.h>
#include <string.h>

#include "browser.h"
#include "request.h"
#include "routes.h"
#include "sallyport/clock.h"
#include "sallyport/own.h"
#include "sallyport/str.h"
#include "sallyport/x509.h"

/* ---- refusals ---- */

void exchange_refuse(struct exchange *exchange, unsigned status, const char *code, const char *sentence)
{
	char shown[512];
	if (exchange->refused || exchange->answered)
		return;
	exchange->refused = true;
	/* HTTP/1.1: what is left of a body that nobody reads would be taken for the next request. */
	exchange->is_last |= exchange->deadline_ms && exchange->has_body;
	exchange->deadline_ms = 0;
	/* The sentence may quote the client; the edge carries text only. */
	str_copy(shown, sizeof(shown), sentence);
	str_make_printable(shown);
	EXCHANGE_ASK(exchange, refusal, .status = status, .code = view_string(code), .sentence = view_string(shown));
}

/* ---- a way to a target ---- */

void exchange_open(struct exchange *exchange, struct view proxy_authorization, const struct exchange_target *target)
{
	struct diag diag;
	if (!view_is_utf8(view_string(target->host))) {
		exchange_refuse(exchange, 400, "bad_target", "The target's host is not valid text.");
		return;
	}
	/* Without a word the broker looks for the browser's session. */
	int result = request_authorization(proxy_authorization, exchange->user, exchange->token, &diag);
	if (result < 0 && result != ERR_NOT_FOUND) {
		exchange_refuse(exchange, 407, "no_session", diag.text);
		return;
	}
	exchange->is_open = true;
	EXCHANGE_ASK(exchange, open, .token = view_string(exchange->token), .user = view_string(exchange->user),
		     .host = view_string(target->host), .port = target->port, .form = (uint8_t)target->form);
	wipe(exchange->token, sizeof(exchange->token));
}

static void ask_tunnel(struct exchange *exchange, const struct http_request *request)
{
	struct exchange_target target = {.form = WORKER_BROKER_CONNECT};
	if (str_split_authority(request->authority, target.host, sizeof(target.host), &target.port) < 0)
		exchange_refuse(exchange, 400, "bad_target", "The target of CONNECT must be HOST:PORT with a port from 1 to 65535.");
	else
		exchange_open(exchange, request->proxy_authorization, &target);
}

/* ---- the life of an exchange ---- */

static bool is_json(struct view content_type)
{
	size_t length = 0;
	while (length < content_type.size && content_type.data[length] != ';' && content_type.data[length] != ' ')
		length++;
	struct view kind = view_of(content_type.data, length);
	/* The second is what `curl -d` says when nobody tells it otherwise; the body is judged all the same. */
	return kind.size == 0 || view_is(kind, "application/json") || view_is(kind, "application/x-www-form-urlencoded");
}

/* "?key=tpm": a claim, shown in the inventory. Anything else is no claim. */
static void take_key_store(struct exchange *exchange, struct view path)
{
	static const char *const stores[] = {"software", "pkcs11", "tpm"};
	char query[32];
	const uint8_t *mark = path.size ? memchr(path.data, '?', path.size) : NULL;
	if (!mark || view_to_string(view_of(mark, path.size - (size_t)(mark - path.data)), query, sizeof(query)) < 0)
		return;
	for (size_t i = 0; i < sizeof(stores) / sizeof(stores[0]); i++)
		if (strncmp(query, "?key=", 5) == 0 && strcmp(query + 5, stores[i]) == 0)
			str_copy(exchange->key_store, sizeof(exchange->key_store), stores[i]);
}

/* The sentence for a path that is none, and its code. */
static void refuse_path(struct exchange *exchange)
{
	if (*exchange->allow)
		exchange_refuse(exchange, 405, "method_not_allowed", "That method is not for this path.");
	else if (exchange->worker->client.host)
		exchange_refuse(exchange, 403, "host_certificate",
				"This certificate is a host's: it may ask for presence, and nothing else.");
	else if (exchange->worker->client.returning)
		exchange_refuse(exchange, 403, "certificate_expired",
				"This device's certificate has expired: log in and renew it (sallyport renew).");
	else
		exchange_refuse(exchange, 404, "not_found", "There is nothing at that path.");
}

/* Whose request it is: by Authorization, or else by the cookie. */
static void take_credentials(struct exchange *exchange, const struct http_request *request)
{
	bool is_basic = exchange->route->token == BASIC;
	struct diag diag;
	int result = ERR_NOT_FOUND;
	if (!is_basic && !request->authorization.size)
		result = browser_cookie_token(request->cookie, exchange->token);
	exchange->by_cookie = result != ERR_NOT_FOUND;
	if (result == ERR_NOT_FOUND)
		result = request_authorization(request->authorization, exchange->user, exchange->token, &diag);
	else if (result < 0)
		(void)!diag_set(&diag, result, "The cookie holds no token of this gateway. Log in.");
	if (result < 0 && !(result == ERR_NOT_FOUND && exchange->route->token == PERHAPS_TOKEN))
		exchange_refuse(exchange, 401, is_basic ? "no_invitation" : "no_session",
				is_basic ? "Enrolment needs an invitation: its id and secret as Basic authorization." : diag.text);
}

/* Nobody logs in at the enrolment listener, and no device is known there: no page gains by sending a browser to it. What is
 * for another server is judged there. */
static const char *forbidden_by_browser(const struct exchange *exchange, const struct http_request *request)
{
	char host[BROWSER_HOST_MAX + 1];
	if (routes_door(&exchange->worker->client) == ENROLMENT || view_is(request->scheme, "http") || !browser_is_one(request))
		return NULL;
	/* A name of somebody else's that leads here (DNS rebinding) would make his pages ours: same origin, but not our name. TLS
	 * tells the browser so, and its user may have clicked that away. */
	if (browser_host(request->authority, host, sizeof(host)) < 0 || !x509_names_host(exchange->worker->certificate, host))
		return "This gateway has no such name. Open it by the name that its certificate says.";
	return browser_forbids(request);
}

static void check_head(struct exchange *exchange, const struct http_request *request)
{
	const char *forbidden = forbidden_by_browser(exchange, request);
	exchange->route = routes_find(exchange, request);
	exchange->shows_cookie = browser_shows_cookie(request);
	take_key_store(exchange, request->path);
	if (view_to_string(request->authority, exchange->authority, sizeof(exchange->authority)) < 0)
		exchange->authority[0] = 0;
	if (forbidden)
		exchange_refuse(exchange, 403, "cross_site", forbidden);
	else if (!exchange->route)
		refuse_path(exchange);
	else if (exchange->route->body == JSON_BODY && !is_json(request->content_type))
		exchange_refuse(exchange, 415, "bad_request", "The body must be application/json.");
	else if (exchange->route->body == PKCS10_BODY && !view_is(request->content_type, "application/pkcs10"))
		exchange_refuse(exchange, 415, "bad_request", "The body must be application/pkcs10 (base64).");
	else if (request->content_length > (int64_t)exchange->worker->conf->body_bytes)
		exchange_refuse(exchange, 413, "too_large", "The body is larger than this gateway takes.");
	else if (exchange->route->token != NO_TOKEN)
		take_credentials(exchange, request);
}

static struct exchange *new_exchange(struct worker *worker, struct h2_stream *stream)
{
	struct exchange *exchange = calloc(1, sizeof(*exchange));
	if (!exchange)
		return NULL;
	exchange->kind = STREAM_EXCHANGE;
	exchange->worker = worker;
	exchange->stream = stream;
	exchange->number = (uint32_t)++worker->client.requests;
	exchange->body = BUF_INIT(worker->conf->body_bytes);
	exchange->deadline_ms = clock_monotonic_ms() + worker->conf->request_time_limit_ms;
	LIST_INSERT_HEAD(&worker->exchanges, exchange, all);
	worker->exchange_count++;
	return exchange;
}

struct exchange *exchange_begin(struct worker *worker, struct h2_stream *stream, const struct http_request *request)
{
	struct exchange *exchange = new_exchange(worker, stream);
	if (!exchange)
		return NULL;
	exchange->has_body = request->has_body;
	exchange->is_head = view_is(request->method, "HEAD");
	exchange->wants_page = routes_door(&worker->client) == MAIN && request_wants_page(request->accept);
	if (stream)
		stream->owner = exchange;
	if (request->refuse) {
		const char *code = request->refuse == 431 || request->refuse == 413 ? "too_large" : "bad_request";
		exchange_refuse(exchange, request->refuse, code, request->refuse_sentence);
	} else if (view_is(request->method, "CONNECT") && routes_door(&worker->client) == MAIN) {
		exchange->deadline_ms = 0;
		exchange->is_connect = true;
		ask_tunnel(exchange, request);
	} else if (view_is(request->scheme, "http") && routes_door(&worker->client) == MAIN) {
		exchange->deadline_ms = 0;
		forward_ask(exchange, request);
	} else {
		check_head(exchange, request);
	}
	return exchange;
}

void exchange_body(struct exchange *exchange, struct view bytes)
{
	if (exchange->answered || exchange->refused)
		return;
	if (buf_add(&exchange->body, bytes) == 0)
		return;
	exchange_refuse(exchange, 413, "too_large", "The body is larger than this gateway takes.");
}

void exchange_whole(struct exchange *exchange)
{
	exchange->deadline_ms = 0;
	if (exchange->forward)
		forward_whole(exchange->forward);
	else if (!exchange->answered && !exchange->refused && exchange->route)
		exchange->route->serve(exchange);
}

static void exchange_free(struct exchange *exchange)
{
	LIST_REMOVE(exchange, all);
	exchange->worker->exchange_count--;
	wipe(exchange->token, sizeof(exchange->token));
	buf_wipe(&exchange->body);
	json_decref(exchange->items);
	free(exchange);
}

void exchange_gone(struct exchange *exchange)
{
	if (exchange->is_open && !exchange->answered)
		EXCHANGE_ASK(exchange, open_cancel, );
	if (exchange->is_login && !exchange->answered && !exchange->refused)
		EXCHANGE_ASK(exchange, login_left, );
	if (exchange->is_feed && !exchange->answered)
		EXCHANGE_ASK(exchange, events_stop, );
	forward_gone(exchange);
	exchange_free(exchange);
}

/* The successor records it, and then it is answered. */
void exchange_forsaken(struct worker *worker, uint64_t taken)
{
	struct exchange *exchange;
	LIST_FOREACH(exchange, &worker->exchanges, all) {
		if (exchange->answered || !exchange->asked || exchange->asked > taken)
			continue;
		exchange->refused = false;
		exchange_refuse(exchange, 503, "unavailable", "The gateway was restarted just now. Try again.");
	}
}

struct exchange *exchange_find(struct worker *worker, uint32_t number)
{
	struct exchange *exchange;
	LIST_FOREACH(exchange, &worker->exchanges, all)
		if (exchange->number == number && !exchange->answered)
			return exchange;
	return NULL;
}

/* exchange.c: one request, whatever the HTTP version: which route it takes, its body, its one answer.
 *
 * Routes are a table. What needs a decision goes to the broker; the answer comes back in broker_edge.c under the
 * exchange's number. A refusal of the worker's own is reported, so that its request_id is found in the record.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "portal_assets.h"
#include "request.h"
#include "sallyport/clock.h"
#include "sallyport/edge/monitor_room.h"
#include "sallyport/log.h"
#include "sallyport/own.h"
#include "sallyport/str.h"
#include "worker.h"

/* ---- routes ---- */

static void login_start(struct exchange *exchange);
static void login_answer(struct exchange *exchange);
static void login_cancel(struct exchange *exchange);
static void session_get(struct exchange *exchange);
static void session_renew(struct exchange *exchange);
static void session_end(struct exchange *exchange);
static void resources(struct exchange *exchange);
static void events(struct exchange *exchange);
static void presence(struct exchange *exchange);

enum body_rule { NO_BODY, JSON_BODY, PKCS10_BODY };
enum token_rule { NO_TOKEN, WITH_TOKEN, BASIC };

/* Where and for whom a route exists. */
enum door {
	MAIN = 1 << 0,      /* an accepted device */
	RETURNING = 1 << 1, /* a device whose certificate has expired */
	ENROLMENT = 1 << 2, /* the enrolment listener */
	HOST = 1 << 3,      /* an internal host */
};

struct route {
	unsigned doors;
	const char *method, *path; /* a path that ends in '/' goes on with the id of a conversation */
	enum body_rule body;
	enum token_rule token;
	void (*serve)(struct exchange *exchange);
};

static const struct route routes[] = {
	{MAIN | RETURNING, "POST", "/v1/login", JSON_BODY, NO_TOKEN, login_start},
	{MAIN | RETURNING, "POST", "/v1/login/", JSON_BODY, NO_TOKEN, login_answer},
	{MAIN | RETURNING, "DELETE", "/v1/login/", NO_BODY, NO_TOKEN, login_cancel},
	{MAIN, "GET", "/v1/session", NO_BODY, WITH_TOKEN, session_get},
	{MAIN, "POST", "/v1/session/renew", NO_BODY, WITH_TOKEN, session_renew},
	{MAIN, "DELETE", "/v1/session", NO_BODY, WITH_TOKEN, session_end},
	{MAIN, "GET", "/v1/events", NO_BODY, WITH_TOKEN, events},
	{MAIN, "GET", "/v1/resources", NO_BODY, WITH_TOKEN, resources},
	{MAIN, "GET", "/", NO_BODY, NO_TOKEN, portal_front},
	{MAIN, "GET", portal_css_path, NO_BODY, NO_TOKEN, portal_style},
	{MAIN, "GET", portal_js_path, NO_BODY, NO_TOKEN, portal_script},
	{MAIN, "GET", portal_svg_path, NO_BODY, NO_TOKEN, portal_icon},
	{HOST, "POST", "/v1/presence", JSON_BODY, NO_TOKEN, presence},
	{MAIN | RETURNING | HOST, "POST", "/.well-known/est/simplereenroll", PKCS10_BODY, NO_TOKEN, enrolment_renew},
	{MAIN | RETURNING | ENROLMENT | HOST, "GET", "/.well-known/est/cacerts", NO_BODY, NO_TOKEN, enrolment_authorities},
	{ENROLMENT, "GET", "/crl", NO_BODY, NO_TOKEN, enrolment_revocations},
	{ENROLMENT, "POST", "/.well-known/est/simpleenroll", PKCS10_BODY, BASIC, enrolment_enroll},
};

static unsigned door_of(const struct client *client)
{
	if (client->listener == MONITOR_ROOM_ENROLMENT)
		return ENROLMENT;
	return client->host ? HOST : client->returning ? RETURNING : MAIN;
}

static bool path_fits(const struct route *route, struct view path, char *out_conversation)
{
	size_t length = strlen(route->path);
	bool takes_id = length > 1 && route->path[length - 1] == '/';
	if (!takes_id)
		return view_is(path, route->path);
	if (path.size <= length || memcmp(path.data, route->path, length) != 0)
		return false;
	struct view id = view_of(path.data + length, path.size - length);
	return !memchr(id.data, '/', id.size) && view_is_utf8(id) &&
	       view_to_string(id, out_conversation, WORKER_BROKER_CONVERSATION_MAX + 1) == 0;
}

/* The route; or NULL with the methods that the path knows in exchange->allow ("" for an unknown path). */
static const struct route *find_route(struct exchange *exchange, const struct http_request *request)
{
	size_t used = 0, capacity = sizeof(exchange->allow);
	char *out_allow = exchange->allow;
	unsigned door = door_of(&exchange->worker->client);
	/* What is for somebody else has no route here, however its path looks. */
	struct view path = view_is(request->scheme, "http") ? view_of(NULL, 0) : request->path;
	const uint8_t *query = path.size ? memchr(path.data, '?', path.size) : NULL;
	path.size = query ? (size_t)(query - path.data) : path.size;
	out_allow[0] = 0;
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		if (!(routes[i].doors & door) || !path_fits(&routes[i], path, exchange->conversation))
			continue;
		if (view_is(request->method, routes[i].method))
			return &routes[i];
		int length = snprintf(out_allow + used, capacity - used, "%s%s", used ? ", " : "", routes[i].method);
		used += length > 0 && (size_t)length < capacity - used ? (size_t)length : 0;
	}
	return NULL;
}

/* ---- answers ---- */

static void finish(struct exchange *exchange)
{
	struct worker *worker = exchange->worker;
	exchange->answered = true;
	exchange->deadline_ms = 0;
	wipe(exchange->token, sizeof(exchange->token));
	buf_wipe(&exchange->body);
	json_decref(take_pointer(&exchange->items));
	/* HTTP/2: the stream's end frees it. */
	if (!exchange->stream)
		http1_continue(worker);
}

static void write_http1(struct exchange *exchange, unsigned status, const struct http_header *headers, size_t count,
			struct view body)
{
	struct client *client = &exchange->worker->client;
	OWN_SECRET_BUF struct buf bytes = BUF_INIT(1 << 20);
	bool keep = http1_keeps_alive(client->http1) && client->requests < exchange->worker->conf->requests_per_connection &&
		    !exchange->is_last;
	int result = http1_write_head(&bytes, status, headers, count, (int64_t)body.size, keep ? HTTP1_KEEP : HTTP1_CLOSE);
	if (result == 0)
		result = buf_add(&bytes, body);
	if (result == 0)
		result = tls_write(client->tls, buf_view(&bytes));
	/* The batch had no room for an answer: this client does not read what it asked for. */
	if (result < 0)
		worker_end(EXIT_SUCCESS);
	if (!keep)
		client->closing_after = true;
}

static void write_answer(struct exchange *exchange, unsigned status, const struct http_header *headers, size_t count,
			 struct view body)
{
	if (exchange->answered)
		return;
	if (!exchange->stream)
		write_http1(exchange, status, headers, count, body);
	else
		(void)!h2_respond(exchange->worker->client.h2, exchange->stream, status, headers, count, body);
	finish(exchange);
}

void exchange_answer(struct exchange *exchange, unsigned status, json_t *json)
{
	const struct http_header headers[] = {HTTP_HEADER("content-type", "application/json"),
					      HTTP_HEADER("cache-control", "no-store")};
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	json_decref(json);
	if (!text)
		worker_end(EXIT_FAILURE);
	write_answer(exchange, status, headers, 2, view_string(text));
	wipe(text, strlen(text));
	free(text);
}

void exchange_bytes(struct exchange *exchange, const struct http_header *headers, size_t count, struct view body)
{
	write_answer(exchange, 200, headers, count, body);
}

void exchange_empty(struct exchange *exchange, unsigned status)
{
	write_answer(exchange, status, NULL, 0, (struct view){0});
}

void exchange_text(struct exchange *exchange, unsigned status, const struct exchange_text *text)
{
	struct http_header headers[4] = {HTTP_HEADER("cache-control", "no-store")};
	char seconds[16];
	size_t count = 1;
	if (text->content_type)
		headers[count++] = HTTP_HEADER("content-type", text->content_type);
	if (text->is_base64)
		headers[count++] = HTTP_HEADER("content-transfer-encoding", "base64");
	snprintf(seconds, sizeof(seconds), "%u", text->retry_after_s);
	if (text->retry_after_s)
		headers[count++] = HTTP_HEADER("retry-after", seconds);
	write_answer(exchange, status, headers, count, text->body);
}

static json_t *problem_json(const struct exchange *exchange, const struct exchange_problem *problem)
{
	char request_id[64];
	snprintf(request_id, sizeof(request_id), "%s-%u", exchange->worker->client.connection, exchange->number);
	/* Where to go for it. */
	const char *login = strcmp(problem->code, "fresh_login_required") == 0 ? "/v1/login" : NULL;
	return json_pack("{s:s, s:s, s:i, s:s, s:s, s:s, s:s*}", "type", "about:blank", "title", http1_reason(problem->status), "status",
			 (int)problem->status, "code", problem->code, "detail", problem->sentence, "request_id", request_id, "login", login);
}

void exchange_problem(struct exchange *exchange, const struct exchange_problem *problem)
{
	struct http_header headers[5] = {HTTP_HEADER("content-type", "application/problem+json"),
					 HTTP_HEADER("cache-control", "no-store")};
	size_t count = 2;
	char seconds[16];
	snprintf(seconds, sizeof(seconds), "%u", problem->retry_after_s ? problem->retry_after_s : 1);
	if (problem->status == 407) {
		headers[count++] = HTTP_HEADER("proxy-authenticate", "Basic realm=\"sallyport\"");
		headers[count++] = HTTP_HEADER("proxy-authenticate", "Bearer");
	} else if (problem->status == 401) {
		headers[count++] = HTTP_HEADER("www-authenticate", exchange->worker->client.listener == MONITOR_ROOM_ENROLMENT
									   ? "Basic realm=\"invitation\""
									   : "Bearer");
	} else if (problem->status == 405) {
		headers[count++] = HTTP_HEADER("allow", exchange->allow);
	} else if (problem->status == 429 || problem->status == 503) {
		headers[count++] = HTTP_HEADER("retry-after", seconds);
	}
	OWN_MEMORY char *text = NULL;
	json_t *json = problem_json(exchange, problem);
	text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	json_decref(json);
	if (!text)
		worker_end(EXIT_FAILURE);
	write_answer(exchange, problem->status, headers, count, view_string(text));
}

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

/* ---- what is asked of the broker ---- */

static void login_start(struct exchange *exchange)
{
	exchange->is_login = true;
	struct request_login login;
	struct diag diag;
	if (request_login(buf_view(&exchange->body), &login, &diag) < 0)
		exchange_refuse(exchange, 400, "bad_request", diag.text);
	else
		EXCHANGE_ASK(exchange, login_start, .user = view_string(login.user), .realm = view_string(login.realm));
}

static void login_answer(struct exchange *exchange)
{
	exchange->is_login = true;
	struct request_answers answers;
	struct diag diag;
	if (request_answers(buf_view(&exchange->body), &answers, &diag) < 0) {
		exchange_refuse(exchange, 400, "bad_request", diag.text);
		return;
	}
	for (uint32_t i = 0; i < answers.count; i++)
		EXCHANGE_ASK(exchange, answer_item, .text = buf_view(&answers.list[i]));
	EXCHANGE_ASK(exchange, login_answer, .conversation = view_string(exchange->conversation), .answers = answers.count);
	request_answers_fini(&answers);
}

static void login_cancel(struct exchange *exchange)
{
	EXCHANGE_ASK(exchange, login_cancel, .conversation = view_string(exchange->conversation));
}

static void session_get(struct exchange *exchange)
{
	EXCHANGE_ASK(exchange, session_get, .token = view_string(exchange->token));
}

static void session_renew(struct exchange *exchange)
{
	EXCHANGE_ASK(exchange, session_renew, .token = view_string(exchange->token));
}

static void session_end(struct exchange *exchange)
{
	EXCHANGE_ASK(exchange, session_end, .token = view_string(exchange->token));
}

static void resources(struct exchange *exchange)
{
	EXCHANGE_ASK(exchange, resources, .token = view_string(exchange->token));
}

static void presence(struct exchange *exchange)
{
	struct request_presence presence;
	struct diag diag;
	if (request_presence(buf_view(&exchange->body), &presence, &diag) < 0)
		exchange_refuse(exchange, 400, "bad_request", diag.text);
	else
		EXCHANGE_ASK(exchange, presence, .user = view_string(presence.user), .service = view_string(presence.service),
			     .fresh_ms = presence.fresh_ms, .source = view_of(presence.source.bytes, presence.source.size),
			     .source_port = presence.source.port, .target = view_of(presence.target.bytes, presence.target.size),
			     .target_port = presence.target.port);
}

static void events(struct exchange *exchange)
{
	exchange->is_feed = true;
	EXCHANGE_ASK(exchange, events, .token = view_string(exchange->token));
	wipe(exchange->token, sizeof(exchange->token));
}

/* ---- CONNECT ---- */

static void ask_tunnel(struct exchange *exchange, const struct http_request *request)
{
	char host[256];
	uint16_t port = 0;
	struct diag diag;
	if (str_split_authority(request->authority, host, sizeof(host), &port) < 0) {
		exchange_refuse(exchange, 400, "bad_target", "The target of CONNECT must be HOST:PORT with a port from 1 to 65535.");
		return;
	}
	if (!view_is_utf8(view_string(host))) {
		exchange_refuse(exchange, 400, "bad_target", "The target's host is not valid text.");
		return;
	}
	int result = request_authorization(request->proxy_authorization, exchange->user, exchange->token, &diag);
	if (result < 0) {
		exchange_refuse(exchange, 407, "no_session", diag.text);
		return;
	}
	exchange->is_open = true;
	EXCHANGE_ASK(exchange, open, .token = view_string(exchange->token), .user = view_string(exchange->user), .host = view_string(host),
	    .port = port);
	wipe(exchange->token, sizeof(exchange->token));
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

static void check_head(struct exchange *exchange, const struct http_request *request)
{
	struct diag diag;
	exchange->route = find_route(exchange, request);
	exchange->wants_page = request_wants_page(request->accept);
	take_key_store(exchange, request->path);
	if (!exchange->route && *exchange->allow)
		exchange_refuse(exchange, 405, "method_not_allowed", "That method is not for this path.");
	else if (!exchange->route && exchange->worker->client.host)
		exchange_refuse(exchange, 403, "host_certificate",
				"This certificate is a host's: it may ask for presence, and nothing else.");
	else if (!exchange->route && exchange->worker->client.returning)
		exchange_refuse(exchange, 403, "certificate_expired",
				"This device's certificate has expired: log in and renew it (sallyport renew).");
	else if (!exchange->route)
		exchange_refuse(exchange, 404, "not_found", "There is nothing at that path.");
	else if (exchange->route->body == JSON_BODY && !is_json(request->content_type))
		exchange_refuse(exchange, 415, "bad_request", "The body must be application/json.");
	else if (exchange->route->body == PKCS10_BODY && !view_is(request->content_type, "application/pkcs10"))
		exchange_refuse(exchange, 415, "bad_request", "The body must be application/pkcs10 (base64).");
	else if (request->content_length > (int64_t)exchange->worker->conf->body_bytes)
		exchange_refuse(exchange, 413, "too_large", "The body is larger than this gateway takes.");
	else if (exchange->route->token != NO_TOKEN &&
		 request_authorization(request->authorization, exchange->user, exchange->token, &diag) < 0)
		exchange_refuse(exchange, 401, exchange->route->token == BASIC ? "no_invitation" : "no_session",
				exchange->route->token == BASIC ? "Enrolment needs an invitation: its id and secret as Basic authorization."
								: diag.text);
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
	if (stream)
		stream->owner = exchange;
	if (request->refuse) {
		const char *code = request->refuse == 431 || request->refuse == 413 ? "too_large" : "bad_request";
		exchange_refuse(exchange, request->refuse, code, request->refuse_sentence);
	} else if (view_is(request->method, "CONNECT") && door_of(&worker->client) == MAIN) {
		exchange->deadline_ms = 0;
		exchange->is_connect = true;
		ask_tunnel(exchange, request);
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
	if (!exchange->answered && !exchange->refused && exchange->route)
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

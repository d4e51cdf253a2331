/* routes.c: the table of routes, and what each asks of the broker.
 *
 * The answer comes back in broker_edge.c under the exchange's number.
 */
#include "routes.h"

#include <stdio.h>
#include <string.h>

#include "portal_assets.h"
#include "request.h"
#include "sallyport/edge/monitor_room.h"
#include "self_service.h"

/* ---- the table ---- */

static void login_start(struct exchange *exchange);
static void login_answer(struct exchange *exchange);
static void login_cancel(struct exchange *exchange);
static void session_get(struct exchange *exchange);
static void session_renew(struct exchange *exchange);
static void session_end(struct exchange *exchange);
static void browser_token(struct exchange *exchange);
static void resources(struct exchange *exchange);
static void events(struct exchange *exchange);
static void presence(struct exchange *exchange);

static const struct route routes[] = {
	{MAIN | RETURNING, "POST", "/v1/login", JSON_BODY, NO_TOKEN, login_start},
	{MAIN | RETURNING, "POST", "/v1/login/", JSON_BODY, NO_TOKEN, login_answer},
	{MAIN | RETURNING, "DELETE", "/v1/login/", NO_BODY, NO_TOKEN, login_cancel},
	{MAIN, "GET", "/v1/session", NO_BODY, WITH_TOKEN, session_get},
	{MAIN, "POST", "/v1/session/renew", NO_BODY, WITH_TOKEN, session_renew},
	{MAIN, "DELETE", "/v1/session", NO_BODY, WITH_TOKEN, session_end},
	{MAIN, "POST", "/v1/session/browser-token", NO_BODY, WITH_TOKEN, browser_token},
	{MAIN, "GET", "/v1/events", NO_BODY, WITH_TOKEN, events},
	{MAIN, "GET", "/v1/resources", NO_BODY, WITH_TOKEN, resources},
	{MAIN, "GET", "/v1/devices", NO_BODY, WITH_TOKEN, self_service_devices},
	{MAIN, "POST", "/v1/lost", JSON_BODY, WITH_TOKEN, self_service_lost},
	{MAIN, "GET", "/v1/factor", NO_BODY, WITH_TOKEN, self_service_factor},
	{MAIN, "POST", "/v1/factor", NO_BODY, WITH_TOKEN, self_service_new_factor},
	{MAIN, "POST", "/v1/factor/confirm", JSON_BODY, WITH_TOKEN, self_service_confirm},
	{MAIN, "POST", "/v1/factor/codes", NO_BODY, WITH_TOKEN, self_service_codes},
	{MAIN | RETURNING, "POST", "/v1/qr", JSON_BODY, NO_TOKEN, self_service_qr},
	{MAIN, "GET", "/proxy.pac", NO_BODY, PERHAPS_TOKEN, pac_ask},
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

enum door routes_door(const struct client *client)
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

const struct route *routes_find(struct exchange *exchange, const struct http_request *request)
{
	size_t used = 0, capacity = sizeof(exchange->allow);
	char *out_allow = exchange->allow;
	unsigned door = routes_door(&exchange->worker->client);
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

/* ---- what is asked of the broker ---- */

static void login_start(struct exchange *exchange)
{
	exchange->is_login = true;
	struct request_login login;
	struct diag diag;
	if (request_login(buf_view(&exchange->body), &login, &diag) < 0)
		exchange_refuse(exchange, 400, "bad_request", diag.text);
	else
		EXCHANGE_ASK(exchange, login_start, .user = view_string(login.user), .realm = view_string(login.realm),
			     .portal = login.portal);
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

static void browser_token(struct exchange *exchange)
{
	EXCHANGE_ASK(exchange, browser_token, .token = view_string(exchange->token));
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

/* answer.c: the one answer of an exchange, whatever the HTTP version: its head, its body, its cookie. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "browser.h"
#include "problem_page.h"
#include "sallyport/clock.h"
#include "sallyport/edge/monitor_room.h"
#include "sallyport/own.h"
#include "sallyport/str.h"
#include "worker.h"

enum { HEADERS_MAX = 16, PROBLEM_BYTES_MAX = 32768 };

static void finish(struct exchange *exchange)
{
	struct worker *worker = exchange->worker;
	exchange->answered = true;
	exchange->deadline_ms = 0;
	wipe(exchange->token, sizeof(exchange->token));
	wipe(exchange->set_cookie, sizeof(exchange->set_cookie));
	buf_wipe(&exchange->body);
	json_decref(take_pointer(&exchange->items));
	forward_refused(exchange);
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
	/* What stood behind the answer to HEAD would be taken for the next one. */
	if (result == 0 && !exchange->is_head)
		result = buf_add(&bytes, body);
	if (result == 0)
		result = tls_write(client->tls, buf_view(&bytes));
	/* The batch had no room for an answer: this client does not read what it asked for. */
	if (result < 0)
		worker_end(EXIT_SUCCESS);
	if (!keep)
		client->closing_after = true;
}

/* No other page may take what we answer for something that it is not, or learn from where it was asked. Whose clock is wrong
 * can tell from ours how long something lasts. */
size_t answer_add_common(struct http_header *headers, size_t count)
{
	static char date[32];
	clock_format_http(clock_wall_ms(), date, sizeof(date));
	headers[count++] = HTTP_HEADER("date", date);
	headers[count++] = HTTP_HEADER("cross-origin-resource-policy", "same-origin");
	headers[count++] = HTTP_HEADER("x-content-type-options", "nosniff");
	headers[count++] = HTTP_HEADER("referrer-policy", "no-referrer");
	return count;
}

static void write_answer(struct exchange *exchange, unsigned status, const struct http_header *headers, size_t count,
			 struct view body)
{
	struct http_header all[HEADERS_MAX];
	assert(count + ANSWER_COMMON_HEADERS + 1 <= HEADERS_MAX);
	if (exchange->answered)
		return;
	for (size_t i = 0; i < count; i++)
		all[i] = headers[i];
	count = answer_add_common(all, count);
	if (*exchange->set_cookie)
		all[count++] = HTTP_HEADER("set-cookie", exchange->set_cookie);
	if (!exchange->stream)
		write_http1(exchange, status, all, count, body);
	else
		(void)!h2_respond(exchange->worker->client.h2, exchange->stream, status, all, count, exchange->is_head ? view_of(NULL, 0) : body);
	finish(exchange);
}

void exchange_grant_cookie(struct exchange *exchange, struct view token)
{
	browser_cookie_set(token, exchange->set_cookie, sizeof(exchange->set_cookie));
}

void exchange_drop_cookie(struct exchange *exchange)
{
	if (exchange->by_cookie)
		browser_cookie_delete(exchange->set_cookie, sizeof(exchange->set_cookie));
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

static void spell_request_id(const struct exchange *exchange, char *out_text, size_t capacity)
{
	snprintf(out_text, capacity, "%s-%u", exchange->worker->client.connection, exchange->number);
}

static json_t *problem_json(const struct exchange *exchange, const struct exchange_problem *problem)
{
	char request_id[64];
	spell_request_id(exchange, request_id, sizeof(request_id));
	/* Where to go for it. */
	const char *login = strcmp(problem->code, "fresh_login_required") == 0 ? "/v1/login" : NULL;
	return json_pack("{s:s, s:s, s:i, s:s, s:s, s:s, s:s*}", "type", "about:blank", "title", http1_reason(problem->status), "status",
			 (int)problem->status, "code", problem->code, "detail", problem->sentence, "request_id", request_id, "login", login);
}

/* The same for a person: headers are added, and the page. */
static size_t problem_html(const struct exchange *exchange, const struct exchange_problem *problem, struct http_header *headers,
			   struct buf *out_html)
{
	char request_id[64], portal[620];
	spell_request_id(exchange, request_id, sizeof(request_id));
	conf_portal(exchange->worker->conf, portal, sizeof(portal));
	const struct problem_page page = {.status = problem->status, .reason = http1_reason(problem->status), .sentence = problem->sentence,
					  .code = problem->code, .request_id = request_id, .portal = portal};
	if (problem_page_write(&page, out_html) < 0)
		worker_end(EXIT_FAILURE);
	headers[0] = HTTP_HEADER("content-type", "text/html; charset=utf-8");
	headers[1] = HTTP_HEADER("content-security-policy", problem_page_policy);
	headers[2] = HTTP_HEADER("x-frame-options", "DENY");
	return 3;
}

/* Text of our own making. */
static size_t problem_body(const struct exchange *exchange, const struct exchange_problem *problem, struct http_header *headers,
			   struct buf *out_body)
{
	if (exchange->wants_page)
		return problem_html(exchange, problem, headers, out_body);
	json_t *json = problem_json(exchange, problem);
	OWN_MEMORY char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	json_decref(json);
	if (!text || buf_add_string(out_body, text) < 0)
		worker_end(EXIT_FAILURE);
	headers[0] = HTTP_HEADER("content-type", "application/problem+json");
	return 1;
}

void exchange_problem(struct exchange *exchange, const struct exchange_problem *problem)
{
	struct http_header headers[8];
	OWN_BUF struct buf body = BUF_INIT(PROBLEM_BYTES_MAX);
	size_t count = problem_body(exchange, problem, headers, &body);
	char seconds[16];
	headers[count++] = HTTP_HEADER("cache-control", "no-store");
	if (problem->status == 401)
		exchange_drop_cookie(exchange);
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
	write_answer(exchange, problem->status, headers, count, buf_view(&body));
}

/* admin_factor.c: second factors over HTTP: what pam_sallyport asks on the factor socket, and an admin on his.
 *
 * factor.c decides. On the factor socket: POST /v1/factor/begin {user} and /v1/factor/check {user, code}, both with
 * request_id and service where there are any. On the admin socket: /v1/accounts/USER/factor.
 */
#include <string.h>

#include "admin_call.h"
#include "admin_json.h"
#include "factor.h"
#include "login.h"
#include "sallyport/own.h"

/* ---- answers ---- */

static json_t *uri_of(const struct admin_call *call, const char *user, const char *secret)
{
	OWN_SECRET_BUF struct buf uri = BUF_INIT(OATH_URI_MAX);
	int result = oath_spell_uri(call->broker->room->conf.name, user, secret, &uri);
	return result < 0 ? json_null() : json_stringn((const char *)uri.data, uri.size);
}

static json_t *recovery_of(const struct factor_answer *answer)
{
	json_t *array = json_array();
	for (unsigned i = 0; i < answer->recovery_count; i++) {
		char code[OATH_RECOVERY_SPELLED + 1];
		oath_spell_recovery(answer->recovery[i], code);
		json_array_append_new(array, json_string(code));
		wipe(code, sizeof(code));
	}
	return array;
}

static unsigned status_of(const struct factor_answer *answer)
{
	return answer->result == ERR_BAD_CONFIG ? 503 : admin_status_of(answer->result);
}

static const char *user_of(const struct admin_call *call)
{
	return call->body ? json_string_value(json_object_get(call->body, "user")) : call->segments[1];
}

static void add_secret(struct admin_call *call, const struct factor_answer *answer, json_t *json)
{
	if (!*answer->secret)
		return;
	json_object_set_new(json, "secret", json_string(answer->secret));
	json_object_set_new(json, "uri", uri_of(call, user_of(call), answer->secret));
}

static void on_begun(void *context, const struct factor_answer *answer)
{
	struct admin_call *call = context;
	if (answer->result < 0) {
		admin_fail(call, status_of(answer), "%s", answer->diag.text);
		return;
	}
	json_t *json = json_pack("{s:s}", "state", factor_state_name(answer->state));
	add_secret(call, answer, json);
	admin_reply(call, 200, json);
}

static void on_checked(void *context, const struct factor_answer *answer)
{
	struct admin_call *call = context;
	const char *request_id = json_string_value(json_object_get(call->body, "request_id"));
	if (answer->good && request_id)
		login_passed_factor(call->broker, request_id, user_of(call));
	if (answer->result < 0)
		admin_fail(call, status_of(answer), "%s", answer->diag.text);
	else
		admin_reply(call, 200, json_pack("{s:b, s:s, s:o}", "good", answer->good, "code", answer->code, "recovery",
						 recovery_of(answer)));
}

static void on_added(void *context, const struct factor_answer *answer)
{
	struct admin_call *call = context;
	if (answer->result < 0) {
		admin_fail(call, status_of(answer), "%s", answer->diag.text);
		return;
	}
	json_t *json = json_pack("{s:o}", "recovery", recovery_of(answer));
	add_secret(call, answer, json);
	admin_reply(call, 201, json);
}

static void on_removed(void *context, const struct factor_answer *answer)
{
	if (answer->result < 0)
		admin_fail(context, status_of(answer), "%s", answer->diag.text);
	else
		admin_reply(context, 200, json_object());
}

static void on_shown(void *context, const struct factor_answer *answer)
{
	struct admin_call *call = context;
	if (answer->result < 0) {
		admin_fail(call, status_of(answer), "%s", answer->diag.text);
		return;
	}
	json_t *used = json_array();
	for (unsigned i = 0; i < FACTOR_RECOVERY_CODES && answer->recovery_used_ms[i]; i++)
		json_array_append_new(used, admin_json_time(answer->recovery_used_ms[i]));
	bool is_there = answer->state != FACTOR_NONE;
	admin_reply(call, 200,
		    json_pack("{s:s, s:s, s:o, s:o, s:I, s:I, s:o}", "user", call->segments[1], "state",
			      factor_state_name(answer->state), "created_at", is_there ? admin_json_time(answer->created_at_ms) : json_null(), "used_at",
			      answer->used_at_ms ? admin_json_time(answer->used_at_ms) : json_null(), "failures",
			      (json_int_t)answer->failures, "recovery_left", (json_int_t)answer->recovery_left,
			      "recovery_used_at", used));
}

/* ---- questions ---- */

void admin_account_factor(struct admin_call *call)
{
	static const struct {
		const char *method;
		unsigned segments;
		void (*act)(struct broker *, const struct factor_request *, factor_done, void *);
		factor_done done;
	} acts[] = {{"GET", 3, factor_show, on_shown},         {"POST", 3, factor_add, on_added},
		    {"DELETE", 3, factor_remove, on_removed},  {"PUT", 3, factor_codes, on_added},
		    {"DELETE", 4, factor_revoke_codes, on_removed}};
	const struct factor_request request = {
		.user = call->segments[1], .code = "", .request_id = "", .by = call->by.admin};
	if (!*request.user || strlen(request.user) > 256) {
		admin_fail(call, 400, "wanted: a user's name of 1 to 256 characters");
		return;
	}
	for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++)
		if (strcmp(acts[i].method, call->method) == 0 && acts[i].segments == call->segment_count)
			acts[i].act(call->broker, &request, acts[i].done, call);
}

void factor_route(struct admin_call *call)
{
	const char *user = NULL, *code = "", *request_id = "", *service = "";
	char by[129];
	bool is_check = call->segment_count == 2 && strcmp(call->segments[1], "check") == 0;
	bool is_known = call->segment_count == 2 && strcmp(call->segments[0], "factor") == 0 &&
			(is_check || strcmp(call->segments[1], "begin") == 0);
	if (!is_known || strcmp(call->method, "POST") != 0) {
		admin_fail(call, 404, "there is nothing at that path");
		return;
	}
	if (!call->body || json_unpack(call->body, "{s:s, s?s, s?s, s?s !}", "user", &user, "code", &code, "request_id",
				       &request_id, "service", &service) < 0 || !*user) {
		admin_fail(call, 400, "wanted: user, and perhaps code, request_id and service");
		return;
	}
	snprintf(by, sizeof(by), "%.64s of %.60s", *service ? service : "somebody", call->by_text);
	const struct factor_request request = {.user = user, .code = code, .request_id = request_id, .by = by};
	if (is_check)
		factor_check(call->broker, &request, on_checked, call);
	else
		factor_begin(call->broker, &request, on_begun, call);
}

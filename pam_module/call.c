/* call.c: HTTP on the factor socket by libcurl, JSON by jansson; the only file that knows them. Counterpart:
 * gateway/broker/admin_factor.c.
 *
 * Every call has a handle of its own and no signals, so that threads of the host program do not meet here.
 */
#include "call.h"

#include <curl/curl.h>
#include <jansson.h>
#include <string.h>

#include "sallyport/own.h"
#include "sallyport/str.h"

enum { ANSWER_MAX = 65536 };

DEFINE_OWN(curl, CURL *, curl_easy_cleanup)
DEFINE_OWN(headers, struct curl_slist *, curl_slist_free_all)
DEFINE_OWN(json, json_t *, json_decref)
#define OWN_JSON OWN(own_json)

static size_t on_bytes(char *bytes, size_t size, size_t count, void *context)
{
	return buf_add(context, view_of(bytes, size * count)) < 0 ? 0 : size * count;
}

static int perform(CURL *curl, const struct arguments *arguments, struct diag *diag)
{
	long status = 0;
	CURLcode code = curl_easy_perform(curl);
	if (code != CURLE_OK)
		return diag_set(diag, code == CURLE_OPERATION_TIMEDOUT ? ERR_TIMEOUT : ERR_CLOSED,
				"the gateway does not answer at %s: %s", arguments->socket, curl_easy_strerror(code));
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	return status == 200 ? 0 : diag_set(diag, ERR_BAD_PEER, "the gateway answers with status %ld at %s", status,
					    arguments->socket);
}

static int exchange(const struct arguments *arguments, const char *url, struct view body, struct buf *out_answer,
		    struct diag *diag)
{
	OWN(own_curl) CURL *curl = curl_easy_init();
	OWN(own_headers) struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
	if (!curl || !headers)
		return diag_set(diag, ERR_SYSTEM, "no memory");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, arguments->socket);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)body.size);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body.data);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, out_answer);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)arguments->time_limit_ms);
	return perform(curl, arguments, diag);
}

static int write_question(const struct call_question *question, struct buf *out_body)
{
	OWN_JSON json_t *json = json_pack("{s:s, s:s, s:s}", "user", question->user, "request_id", question->request_id,
					  "service", question->service);
	if (json && question->code && json_object_set_new(json, "code", json_string(question->code)) < 0)
		return ERR_BAD_INPUT;
	size_t size = json ? json_dumpb(json, NULL, 0, JSON_COMPACT) : 0;
	uint8_t *place = size ? buf_reserve(out_body, size) : NULL;
	if (!place)
		return ERR_BAD_INPUT;
	buf_grown(out_body, json_dumpb(json, (char *)place, size, JSON_COMPACT));
	return 0;
}

static int ask(const struct arguments *arguments, const char *url, const struct call_question *question, json_t **out_json,
	       struct diag *diag)
{
	OWN_SECRET_BUF struct buf body = BUF_INIT(ANSWER_MAX), answer = BUF_INIT(ANSWER_MAX);
	json_error_t error;
	if (write_question(question, &body) < 0)
		return diag_set(diag, ERR_BAD_INPUT, "what was typed is no text, or too long");
	int result = exchange(arguments, url, buf_view(&body), &answer, diag);
	if (result < 0)
		return result;
	*out_json = json_loadb((const char *)answer.data, answer.size, JSON_REJECT_DUPLICATES, &error);
	return *out_json ? 0 : diag_set(diag, ERR_BAD_PEER, "the gateway's answer at %s makes no sense", arguments->socket);
}

static void copy_text(const json_t *json, const char *name, char *out_text, size_t capacity)
{
	const char *text = json_string_value(json_object_get(json, name));
	if (!text || !str_copy(out_text, capacity, text))
		out_text[0] = 0;
}

int call_begin(const struct arguments *arguments, const struct call_question *question, struct call_answer *out_answer,
	       struct diag *diag)
{
	static const char *const states[] = {
		[CALL_STATE_NONE] = "none", [CALL_STATE_ACTIVE] = "active", [CALL_STATE_PENDING] = "pending"};
	OWN_JSON json_t *json = NULL;
	int result = ask(arguments, "http://gateway/v1/factor/begin", question, &json, diag);
	if (result < 0)
		return result;
	const char *state = json_string_value(json_object_get(json, "state"));
	*out_answer = (struct call_answer){.state = CALL_STATE_NONE};
	copy_text(json, "uri", out_answer->uri, sizeof(out_answer->uri));
	copy_text(json, "secret", out_answer->secret, sizeof(out_answer->secret));
	for (unsigned i = 0; state && i < sizeof(states) / sizeof(states[0]); i++)
		if (strcmp(state, states[i]) == 0)
			out_answer->state = (enum call_state)i;
	return state ? 0 : diag_set(diag, ERR_BAD_PEER, "the gateway's answer holds no state");
}

static void copy_recovery(const json_t *json, struct call_answer *out_answer)
{
	size_t index;
	const json_t *code;
	json_array_foreach(json_object_get(json, "recovery"), index, code) {
		if (index == CALL_RECOVERY_CODES || !json_is_string(code))
			return;
		str_copy(out_answer->recovery[index], sizeof(out_answer->recovery[0]), json_string_value(code));
		out_answer->recovery_count = (unsigned)index + 1;
	}
}

int call_check(const struct arguments *arguments, const struct call_question *question, struct call_answer *out_answer,
	       struct diag *diag)
{
	OWN_JSON json_t *json = NULL;
	int result = ask(arguments, "http://gateway/v1/factor/check", question, &json, diag);
	if (result < 0)
		return result;
	const json_t *good = json_object_get(json, "good");
	*out_answer = (struct call_answer){.good = json_is_true(good)};
	copy_recovery(json, out_answer);
	return json_is_boolean(good) ? 0 : diag_set(diag, ERR_BAD_PEER, "the gateway's answer holds no verdict");
}

void call_forget(struct call_answer *answer)
{
	wipe(answer, sizeof(*answer));
}

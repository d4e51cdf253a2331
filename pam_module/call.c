/* call.c: HTTP by libcurl, JSON by jansson; the only file that knows them. Counterparts: gateway/broker/admin_factor.c on
 * the factor socket; on the main listener /v1/presence (gateway/worker/exchange.c, gateway/broker/presence.c).
 *
 * Every call has a handle of its own and no signals, so that threads of the host program do not meet here.
 */
#include "call.h"

#include <curl/curl.h>
#include <jansson.h>
#include <string.h>

#include "sallyport/clock.h"
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

/* Whom to ask, and how to reach him. */
struct peer {
	const char *place;             /* for sentences */
	const char *url;
	const char *socket;            /* a unix socket; NULL: by the network */
	const struct profile *profile; /* the certificate to show; NULL: none */
	uint64_t time_limit_ms;
};

/* Silence may be passed over where the stack says so; a no in TLS (an alert: this host is revoked), somebody else in the
 * gateway's place, or a wrong certificate of our own may not. */
static int meaning_of(CURLcode code, const char *detail)
{
	if (code == CURLE_OPERATION_TIMEDOUT)
		return ERR_TIMEOUT;
	bool is_no = code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CERTPROBLEM || code == CURLE_SSL_CACERT_BADFILE ||
		     strstr(detail, "alert");
	return is_no ? ERR_DENIED : ERR_CLOSED;
}

static int perform(CURL *curl, const struct peer *peer, struct diag *diag)
{
	long status = 0;
	char detail[CURL_ERROR_SIZE] = "";
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, detail);
	CURLcode code = curl_easy_perform(curl);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, NULL);
	int result = code == CURLE_OK ? 0 : meaning_of(code, detail);
	if (code != CURLE_OK)
		return diag_set(diag, result, "the gateway %s at %s: %s", result == ERR_DENIED ? "refuses" : "does not answer",
				peer->place, *detail ? detail : curl_easy_strerror(code));
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	if (status == 200)
		return 0;
	/* A refusal is no silence: no fallback passes it over. */
	bool refuses = status >= 400 && status < 500 && status != 429;
	return diag_set(diag, refuses ? ERR_DENIED : ERR_BAD_PEER, "the gateway answers with status %ld at %s", status, peer->place);
}

/* TLS 1.2 or later, as the gateway has it; its certificate must chain and name it, as is curl's default. */
static void set_identity(CURL *curl, const struct profile *profile)
{
	curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(curl, CURLOPT_SSLCERT, profile->cert);
	curl_easy_setopt(curl, CURLOPT_SSLKEY, profile->key);
	if (*profile->ca)
		curl_easy_setopt(curl, CURLOPT_CAINFO, profile->ca);
}

static int exchange(const struct peer *peer, struct view body, struct buf *out_answer, struct diag *diag)
{
	OWN(own_curl) CURL *curl = curl_easy_init();
	OWN(own_headers) struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
	if (!curl || !headers)
		return diag_set(diag, ERR_SYSTEM, "no memory");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	if (peer->socket)
		curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, peer->socket);
	if (peer->profile)
		set_identity(curl, peer->profile);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, peer->profile ? "https" : "http");
	curl_easy_setopt(curl, CURLOPT_URL, peer->url);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)body.size);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body.data);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, out_answer);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)peer->time_limit_ms);
	return perform(curl, peer, diag);
}

static int write_json(const json_t *json, struct buf *out_body)
{
	size_t size = json ? json_dumpb(json, NULL, 0, JSON_COMPACT) : 0;
	uint8_t *place = size ? buf_reserve(out_body, size) : NULL;
	if (!place)
		return ERR_BAD_INPUT;
	buf_grown(out_body, json_dumpb(json, (char *)place, size, JSON_COMPACT));
	return 0;
}

static int write_question(const struct call_question *question, struct buf *out_body)
{
	OWN_JSON json_t *json = json_pack("{s:s, s:s, s:s}", "user", question->user, "request_id", question->request_id,
					  "service", question->service);
	if (json && question->code && json_object_set_new(json, "code", json_string(question->code)) < 0)
		return ERR_BAD_INPUT;
	return write_json(json, out_body);
}

static int ask_peer(const struct peer *peer, struct view body, json_t **out_json, struct diag *diag)
{
	OWN_SECRET_BUF struct buf answer = BUF_INIT(ANSWER_MAX);
	json_error_t error;
	int result = exchange(peer, body, &answer, diag);
	if (result < 0)
		return result;
	*out_json = json_loadb((const char *)answer.data, answer.size, JSON_REJECT_DUPLICATES, &error);
	return *out_json ? 0 : diag_set(diag, ERR_BAD_PEER, "the gateway's answer at %s makes no sense", peer->place);
}

static int ask(const struct arguments *arguments, const char *url, const struct call_question *question, json_t **out_json,
	       struct diag *diag)
{
	OWN_SECRET_BUF struct buf body = BUF_INIT(ANSWER_MAX);
	const struct peer peer = {.place = arguments->socket, .url = url, .socket = arguments->socket,
				  .time_limit_ms = arguments->time_limit_ms};
	if (write_question(question, &body) < 0)
		return diag_set(diag, ERR_BAD_INPUT, "what was typed is no text, or too long");
	return ask_peer(&peer, buf_view(&body), out_json, diag);
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

/* ---- presence ---- */

static int write_presence(const struct arguments *arguments, const struct call_presence *presence, struct buf *out_body)
{
	OWN_JSON json_t *json = json_pack("{s:s, s:s}", "user", presence->user, "service", presence->service);
	bool good = json != NULL;
	if (good && arguments->fresh_ms)
		good = json_object_set_new(json, "fresh", json_integer((json_int_t)(arguments->fresh_ms / 1000))) == 0;
	if (good && presence->way)
		good = json_object_set_new(json, "source", json_string(presence->way->source)) == 0 &&
		       json_object_set_new(json, "target", json_string(presence->way->target)) == 0;
	return good ? write_json(json, out_body) : ERR_BAD_INPUT;
}

static int take_presence(const json_t *json, struct call_presence *presence, struct diag *diag)
{
	const json_t *present = json_object_get(json, "present");
	if (!json_is_boolean(present))
		return diag_set(diag, ERR_BAD_PEER, "the gateway's answer holds no verdict");
	copy_text(json, "code", presence->code, sizeof(presence->code));
	presence->present = json_is_true(present);
	return 0;
}

static int ask_gateway(const struct call_presence *presence, const char *gateway, uint64_t limit_ms, struct view body,
		       json_t **out_json, struct diag *diag)
{
	char url[PROFILE_TEXT_MAX + 16];
	size_t length = strlen(gateway);
	snprintf(url, sizeof(url), "%s%sv1/presence", gateway, length && gateway[length - 1] == '/' ? "" : "/");
	const struct peer peer = {.place = gateway, .url = url, .profile = presence->profile, .time_limit_ms = limit_ms};
	return ask_peer(&peer, body, out_json, diag);
}

int call_presence(const struct arguments *arguments, struct call_presence *presence, struct diag *diag)
{
	OWN_BUF struct buf body = BUF_INIT(ANSWER_MAX);
	OWN_JSON json_t *json = NULL;
	char gateway[PROFILE_TEXT_MAX];
	size_t position = 0;
	uint64_t until_ms = clock_monotonic_ms() + arguments->time_limit_ms, now_ms;
	int result = diag_set(diag, ERR_CLOSED, "the profile names no gateway");
	presence->present = false;
	if (write_presence(arguments, presence, &body) < 0)
		return diag_set(diag, ERR_BAD_INPUT, "the name of the user is no text");
	/* A refusal is an answer. */
	while (result < 0 && result != ERR_DENIED && profile_gateway(presence->profile, &position, gateway) &&
	       (now_ms = clock_monotonic_ms()) < until_ms)
		result = ask_gateway(presence, gateway, until_ms - now_ms, buf_view(&body), &json, diag);
	return result < 0 ? result : take_presence(json, presence, diag);
}

void call_forget(struct call_answer *answer)
{
	wipe(answer, sizeof(*answer));
}

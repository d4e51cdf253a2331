/* cmd_session.c: sallyport-admin session ... and tunnel ...: who is connected, and to what. */
#include <stdio.h>
#include <string.h>

#include "admin.h"
#include "sallyport/own.h"
#include "sallyport/str.h"

DEFINE_OWN(json, json_t *, json_decref)
#define OWN_JSON OWN(own_json)

static const char *const session_columns[] = {"SESSION", "session", "USER", "user", "DEVICE", "device", "REALM", "realm", "ADDRESS", "address",
					      "SINCE", "created_at", "UNTIL", "expires_at", "TUNNELS", "tunnels", "PORTAL", "portal", NULL};
static const char *const session_pairs[] = {"session", "session", "user", "user", "device", "device", "realm", "realm", "address", "address",
					    "connection", "connection", "since", "created_at", "until", "expires_at", "ended",
					    "ended_at", "reason", "end_reason", "tunnels", "tunnels", "portal", "portal", NULL};
static const char *const live_columns[] = {"TUNNEL", "tunnel", "USER", "user", "DEVICE", "device", "HOST", "host", "PORT", "port",
					   "ADDRESS", "address", "RULE", "rule", "WAY", "way", "FORM", "form", "STATE", "state", "SINCE", "opened_at",
					   NULL};
static const char *const all_columns[] = {"TUNNEL", "tunnel", "USER", "user", "DEVICE", "device", "HOST", "host", "PORT", "port",
					  "RULE", "rule", "WAY", "way", "FORM", "form", "OPENED", "opened_at", "CLOSED", "closed_at", "REASON", "close_reason",
					  "TO TARGET", "bytes_to_target", "TO CLIENT", "bytes_to_client", NULL};

static bool is_one_of(const struct admin_values *values, const char *word)
{
	for (unsigned i = 0; i < values->count; i++)
		if (word && strcmp(values->list[i], word) == 0)
			return true;
	return values->count == 0;
}

static bool is_wanted(const struct admin_options *options, const json_t *row)
{
	const char *device = json_string_value(json_object_get(row, "device"));
	const char *session = json_string_value(json_object_get(row, "session"));
	return is_one_of(&options->users, json_string_value(json_object_get(row, "user"))) &&
	       is_one_of(&options->resources, json_string_value(json_object_get(row, "resource"))) &&
	       (!options->device || (device && strcmp(options->device, device) == 0)) &&
	       (!options->session || (session && strcmp(options->session, session) == 0));
}

static void keep_wanted(const struct admin_options *options, json_t *rows)
{
	for (size_t i = json_array_size(rows); i-- > 0;)
		if (!is_wanted(options, json_array_get(rows, i)))
			json_array_remove(rows, i);
}

static int print_list(const struct admin_options *options, const char *path, const char *key, const char *const *columns)
{
	OWN_JSON json_t *answer = NULL;
	int status = call(options, "GET", path, NULL, &answer);
	if (status != ADMIN_DONE)
		return status;
	keep_wanted(options, json_object_get(answer, key));
	if (options->json)
		return table_print_json(answer);
	table_print(json_object_get(answer, key), columns);
	return ADMIN_DONE;
}

int cmd_session_list(const struct admin_options *options)
{
	return print_list(options, "/v1/sessions", "sessions", session_columns);
}

int cmd_tunnel_list(const struct admin_options *options)
{
	return options->all ? print_list(options, "/v1/tunnels?all=1", "tunnels", all_columns)
			    : print_list(options, "/v1/tunnels", "tunnels", live_columns);
}

static int session_path(const struct admin_options *options, const char *end, char *path, size_t capacity)
{
	snprintf(path, capacity, "/v1/sessions/");
	if (call_escape(path, capacity - strlen(end), options->words[0]) < 0)
		return admin_say(ADMIN_USAGE, "the id is too long");
	size_t used = strlen(path);
	snprintf(path + used, capacity - used, "%s", end);
	return ADMIN_DONE;
}

int cmd_session_show(const struct admin_options *options)
{
	char path[1024];
	OWN_JSON json_t *answer = NULL;
	int status = session_path(options, "", path, sizeof(path));
	if (status == ADMIN_DONE)
		status = call(options, "GET", path, NULL, &answer);
	if (status != ADMIN_DONE)
		return status;
	if (options->json)
		return table_print_json(answer);
	table_print_object(answer, session_pairs);
	putchar('\n');
	table_print(json_object_get(answer, "live_tunnels"), live_columns);
	return ADMIN_DONE;
}

/* ---- ending ---- */

static long long number_of(const json_t *answer, const char *key)
{
	return (long long)json_integer_value(json_object_get(answer, key));
}

static int end_one_session(const struct admin_options *options)
{
	char path[1024];
	OWN_JSON json_t *answer = NULL;
	int status = session_path(options, "/end", path, sizeof(path));
	if (status == ADMIN_DONE)
		status = call(options, "POST", path, NULL, &answer);
	if (status != ADMIN_DONE)
		return status;
	if (options->json)
		return table_print_json(answer);
	printf("session %s is ended; %lld tunnels closed\n", options->words[0], number_of(answer, "tunnels_closed"));
	return ADMIN_DONE;
}

static bool is_chosen(const struct admin_options *options)
{
	return options->all || options->users.count || options->device || options->resources.count;
}

/* What the options choose, all of them together; NULL after a sentence. */
static json_t *choice(const struct admin_options *options)
{
	if (options->users.count > 1 || options->resources.count > 1) {
		admin_say(ADMIN_USAGE, "one --user and one --resource at a time");
		return NULL;
	}
	json_t *body = json_object();
	if (options->all)
		json_object_set_new(body, "all", json_true());
	if (options->users.count)
		json_object_set_new(body, "user", json_string(options->users.list[0]));
	if (options->device)
		json_object_set_new(body, "device", json_string(options->device));
	if (options->resources.count)
		json_object_set_new(body, "resource", json_string(options->resources.list[0]));
	return body;
}

static int end_chosen(const struct admin_options *options, const char *path, json_t *body, bool sessions)
{
	OWN_JSON json_t *answer = NULL;
	int status = body ? call(options, "POST", path, body, &answer) : ADMIN_USAGE;
	if (status != ADMIN_DONE)
		return status;
	if (options->json)
		return table_print_json(answer);
	if (sessions)
		printf("%lld sessions ended; ", number_of(answer, "sessions_ended"));
	printf("%lld tunnels closed\n", number_of(answer, "tunnels_closed"));
	return ADMIN_DONE;
}

int cmd_session_end(const struct admin_options *options)
{
	if (is_chosen(options) == (options->word_count == 1))
		return admin_say(ADMIN_USAGE, "which? An ID, or --user, --device, --resource, or --all");
	return options->word_count ? end_one_session(options)
				   : end_chosen(options, "/v1/sessions/end", choice(options), true);
}

int cmd_tunnel_close(const struct admin_options *options)
{
	uint64_t id = 0;
	if ((is_chosen(options) || options->session) == (options->word_count == 1))
		return admin_say(ADMIN_USAGE, "which? An ID, or --session, --user, --device, --resource, or --all");
	if (options->word_count && str_to_u64(view_string(options->words[0]), 1, INT64_MAX, &id) < 0)
		return admin_say(ADMIN_USAGE, "\"%s\" is no number of a tunnel; see: sallyport-admin tunnel list", options->words[0]);
	json_t *body = choice(options);
	if (body && id)
		json_object_set_new(body, "tunnel", json_integer((json_int_t)id));
	if (body && options->session)
		json_object_set_new(body, "session", json_string(options->session));
	return end_chosen(options, "/v1/tunnels/close", body, false);
}

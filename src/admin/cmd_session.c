/* cmd_session.c: sallyport-admin session ... and tunnel ...: who is connected, and to what. */
#include <stdio.h>
#include <string.h>

#include "admin.h"
#include "sallyport/own.h"

DEFINE_OWN(json, json_t *, json_decref)
#define OWN_JSON OWN(own_json)

static const char *const session_columns[] = {"SESSION", "session", "USER", "user", "DEVICE", "device", "ADDRESS", "address",
					      "SINCE", "created_at", "UNTIL", "expires_at", "TUNNELS", "tunnels", NULL};
static const char *const session_pairs[] = {"session", "session", "user", "user", "device", "device", "address", "address",
					    "connection", "connection", "since", "created_at", "until", "expires_at", "ended",
					    "ended_at", "reason", "end_reason", "tunnels", "tunnels", NULL};
static const char *const live_columns[] = {"TUNNEL", "tunnel", "USER", "user", "DEVICE", "device", "HOST", "host", "PORT", "port",
					   "ADDRESS", "address", "RULE", "rule", "STATE", "state", "SINCE", "opened_at", NULL};
static const char *const all_columns[] = {"TUNNEL", "tunnel", "USER", "user", "DEVICE", "device", "HOST", "host", "PORT", "port",
					  "RULE", "rule", "OPENED", "opened_at", "CLOSED", "closed_at", "REASON", "close_reason",
					  "TO TARGET", "bytes_to_target", "TO CLIENT", "bytes_to_client", NULL};

static int print_list(const struct admin_options *options, const char *path, const char *key, const char *const *columns)
{
	OWN_JSON json_t *answer = NULL;
	int status = call(options, "GET", path, NULL, &answer);
	if (status != ADMIN_DONE)
		return status;
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

int cmd_session_end(const struct admin_options *options)
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
	printf("session %s is ended; %lld tunnels closed\n", options->words[0],
	       (long long)json_integer_value(json_object_get(answer, "tunnels_closed")));
	return ADMIN_DONE;
}

/* cmd_alert.c: sallyport-admin alert ...: who is told of what, whether it arrives, and what has not arrived yet. */
#include <stdio.h>
#include <string.h>

#include "admin.h"
#include "sallyport/own.h"

DEFINE_OWN(json, json_t *, json_decref)
#define OWN_JSON OWN(own_json)

static const char *const alert_columns[] = {"ALERT", "alert", "TO", "to", "EVENTS", "events", "WAITING", "waiting", "ASIDE", "aside",
					    "OLDEST", "oldest", "TROUBLE", "trouble", NULL};
static const char *const spool_columns[] = {"ID",    "id",    "ALERT",    "alert",    "EVENT",   "event",   "TIME",  "time", "USER",
					    "user",  "DEVICE", "device", "MORE", "repeats",  "STATE",    "state",   "TRIES",   "attempts", "TROUBLE", "trouble", NULL};

int cmd_alert_list(const struct admin_options *options)
{
	OWN_JSON json_t *answer = NULL;
	int status = call(options, "GET", "/v1/alerts", NULL, &answer);
	if (status != ADMIN_DONE)
		return status;
	if (options->json)
		return table_print_json(answer);
	table_print(json_object_get(answer, "alerts"), alert_columns);
	return ADMIN_DONE;
}

int cmd_alert_test(const struct admin_options *options)
{
	OWN_JSON json_t *answer = NULL;
	char path[1024] = "/v1/alerts/";
	if (call_escape(path, sizeof(path) - 8, options->words[0]) < 0)
		return admin_say(ADMIN_USAGE, "the name is too long");
	size_t used = strlen(path);
	snprintf(path + used, sizeof(path) - used, "/test");
	int status = call(options, "POST", path, NULL, &answer);
	if (status != ADMIN_DONE)
		return status;
	if (options->json)
		return table_print_json(answer);
	printf("a test message of \"%s\" was delivered\n", options->words[0]);
	return ADMIN_DONE;
}

static int act(const struct admin_options *options, const char *id, const char *verb)
{
	OWN_JSON json_t *answer = NULL;
	char path[1024] = "/v1/spool/";
	if (call_escape(path, sizeof(path) - 8, id) < 0)
		return admin_say(ADMIN_USAGE, "\"%s\" is no number of a message", id);
	size_t used = strlen(path);
	snprintf(path + used, sizeof(path) - used, "/%s", verb);
	int status = call(options, "POST", path, NULL, &answer);
	if (status != ADMIN_DONE)
		return status;
	if (options->json)
		return table_print_json(answer);
	printf("message %s is %s\n", id, strcmp(verb, "drop") == 0 ? "dropped" : "tried again");
	return ADMIN_DONE;
}

int cmd_alert_spool(const struct admin_options *options)
{
	OWN_JSON json_t *answer = NULL;
	char path[128] = "/v1/spool?after=";
	if (call_escape(path, sizeof(path), options->after ? options->after : "0") < 0)
		return admin_say(ADMIN_USAGE, "\"%s\" is no number of a message", options->after);
	int status = call(options, "GET", path, NULL, &answer);
	if (status != ADMIN_DONE)
		return status;
	if (options->json)
		return table_print_json(answer);
	table_print(json_object_get(answer, "spool"), spool_columns);
	return ADMIN_DONE;
}

int cmd_alert_retry(const struct admin_options *options)
{
	return act(options, options->words[0], "retry");
}

int cmd_alert_drop(const struct admin_options *options)
{
	return act(options, options->words[0], "drop");
}

/* cmd_account.c: sallyport-admin account ...: what the gateway itself knows of a user, and the user's lock. */
#include <stdio.h>
#include <string.h>

#include "admin.h"
#include "sallyport/own.h"

DEFINE_OWN(json, json_t *, json_decref)
#define OWN_JSON OWN(own_json)

static const char *const show_pairs[] = {"user", "user", "locked", "locked", "locked since", "locked_at", "failed logins",
					 "failures", "must wait until", "wait_until", "devices", "devices", "sessions",
					 "sessions", NULL};

static int ask(const struct admin_options *options, const char *method, const char *verb, json_t **out_answer)
{
	char path[1024] = "/v1/accounts/";
	if (!*options->words[0] || strlen(options->words[0]) > 256 ||
	    call_escape(path, sizeof(path) - 16, options->words[0]) < 0)
		return admin_say(ADMIN_USAGE, "the name of a user has 1 to 256 bytes");
	size_t used = strlen(path);
	snprintf(path + used, sizeof(path) - used, "%s", verb);
	return call(options, method, path, NULL, out_answer);
}

int cmd_account_show(const struct admin_options *options)
{
	OWN_JSON json_t *answer = NULL;
	int status = ask(options, "GET", "", &answer);
	if (status != ADMIN_DONE)
		return status;
	if (options->json)
		return table_print_json(answer);
	table_print_object(answer, show_pairs);
	return ADMIN_DONE;
}

int cmd_account_lock(const struct admin_options *options)
{
	OWN_JSON json_t *answer = NULL;
	int status = ask(options, "POST", "/lock", &answer);
	if (status != ADMIN_DONE)
		return status;
	if (options->json)
		return table_print_json(answer);
	printf("%s is locked; %lld sessions ended, %lld tunnels closed\n", options->words[0],
	       (long long)json_integer_value(json_object_get(answer, "sessions_ended")),
	       (long long)json_integer_value(json_object_get(answer, "tunnels_closed")));
	return ADMIN_DONE;
}

int cmd_account_unlock(const struct admin_options *options)
{
	OWN_JSON json_t *answer = NULL;
	int status = ask(options, "POST", "/unlock", &answer);
	if (status != ADMIN_DONE)
		return status;
	if (options->json)
		return table_print_json(answer);
	printf("%s is unlocked; failed logins are forgotten\n", options->words[0]);
	return ADMIN_DONE;
}

/* cmd_factor.c: sallyport-admin account factor ...: the second factor that the gateway keeps of a user. */
#include <stdio.h>
#include <string.h>

#include "admin.h"
#include "sallyport/own.h"

DEFINE_OWN(json, json_t *, json_decref)
#define OWN_JSON OWN(own_json)

static const char *const factor_pairs[] = {"user", "user", "state", "state", "since", "created_at", "last used", "used_at",
					   "wrong in a row", "failures", "recovery codes", "recovery_left", "others used at", "recovery_used_at",
					   NULL};

static void print_codes(const json_t *answer)
{
	size_t index;
	const json_t *code;
	puts("Recovery codes, each good once:");
	json_array_foreach(json_object_get(answer, "recovery"), index, code)
		printf("  %s\n", json_string_value(code));
}

static int print_new_codes(const char *user, const json_t *answer)
{
	printf("Of %s. Nothing of this can be shown again; the former codes are worthless.\n\n", user);
	print_codes(answer);
	return ADMIN_DONE;
}

static int print_added(const char *user, const json_t *answer)
{
	const char *uri = json_string_value(json_object_get(answer, "uri"));
	const char *secret = json_string_value(json_object_get(answer, "secret"));
	if (!uri || !secret)
		return admin_say(ADMIN_FAILED, "the gateway's answer holds no secret");
	printf("Second factor of %s. Nothing of this can be shown again.\n\n", user);
	if (qr_print(uri) < 0)
		admin_say(ADMIN_FAILED, "no QR code can be drawn");
	printf("\n%s\nsecret: %s\n\n", uri, secret);
	print_codes(answer);
	return ADMIN_DONE;
}

static int print_shown(const char *user, const json_t *answer)
{
	(void)user;
	table_print_object(answer, factor_pairs);
	return ADMIN_DONE;
}

static int print_removed(const char *user, const json_t *answer)
{
	(void)answer;
	printf("%s has no second factor any more\n", user);
	return ADMIN_DONE;
}

static int print_revoked(const char *user, const json_t *answer)
{
	(void)answer;
	printf("no recovery code of %s is good any more; the second factor stays\n", user);
	return ADMIN_DONE;
}

static const struct verb {
	const char *name, *method, *path;
	int (*print)(const char *user, const json_t *answer);
} verbs[] = {{"add", "POST", "/factor", print_added},
	     {"show", "GET", "/factor", print_shown},
	     {"codes", "PUT", "/factor", print_new_codes},
	     {"revoke-codes", "DELETE", "/factor/codes", print_revoked},
	     {"remove", "DELETE", "/factor", print_removed}};

int cmd_account_factor(const struct admin_options *options)
{
	char path[1024] = "/v1/accounts/";
	const struct verb *verb = NULL;
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(verbs[i].name, options->words[0]) == 0)
			verb = &verbs[i];
	if (!verb)
		return admin_say(ADMIN_USAGE, "what of the factor? add, show, codes, revoke-codes or remove, not \"%s\"", options->words[0]);
	if (call_escape(path, sizeof(path) - 16, options->words[1]) < 0)
		return admin_say(ADMIN_USAGE, "the user's name is too long");
	size_t used = strlen(path);
	snprintf(path + used, sizeof(path) - used, "%s", verb->path);
	OWN_JSON json_t *answer = NULL;
	int status = call(options, verb->method, path, NULL, &answer);
	if (status != ADMIN_DONE)
		return status;
	return options->json ? table_print_json(answer) : verb->print(options->words[1], answer);
}

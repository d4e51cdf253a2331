/* cmd_invite.c: sallyport-admin device invite, reinvite, approve, withdraw, invitations, import: how laptops come in. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin.h"
#include "sallyport/own.h"

DEFINE_OWN(json, json_t *, json_decref)
#define OWN_JSON OWN(own_json)
DEFINE_OWN(file, FILE *, fclose)

static const char *const invitation_columns[] = {"DEVICE", "name", "FOR", "purpose", "STATE", "state", "USERS", "users", "CONFIRMATION", "confirmation",
						 "KEY", "key_kind", "FROM", "address", "EXPIRES", "expires_at", NULL};

static json_t *words(const char *const *list, unsigned count)
{
	json_t *array = json_array();
	for (unsigned i = 0; i < count; i++)
		json_array_append_new(array, json_string(list[i]));
	return array;
}

/* What to do with the line. */
static const char for_laptops[] = "Give that line to the user of %s: it is good once. There: sallyport enroll LINE\n";
static const char for_hosts[] = "On %s, as root; it is good once: XDG_CONFIG_HOME=/etc sallyport enroll LINE\n";

static int print_line(const struct admin_options *options, const json_t *answer, const char *name, bool is_host)
{
	const char *line = json_string_value(json_object_get(answer, "line"));
	if (options->json)
		return table_print_json(answer);
	if (!line)
		return admin_say(ADMIN_FAILED, "the gateway gave no invitation");
	puts(line);
	if (options->qr && qr_print(line) < 0)
		return admin_say(ADMIN_FAILED, "no QR code can be drawn");
	if (is_host)
		fprintf(stderr, for_hosts, name);
	else
		fprintf(stderr, for_laptops, name);
	return ADMIN_DONE;
}

static int invite(const struct admin_options *options, json_t *body, const char *name)
{
	OWN_JSON json_t *answer = NULL;
	if (!body)
		return admin_say(ADMIN_USAGE, "a name, user or tag is not valid text");
	if (options->expires)
		json_object_set_new(body, "life", json_string(options->expires));
	bool is_host = json_is_true(json_object_get(body, "host"));
	int status = call(options, "POST", "/v1/invitations", body, &answer);
	return status == ADMIN_DONE ? print_line(options, answer, name, is_host) : status;
}

int cmd_device_invite(const struct admin_options *options)
{
	static const char *const anybody[] = {"*"};
	const char *name = options->words[0];
	if (options->any_user == (options->users.count > 0))
		return admin_say(ADMIN_USAGE, "usage: sallyport-admin device invite NAME --user USER [--user USER] | --any-user");
	json_t *users = options->any_user ? words(anybody, 1) : words(options->users.list, options->users.count);
	return invite(options, json_pack("{s:s, s:o, s:o}", "name", name, "users", users, "tags", words(options->tags.list, options->tags.count)),
		      name);
}

int cmd_host_invite(const struct admin_options *options)
{
	const char *name = options->words[0];
	return invite(options, json_pack("{s:s, s:[], s:o, s:b}", "name", name, "users", "tags",
					 words(options->tags.list, options->tags.count), "host", 1), name);
}

int cmd_device_reinvite(const struct admin_options *options)
{
	const char *name = options->words[0];
	return invite(options, json_pack("{s:s, s:[], s:[], s:b}", "name", name, "users", "tags", "again", 1), name);
}

static int act(const struct admin_options *options, const char *verb, json_t *body, json_t **out_answer)
{
	char path[1024] = "/v1/invitations/";
	if (call_escape(path, sizeof(path) - 16, options->words[0]) < 0)
		return admin_say(ADMIN_USAGE, "the name is too long");
	size_t used = strlen(path);
	snprintf(path + used, sizeof(path) - used, "/%s", verb);
	return call(options, "POST", path, body, out_answer);
}

int cmd_device_approve(const struct admin_options *options)
{
	OWN_JSON json_t *answer = NULL;
	json_t *body = options->word_count > 1 ? json_pack("{s:s}", "which", options->words[1]) : NULL;
	int status = act(options, "approve", body, &answer);
	if (status != ADMIN_DONE)
		return status;
	if (options->json)
		return table_print_json(answer);
	printf("%s: the key with the confirmation code %s is approved; its certificate goes out when it asks again\n", options->words[0],
	       json_string_value(json_object_get(answer, "confirmation")));
	return ADMIN_DONE;
}

int cmd_device_withdraw(const struct admin_options *options)
{
	OWN_JSON json_t *answer = NULL;
	int status = act(options, "withdraw", NULL, &answer);
	if (status != ADMIN_DONE)
		return status;
	if (options->json)
		return table_print_json(answer);
	printf("%s: the invitation is withdrawn\n", options->words[0]);
	return ADMIN_DONE;
}

int cmd_device_invitations(const struct admin_options *options)
{
	OWN_JSON json_t *answer = NULL;
	int status = call(options, "GET", "/v1/invitations", NULL, &answer);
	if (status != ADMIN_DONE)
		return status;
	if (options->json)
		return table_print_json(answer);
	table_print(json_object_get(answer, "invitations"), invitation_columns);
	return ADMIN_DONE;
}

/* ---- many at once ---- */

enum { FIELDS = 3, FIELD_MAX = 1024 };

/* "name,user user,tag tag": no quotes, since none of the three can hold a comma. False when there are more fields. */
static bool split(char *line, char *fields[FIELDS])
{
	static char nothing[] = "";
	char *rest = line;
	line[strcspn(line, "\r\n")] = 0;
	for (int i = 0; i < FIELDS; i++)
		fields[i] = rest ? strsep(&rest, ",") : nothing;
	return rest == NULL;
}

static json_t *list_of(char *words_text)
{
	json_t *array = json_array();
	char *save = NULL;
	for (char *word = strtok_r(words_text, " ;\t", &save); word; word = strtok_r(NULL, " ;\t", &save))
		json_array_append_new(array, json_string(word));
	return array;
}

struct import {
	const struct admin_options *options;
	const char *file;
	unsigned line, good, bad;
};

static void report(struct import *import, const char *name, const char *line)
{
	import->good++;
	printf("%s,%s\n", name, line);
	if (import->good % 100 == 0)
		fprintf(stderr, "%u invitations made\n", import->good);
}

/* A wrong line is named and stops nothing: call.c has said what is wrong. */
static void complain(struct import *import, const char *sentence)
{
	import->bad++;
	fprintf(stderr, "%s:%u: %s\n", import->file, import->line, sentence);
}

static void take_line(struct import *import, char *line)
{
	char *fields[FIELDS];
	OWN_JSON json_t *answer = NULL;
	if (line[0] == '#' || line[strspn(line, " \t\r\n")] == 0)
		return;
	if (!split(line, fields)) {
		complain(import, "more than three fields; wanted: NAME,USER USER,TAG TAG");
		return;
	}
	/* A heading. */
	if (import->line == 1 && strcmp(fields[0], "name") == 0)
		return;
	json_t *body = json_pack("{s:s, s:o, s:o}", "name", fields[0], "users", list_of(fields[1]), "tags", list_of(fields[2]));
	if (body && import->options->expires)
		json_object_set_new(body, "life", json_string(import->options->expires));
	if (!body)
		complain(import, "not valid text (UTF-8)");
	else if (call(import->options, "POST", "/v1/invitations", body, &answer) != ADMIN_DONE)
		complain(import, "not invited, for the reason above");
	else
		report(import, fields[0], json_string_value(json_object_get(answer, "line")));
}

int cmd_device_import(const struct admin_options *options)
{
	struct import import = {.options = options, .file = options->words[0]};
	OWN_MEMORY char *line = NULL;
	size_t capacity = 0;
	OWN(own_file) FILE *file = strcmp(import.file, "-") == 0 ? stdin : fopen(import.file, "re");
	if (!file)
		return admin_say(ADMIN_FAILED, "cannot open %s: %s", import.file, strerror(errno));
	puts("name,invitation");
	while (getline(&line, &capacity, file) >= 0) {
		import.line++;
		take_line(&import, line);
	}
	fprintf(stderr, "%u invitations made, %u lines refused\n", import.good, import.bad);
	return import.bad ? ADMIN_FAILED : ADMIN_DONE;
}

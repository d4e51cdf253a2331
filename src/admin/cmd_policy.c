/* cmd_policy.c: sallyport-admin policy ...: is it right, what does it say, put it in force. What tries a policy before it
 * is in force stands in cmd_policy_try.c. */
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "admin.h"
#include "cmd_policy.h"
#include "sallyport/fd.h"
#include "sallyport/own.h"
#include "sallyport/str.h"

#define POLICY_MAX (1 << 20)

json_t *policy_read_files(char *const *paths, int count, struct diag *diag)
{
	OWN(own_json) json_t *files = json_array();
	for (int i = 0; i < count; i++) {
		OWN_BUF struct buf text = BUF_INIT(POLICY_MAX);
		if (fd_read_file(paths[i], &text, diag) < 0)
			return NULL;
		json_t *file = json_pack("{s:s, s:s%}", "name", paths[i], "text", text.data ? (char *)text.data : "", text.size);
		if (!file) {
			diag_set(diag, ERR_BAD_INPUT, "%s is not valid text", paths[i]);
			return NULL;
		}
		json_array_append_new(files, file);
	}
	return take_pointer(&files);
}

void policy_print(FILE *out, const char *before, const char *text)
{
	char line[1024];
	str_copy(line, sizeof(line), text ? text : "");
	str_make_printable(line);
	fprintf(out, "%s%s\n", before, line);
}

/* ---- check ---- */

/* The line, and a caret below the column; a tab stays a tab, so that the caret stands below its word. */
static void print_place(const json_t *place)
{
	const char *text = json_string_value(json_object_get(place, "text"));
	json_int_t column = json_integer_value(json_object_get(place, "column"));
	if (!text || !*text)
		return;
	policy_print(stderr, "    ", text);
	fputs("    ", stderr);
	for (json_int_t i = 1; i < column && text[i - 1]; i++)
		fputc(text[i - 1] == '\t' ? '\t' : ' ', stderr);
	fputs("^\n", stderr);
}

static void print_errors(const json_t *answer)
{
	size_t index;
	const json_t *error;
	json_int_t count = json_integer_value(json_object_get(answer, "error_count"));
	json_array_foreach(json_object_get(answer, "errors"), index, error) {
		policy_print(stderr, "", json_string_value(error));
		print_place(json_array_get(json_object_get(answer, "lines"), index));
	}
	if ((size_t)count > index)
		fprintf(stderr, "and %lld more errors\n", (long long)count - (long long)index);
}

/* Names are looked up here, where it may take its time; a name that is known only to the gateway's own resolver (key
 * `resolver`) is told all the same: it is a warning. */
enum { LOOK_UP_SECONDS = 10 };

static void warn_of_names(const json_t *names)
{
	size_t index;
	const json_t *item;
	time_t began = time(NULL);
	json_array_foreach(names, index, item) {
		struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
		const char *name = json_string_value(json_object_get(item, "name"));
		if (time(NULL) - began > LOOK_UP_SECONDS) {
			fprintf(stderr, "warning: names are not looked up any further after %d s\n", LOOK_UP_SECONDS);
			return;
		}
		int result = getaddrinfo(name, NULL, &hints, &found);
		if (result == 0)
			freeaddrinfo(found);
		else
			fprintf(stderr, "warning: \"%s\" of resource \"%s\" does not resolve here: %s\n", name,
				json_string_value(json_object_get(item, "resource")), gai_strerror(result));
	}
}

static int print_check(const json_t *answer)
{
	size_t index;
	const json_t *warning;
	if (!json_is_true(json_object_get(answer, "good"))) {
		print_errors(answer);
		return ADMIN_FAILED;
	}
	json_array_foreach(json_object_get(answer, "warnings"), index, warning)
		policy_print(stderr, "warning: ", json_string_value(warning));
	warn_of_names(json_object_get(answer, "names"));
	printf("the policy is good: %lld resources, %lld rules\n", (long long)json_integer_value(json_object_get(answer, "resources")),
	       (long long)json_integer_value(json_object_get(answer, "rules")));
	return ADMIN_DONE;
}

int cmd_policy_check(const struct admin_options *options)
{
	struct diag diag;
	json_t *body = NULL;
	OWN(own_json) json_t *answer = NULL;
	if (options->word_count) {
		json_t *files = policy_read_files(options->words, options->word_count, &diag);
		if (!files)
			return admin_say(ADMIN_FAILED, "%s", diag.text);
		body = json_pack("{s:o}", "files", files);
	}
	int status = call(options, "POST", "/v1/policy/check", body, &answer);
	if (status != ADMIN_DONE)
		return status;
	bool good = json_is_true(json_object_get(answer, "good"));
	status = options->json ? table_print_json(answer) : print_check(answer);
	if (good && options->tests && status == ADMIN_DONE)
		return policy_run_tests(options, options->tests, options->words, options->word_count);
	return good ? status : ADMIN_FAILED;
}

/* ---- explain ---- */

int cmd_policy_explain(const struct admin_options *options)
{
	char path[4096] = "/v1/policy/explain";
	const char *user = options->users.count == 1 ? options->users.list[0] : NULL;
	const struct {
		const char *name, *value;
	} words[] = {{"?user=", user}, {"&device=", options->device}, {"&to=", options->to}, {"&at=", options->at},
		     {"&from=", options->from}, {"&realm=", options->realm}};
	OWN(own_json) json_t *answer = NULL;
	if (!user || !options->device || !options->to)
		return admin_say(ADMIN_USAGE, "usage: sallyport-admin policy explain --user USER --device NAME --to HOST:PORT [--at TIME] "
				 "[--from ADDRESS] [--realm NAME]");
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		size_t used = strlen(path);
		if (!words[i].value)
			continue;
		snprintf(path + used, sizeof(path) - used, "%s", words[i].name);
		if (call_escape(path, sizeof(path), words[i].value) < 0)
			return admin_say(ADMIN_USAGE, "that is too long");
	}
	int status = call(options, "GET", path, NULL, &answer);
	if (status != ADMIN_DONE)
		return status;
	if (options->json)
		return table_print_json(answer);
	fputs(json_string_value(json_object_get(answer, "explanation")), stdout);
	return ADMIN_DONE;
}

/* ---- apply ---- */

int cmd_policy_apply(const struct admin_options *options)
{
	OWN(own_json) json_t *answer = NULL;
	size_t index;
	const json_t *line;
	int status = call(options, "POST", "/v1/policy/apply", NULL, &answer);
	if (status != ADMIN_DONE)
		return status;
	if (options->json)
		return table_print_json(answer);
	json_array_foreach(json_object_get(answer, "closed"), index, line)
		policy_print(stdout, "closed ", json_string_value(line));
	printf("in force: %lld resources, %lld rules; %lld of %lld live tunnels closed\n",
	       (long long)json_integer_value(json_object_get(answer, "resources")),
	       (long long)json_integer_value(json_object_get(answer, "rules")),
	       (long long)json_integer_value(json_object_get(answer, "tunnels_closed")),
	       (long long)json_integer_value(json_object_get(answer, "tunnels_judged")));
	return ADMIN_DONE;
}

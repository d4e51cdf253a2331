/* cmd_policy.c: sallyport-admin policy ...: is it right, what does it say, put it in force. What tries a policy before it
 * is in force stands in cmd_policy_try.c. */
#include <glob.h>
#include <grp.h>
#include <netdb.h>
#include <pwd.h>
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

/* Users of whom no device knows, and groups: whom the name services do not know is a slip, perhaps. */
static bool is_in_names(const char *name, bool is_group)
{
	return is_group ? getgrnam(name) != NULL : getpwnam(name) != NULL;
}

static void warn_of_strangers(const json_t *list, bool is_group)
{
	size_t index;
	const json_t *item;
	time_t began = time(NULL);
	json_array_foreach(list, index, item) {
		const char *name = json_string_value(json_object_get(item, "name"));
		const char *nearest = json_string_value(json_object_get(item, "nearest"));
		char line[600];
		if (time(NULL) - began > LOOK_UP_SECONDS) {
			fprintf(stderr, "warning: users and groups are not looked up any further after %d s\n", LOOK_UP_SECONDS);
			return;
		}
		if (is_in_names(name, is_group))
			continue;
		snprintf(line, sizeof(line), "rule \"%s\": there is no %s \"%s\"%s%s%s", json_string_value(json_object_get(item, "rule")),
			 is_group ? "group" : "user", name, nearest ? "; did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "");
		policy_print(stderr, "warning: ", line);
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
	json_int_t count = json_integer_value(json_object_get(answer, "warning_count"));
	if ((size_t)count > index)
		fprintf(stderr, "and %lld more warnings\n", (long long)count - (long long)index);
	warn_of_strangers(json_object_get(answer, "users"), false);
	warn_of_strangers(json_object_get(answer, "groups"), true);
	warn_of_names(json_object_get(answer, "names"));
	printf("the policy is good: %lld resources, %lld rules\n", (long long)json_integer_value(json_object_get(answer, "resources")),
	       (long long)json_integer_value(json_object_get(answer, "rules")));
	return ADMIN_DONE;
}

/* ---- the files on the disk ---- */

struct policy_place {
	char policy[4200], files[4200], expectations[4200]; /* the last two are patterns; empty: no folder */
};

static int find_place(const struct admin_options *options, struct policy_place *place)
{
	OWN(own_json) json_t *answer = NULL;
	int status = call(options, "GET", "/v1/policy/files", NULL, &answer);
	if (status != ADMIN_DONE)
		return status;
	const char *folder = json_string_value(json_object_get(answer, "policy_directory"));
	const char *policy = json_string_value(json_object_get(answer, "policy"));
	bool has_folder = folder && *folder;
	snprintf(place->policy, sizeof(place->policy), "%s", policy ? policy : "");
	snprintf(place->files, sizeof(place->files), has_folder ? "%s/*.conf" : "", folder);
	snprintf(place->expectations, sizeof(place->expectations), has_folder ? "%s/*.expect" : "", folder);
	return ADMIN_DONE;
}

/* What a reload would read, in its order. A policy file that is not there is told by whoever opens it. */
static int list_files(const struct policy_place *place, glob_t *out_files)
{
	if (glob(place->policy, GLOB_NOCHECK, NULL, out_files) != 0)
		return admin_say(ADMIN_FAILED, "%s cannot be read", place->policy);
	int result = *place->files ? glob(place->files, GLOB_APPEND, NULL, out_files) : 0;
	return result == 0 || result == GLOB_NOMATCH ? ADMIN_DONE : admin_say(ADMIN_FAILED, "%s cannot be read", place->files);
}

static int run_all_tests(const struct admin_options *options, const struct policy_place *place, char *const *paths, int count, json_t *results)
{
	glob_t found = {0};
	int status = ADMIN_DONE;
	if (options->tests)
		return policy_run_tests(options, options->tests, paths, count, results);
	if (*place->expectations && glob(place->expectations, 0, NULL, &found) == 0)
		for (size_t i = 0; i < found.gl_pathc; i++) {
			int one = policy_run_tests(options, found.gl_pathv[i], paths, count, results);
			status = status == ADMIN_DONE ? one : status;
		}
	globfree(&found);
	return status;
}

static int check(const struct admin_options *options, const struct policy_place *place, char *const *paths, int count)
{
	struct diag diag;
	OWN(own_json) json_t *answer = NULL, *results = json_array();
	json_t *files = policy_read_files(paths, count, &diag);
	if (!files)
		return admin_say(ADMIN_FAILED, "%s", diag.text);
	int status = call(options, "POST", "/v1/policy/check", json_pack("{s:o}", "files", files), &answer);
	if (status != ADMIN_DONE)
		return status;
	bool good = json_is_true(json_object_get(answer, "good"));
	if (!options->json)
		status = print_check(answer);
	if (good)
		status = run_all_tests(options, place, paths, count, results);
	json_object_set(answer, "tests", results);
	if (options->json)
		table_print_json(answer);
	return good ? status : ADMIN_FAILED;
}

int cmd_policy_check(const struct admin_options *options)
{
	static struct policy_place place;
	glob_t found = {0};
	int status = find_place(options, &place);
	if (status == ADMIN_DONE && options->word_count)
		return check(options, &place, options->words, options->word_count);
	if (status == ADMIN_DONE)
		status = list_files(&place, &found);
	if (status == ADMIN_DONE)
		status = check(options, &place, found.gl_pathv, (int)found.gl_pathc);
	globfree(&found);
	return status;
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

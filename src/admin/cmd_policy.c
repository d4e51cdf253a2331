/* cmd_policy.c: sallyport-admin policy ...: is it right, and what does it say? */
#include <stdio.h>
#include <string.h>

#include "admin.h"
#include "sallyport/fd.h"
#include "sallyport/own.h"
#include "sallyport/str.h"

DEFINE_OWN(json, json_t *, json_decref)
#define OWN_JSON OWN(own_json)

#define POLICY_MAX (1 << 20)

static json_t *read_files(const struct admin_options *options, struct diag *diag)
{
	OWN_JSON json_t *files = json_array();
	for (int i = 0; i < options->word_count; i++) {
		OWN_BUF struct buf text = BUF_INIT(POLICY_MAX);
		if (fd_read_file(options->words[i], &text, diag) < 0)
			return NULL;
		json_t *file = json_pack("{s:s, s:s%}", "name", options->words[i], "text", text.data ? (char *)text.data : "",
					 text.size);
		if (!file) {
			diag_set(diag, ERR_BAD_INPUT, "%s is not valid text", options->words[i]);
			return NULL;
		}
		json_array_append_new(files, file);
	}
	return take_pointer(&files);
}

static int print_check(const json_t *answer)
{
	size_t index;
	const json_t *error;
	if (json_is_true(json_object_get(answer, "good"))) {
		printf("the policy is good: %lld resources, %lld rules\n",
		       (long long)json_integer_value(json_object_get(answer, "resources")),
		       (long long)json_integer_value(json_object_get(answer, "rules")));
		return ADMIN_DONE;
	}
	json_array_foreach(json_object_get(answer, "errors"), index, error) {
		char line[1024];
		str_copy(line, sizeof(line), json_string_value(error));
		str_make_printable(line);
		fprintf(stderr, "%s\n", line);
	}
	return ADMIN_FAILED;
}

int cmd_policy_check(const struct admin_options *options)
{
	struct diag diag;
	json_t *body = NULL;
	OWN_JSON json_t *answer = NULL;
	if (options->word_count) {
		json_t *files = read_files(options, &diag);
		if (!files)
			return admin_say(ADMIN_FAILED, "%s", diag.text);
		body = json_pack("{s:o}", "files", files);
	}
	int status = call(options, "POST", "/v1/policy/check", body, &answer);
	if (status != ADMIN_DONE)
		return status;
	if (!options->json)
		return print_check(answer);
	status = table_print_json(answer);
	return json_is_true(json_object_get(answer, "good")) ? status : ADMIN_FAILED;
}

int cmd_policy_explain(const struct admin_options *options)
{
	char path[4096] = "/v1/policy/explain?user=";
	OWN_JSON json_t *answer = NULL;
	if (options->users.count != 1 || !options->device || !options->to)
		return admin_say(ADMIN_USAGE, "usage: sallyport-admin policy explain --user USER --device NAME --to HOST:PORT");
	int result = call_escape(path, sizeof(path), options->users.list[0]);
	size_t used = strlen(path);
	snprintf(path + used, sizeof(path) - used, "&device=");
	if (result == 0)
		result = call_escape(path, sizeof(path), options->device);
	used = strlen(path);
	snprintf(path + used, sizeof(path) - used, "&to=");
	if (result == 0)
		result = call_escape(path, sizeof(path), options->to);
	if (result < 0)
		return admin_say(ADMIN_USAGE, "that is too long");
	int status = call(options, "GET", path, NULL, &answer);
	if (status != ADMIN_DONE)
		return status;
	if (options->json)
		return table_print_json(answer);
	fputs(json_string_value(json_object_get(answer, "explanation")), stdout);
	return ADMIN_DONE;
}

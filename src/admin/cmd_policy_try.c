/* cmd_policy_try.c: sallyport-admin policy test, diff, shadow: what a policy would do, before it does it. */
#include "cmd_policy.h"

#include <string.h>

#include "sallyport/fd.h"

#define EXPECTATIONS_MAX (1 << 20)

/* ---- test ---- */

static int print_failed(const char *path, const json_t *answer)
{
	size_t index;
	const json_t *failed;
	json_array_foreach(json_object_get(answer, "failed"), index, failed) {
		fprintf(stderr, "%s:%lld: ", path, (long long)admin_number(failed, "line"));
		policy_print(stderr, "", json_string_value(json_object_get(failed, "text")));
		policy_print(stderr, "    ", json_string_value(json_object_get(failed, "what")));
	}
	printf("%lld expectations, %zu not met\n", (long long)admin_number(answer, "expectations"), index);
	return json_is_true(json_object_get(answer, "good")) ? ADMIN_DONE : ADMIN_FAILED;
}

int policy_run_tests(const struct admin_options *options, const char *expectations, char *const *paths, int count, json_t *results)
{
	OWN_BUF struct buf text = BUF_INIT(EXPECTATIONS_MAX);
	OWN(own_json) json_t *answer = NULL;
	struct diag diag;
	if (fd_read_file(expectations, &text, &diag) < 0)
		return admin_say(ADMIN_FAILED, "%s", diag.text);
	json_t *body = json_pack("{s:s%}", "expectations", text.data ? (char *)text.data : "", text.size);
	json_t *files = count ? policy_read_files(paths, count, &diag) : NULL;
	if (!body || (count && !files)) {
		json_decref(body);
		return admin_say(ADMIN_FAILED, "%s", body ? diag.text : "the expectations are not valid text");
	}
	if (files)
		json_object_set_new(body, "files", files);
	int status = call(options, "POST", "/v1/policy/test", body, &answer);
	if (status != ADMIN_DONE)
		return status;
	if (!options->json)
		return print_failed(expectations, answer);
	json_object_set_new(answer, "file", json_string(expectations));
	json_array_append(results, answer);
	return json_is_true(json_object_get(answer, "good")) ? ADMIN_DONE : ADMIN_FAILED;
}

int cmd_policy_test(const struct admin_options *options)
{
	OWN(own_json) json_t *results = json_array();
	int status = policy_run_tests(options, options->words[0], options->words + 1, options->word_count - 1, results);
	if (options->json && json_array_size(results))
		table_print_json(json_array_get(results, 0));
	return status;
}

/* ---- diff and shadow ---- */

static int post_files(const struct admin_options *options, const char *path, json_t **out_answer)
{
	struct diag diag;
	json_t *files = policy_read_files(options->words, options->word_count, &diag);
	if (!files)
		return admin_say(ADMIN_FAILED, "%s", diag.text);
	/* json_pack leaves out what is NULL and marked with a star. */
	return call(options, "POST", path,
		    json_pack("{s:o, s:s*, s:s*, s:s*}", "files", files, "at", options->at, "from", options->from, "realm", options->realm),
		    out_answer);
}

int cmd_policy_diff(const struct admin_options *options)
{
	static const char *const columns[] = {"CHANGE",   "change",   "USER",     "user",     "DEVICE", "device",
					      "TARGET",   "target",   "OLD RULE", "old_rule", "NEW RULE", "new_rule", NULL};
	OWN(own_json) json_t *answer = NULL;
	int status = post_files(options, "/v1/policy/diff", &answer);
	if (status != ADMIN_DONE)
		return status;
	if (options->json)
		return table_print_json(answer);
	const json_t *differences = json_object_get(answer, "differences");
	if (json_array_size(differences))
		table_print(differences, columns);
	if ((size_t)(long long)admin_number(answer, "difference_count") > json_array_size(differences))
		printf("and %lld more\n", (long long)admin_number(answer, "difference_count") - (long long)json_array_size(differences));
	printf("%lld differences, over %lld pairs of user and device and %lld targets\n", (long long)admin_number(answer, "difference_count"),
	       (long long)admin_number(answer, "people"), (long long)admin_number(answer, "targets"));
	return ADMIN_DONE;
}

static int print_report(const json_t *answer)
{
	static const char *const columns[] = {"USER",   "user",   "DEVICE",      "device",      "TARGET", "target", "IN FORCE", "in_force",
					      "SHADOW", "shadow", "SHADOW RULE", "shadow_rule", "COUNT",  "count",  "LAST",     "last", NULL};
	const json_t *differences = json_object_get(answer, "differences");
	if (json_array_size(differences))
		table_print(differences, columns);
	printf("%s; %lld decisions, %lld of them different\n",
	       json_is_true(json_object_get(answer, "running")) ? "a shadow policy runs" : "no shadow policy runs",
	       (long long)admin_number(answer, "decisions"), (long long)admin_number(answer, "different"));
	return ADMIN_DONE;
}

int cmd_policy_shadow(const struct admin_options *options)
{
	OWN(own_json) json_t *answer = NULL;
	bool is_report = strcmp(options->words[0], "report") == 0, is_end = strcmp(options->words[0], "end") == 0;
	int status = is_report || is_end ? call(options, is_end ? "DELETE" : "GET", "/v1/policy/shadow", NULL, &answer)
					 : post_files(options, "/v1/policy/shadow", &answer);
	if (status != ADMIN_DONE)
		return status;
	return options->json ? table_print_json(answer) : print_report(answer);
}

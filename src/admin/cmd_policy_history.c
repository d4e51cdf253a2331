/* cmd_policy_history.c: sallyport-admin policy history: the policies that were in force, and their texts. */
#include <string.h>

#include "cmd_policy.h"

static const char *const columns[] = {"VERSION", "version", "SINCE", "since", "UNTIL", "until", "FILES", "files", "SHA-256", "print", NULL};

int policy_versions(const struct admin_options *options, uint64_t since_ms, json_t **out_versions)
{
	OWN(own_json) json_t *versions = json_array();
	json_int_t after = 0;
	for (;;) {
		OWN(own_json) json_t *answer = NULL;
		char path[128];
		snprintf(path, sizeof(path), "/v1/policy/versions?since=%llu&after=%lld", (unsigned long long)since_ms, (long long)after);
		int status = call(options, "GET", path, NULL, &answer);
		if (status != ADMIN_DONE)
			return status;
		const json_t *page = json_object_get(answer, "versions");
		json_array_extend(versions, (json_t *)(uintptr_t)page);
		if (!json_array_size(page))
			break;
		after = json_integer_value(json_object_get(json_array_get(page, json_array_size(page) - 1), "version"));
	}
	*out_versions = json_incref(versions);
	return ADMIN_DONE;
}

/* As files that a policy may be made of again; who wants one of them alone has --json. */
static void print_files(const json_t *answer)
{
	size_t index;
	const json_t *file;
	json_array_foreach(json_object_get(answer, "files"), index, file) {
		const char *text = json_string_value(json_object_get(file, "text"));
		size_t length = text ? strlen(text) : 0;
		policy_print(stdout, "# ---- ", json_string_value(json_object_get(file, "name")));
		/* Made printable line by line: what an admin has written may steer no terminal. */
		for (const char *line = text; line && *line; line += strcspn(line, "\n"), line += *line == '\n') {
			char words[4096];
			snprintf(words, sizeof(words), "%.*s", (int)strcspn(line, "\n"), line);
			policy_print(stdout, "", words);
		}
		if (!length)
			puts("# (empty, or not UTF-8)");
	}
}

static int show(const struct admin_options *options, const char *number)
{
	OWN(own_json) json_t *answer = NULL;
	char path[128];
	if (!*number || strspn(number, "0123456789") != strlen(number) || strlen(number) > 18)
		return admin_say(ADMIN_USAGE, "\"%s\" is no version: a number of the list", number);
	snprintf(path, sizeof(path), "/v1/policy/versions/%s", number);
	int status = call(options, "GET", path, NULL, &answer);
	if (status != ADMIN_DONE)
		return status;
	if (options->json)
		return table_print_json(answer);
	print_files(answer);
	return ADMIN_DONE;
}

int cmd_policy_history(const struct admin_options *options)
{
	OWN(own_json) json_t *versions = NULL;
	uint64_t since_ms = 0;
	if (options->word_count)
		return show(options, options->words[0]);
	if (!admin_since(options, &since_ms))
		return ADMIN_USAGE;
	int status = policy_versions(options, since_ms, &versions);
	if (status != ADMIN_DONE)
		return status;
	if (options->json) {
		OWN(own_json) json_t *whole = json_pack("{s:O}", "versions", versions);
		return table_print_json(whole);
	}
	table_print(versions, columns);
	return ADMIN_DONE;
}

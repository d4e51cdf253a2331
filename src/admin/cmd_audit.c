/* cmd_audit.c: sallyport-admin audit: what happened, and what happens. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "admin.h"
#include "sallyport/own.h"
#include "sallyport/str.h"

DEFINE_OWN(json, json_t *, json_decref)
#define OWN_JSON OWN(own_json)

enum { PAGE = 500, FOLLOW_MICROSECONDS = 300000 };

static const char *text_of(const json_t *row, const char *key)
{
	const char *text = json_string_value(json_object_get(row, key));
	return text && *text ? text : "-";
}

static void print_row(const struct admin_options *options, const json_t *row)
{
	if (options->json && options->follow) {
		json_dumpf(row, stdout, JSON_COMPACT);
		putchar('\n');
		return;
	}
	char line[4096];
	snprintf(line, sizeof(line), "%lld %s %s %s user=%s device=%s from=%s id=%s %s",
		 (long long)json_integer_value(json_object_get(row, "sequence")), text_of(row, "at"), text_of(row, "event"),
		 text_of(row, "code"), text_of(row, "user"), text_of(row, "device"), text_of(row, "address"),
		 text_of(row, "request_id"), text_of(row, "detail"));
	str_make_printable(line);
	puts(line);
}

/* What is asked of the gateway, but for where to begin. */
static int make_question(const struct admin_options *options, char *path, size_t capacity)
{
	uint64_t since_ms = 0;
	const struct {
		const char *name, *value;
	} filters[] = {{"user", options->users.count ? options->users.list[0] : NULL}, {"device", options->device},
		       {"event", options->event}, {"code", options->code}, {"request_id", options->id}};
	if (options->users.count > 1)
		return admin_say(ADMIN_USAGE, "audit takes one --user");
	if (!admin_since(options, &since_ms))
		return ADMIN_USAGE;
	snprintf(path, capacity, "/v1/audit?since=%" PRIu64, since_ms);
	for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
		if (!filters[i].value)
			continue;
		size_t size = strlen(path);
		snprintf(path + size, capacity - size, "&%s=", filters[i].name);
		if (call_escape(path, capacity, filters[i].value) < 0)
			return admin_say(ADMIN_USAGE, "--%s is too long", filters[i].name);
	}
	return ADMIN_DONE;
}

/* One look. *after moves to where it has ended; *out_more: the record goes on there. With `collect` the rows go there instead
 * of to standard output. */
static int print_page(const struct admin_options *options, const char *question, uint64_t *after, bool *out_more, json_t *collect)
{
	char path[4200];
	OWN_JSON json_t *answer = NULL;
	size_t index;
	json_t *row;
	snprintf(path, sizeof(path), "%s&after=%" PRIu64 "&limit=%d", question, *after, PAGE);
	int status = call(options, "GET", path, NULL, &answer);
	if (status != ADMIN_DONE)
		return status;
	json_array_foreach(json_object_get(answer, "audit"), index, row)
		if (collect)
			json_array_append(collect, row);
		else
			print_row(options, row);
	*after = (uint64_t)json_integer_value(json_object_get(answer, "looked_to"));
	*out_more = *after < (uint64_t)json_integer_value(json_object_get(answer, "last"));
	return ADMIN_DONE;
}

static int print_all(const struct admin_options *options, const char *question, uint64_t *after, json_t *collect)
{
	bool more = true;
	int status = ADMIN_DONE;
	while (status == ADMIN_DONE && more)
		status = print_page(options, question, after, &more, collect);
	return status;
}

int cmd_audit(const struct admin_options *options)
{
	uint64_t after = 0;
	char question[4096];
	if (options->after && str_to_u64(view_string(options->after), 0, INT64_MAX, &after) < 0)
		return admin_say(ADMIN_USAGE, "--after takes the number of a row, not \"%s\"", options->after);
	int status = make_question(options, question, sizeof(question));
	if (status != ADMIN_DONE)
		return status;
	OWN_JSON json_t *collect = options->json && !options->follow ? json_array() : NULL;
	status = print_all(options, question, &after, collect);
	while (status == ADMIN_DONE && options->follow) {
		if (fflush(stdout) != 0)
			return ADMIN_FAILED;
		usleep(FOLLOW_MICROSECONDS);
		status = print_all(options, question, &after, NULL);
	}
	if (status != ADMIN_DONE || !collect)
		return status;
	OWN_JSON json_t *whole = json_pack("{s:O}", "audit", collect);
	return table_print_json(whole);
}

/* cmd_audit.c: sallyport-admin audit: what happened, and what happens. */
#include <inttypes.h>
#include <stdio.h>
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

/* One page; the number of its rows, or a negative exit status. *after moves to its last row. With `collect` the rows go
 * there instead of to standard output. */
static int print_page(const struct admin_options *options, uint64_t *after, json_t *collect)
{
	char path[128];
	OWN_JSON json_t *answer = NULL;
	size_t index;
	json_t *row;
	snprintf(path, sizeof(path), "/v1/audit?after=%" PRIu64 "&limit=%d", *after, PAGE);
	int status = call(options, "GET", path, NULL, &answer);
	if (status != ADMIN_DONE)
		return -status;
	const json_t *rows = json_object_get(answer, "audit");
	json_array_foreach(rows, index, row) {
		*after = (uint64_t)json_integer_value(json_object_get(row, "sequence"));
		if (collect)
			json_array_append(collect, row);
		else
			print_row(options, row);
	}
	return (int)json_array_size(rows);
}

static int print_all(const struct admin_options *options, uint64_t *after)
{
	OWN_JSON json_t *collect = options->json && !options->follow ? json_array() : NULL;
	int rows;
	do
		rows = print_page(options, after, collect);
	while (rows == PAGE);
	if (rows < 0)
		return -rows;
	if (!collect)
		return ADMIN_DONE;
	OWN_JSON json_t *whole = json_pack("{s:O}", "audit", collect);
	return table_print_json(whole);
}

int cmd_audit(const struct admin_options *options)
{
	uint64_t after = 0;
	if (options->after && str_to_u64(view_string(options->after), 0, INT64_MAX, &after) < 0)
		return admin_say(ADMIN_USAGE, "--after takes the number of a row, not \"%s\"", options->after);
	int status = print_all(options, &after);
	while (status == ADMIN_DONE && options->follow) {
		if (fflush(stdout) != 0)
			return ADMIN_FAILED;
		usleep(FOLLOW_MICROSECONDS);
		int rows = print_page(options, &after, NULL);
		status = rows < 0 ? -rows : ADMIN_DONE;
	}
	return status;
}

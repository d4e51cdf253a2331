/* report_reach.c: who could reach what, by each policy of the time while it was in force, and what of it was used.
 *
 *     versions of the policy -> spans of the time -> for each print: whom it lets reach what -> rows with from and until
 *
 * The texts are kept by the gateway; bindings, groups and realms are those of today, and so are devices, each since it is there. What could be reached by a policy
 * that is not kept nobody knows: its span says so.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cmd_policy.h"
#include "report.h"
#include "sallyport/clock.h"

/* A policy that changes by the minute is not computed hundreds of times; the rest is said to be left out. */
enum { PRINTS_MAX = 50 };

static uint64_t time_of(const json_t *object, const char *key, uint64_t otherwise)
{
	uint64_t ms;
	return clock_parse(admin_text(object, key), &ms) == 0 ? ms : otherwise;
}

/* ---- spans ---- */

/* Each {version, print, since, from, until, could_reach, note}, and while it is computed from_ms and targets: tunnels by
 * "user\tdevice\ttarget"; inside the time of the report, in order. */
int report_spans(const struct admin_options *options, uint64_t since_ms, uint64_t now_ms, json_t *spans)
{
	OWN(own_json) json_t *versions = NULL;
	size_t index;
	json_t *version;
	int status = policy_versions(options, since_ms, &versions);
	if (status != ADMIN_DONE)
		return status;
	json_array_foreach(versions, index, version) {
		char from[32], until[32];
		uint64_t from_ms = time_of(version, "since", 0), until_ms = time_of(version, "until", now_ms);
		from_ms = from_ms < since_ms ? since_ms : from_ms;
		clock_format(from_ms, from, sizeof(from));
		clock_format(until_ms, until, sizeof(until));
		json_array_append_new(spans, json_pack("{s:O, s:O, s:O, s:s, s:s, s:I, s:{}, s:s}", "version", json_object_get(version, "version"),
						       "print", json_object_get(version, "print"), "since", json_object_get(version, "since"), "from", from,
						       "until", json_is_null(json_object_get(version, "until")) ? "" : until, "from_ms", (json_int_t)from_ms,
						       "targets", "note", ""));
	}
	return ADMIN_DONE;
}

/* The last one that had begun: clocks may go back. */
static json_t *span_at(json_t *spans, uint64_t at_ms)
{
	for (size_t i = json_array_size(spans); i-- > 0;)
		/* What is told has whole seconds. */
		if ((uint64_t)admin_number(json_array_get(spans, i), "from_ms") / 1000 <= at_ms / 1000)
			return json_array_get(spans, i);
	return NULL;
}

void report_span_tunnel(json_t *spans, const json_t *tunnel)
{
	OWN_MEMORY char *key = NULL;
	const json_t *span = span_at(spans, time_of(tunnel, "opened_at", 0));
	json_t *targets = json_object_get(span, "targets");
	if (!targets || asprintf(&key, "%s\t%s\t%s:%lld", admin_text(tunnel, "user"), admin_text(tunnel, "device"), admin_text(tunnel, "host"),
				 (long long)admin_number(tunnel, "port")) < 0)
		return;
	json_object_set_new(targets, key, json_integer(admin_number(targets, key) + 1));
}

/* ---- reach ---- */

struct reach {
	const struct admin_options *options;
	const json_t *born;
	json_t *rows;    /* of the report */
	json_t *answers; /* of the gateway, by print */
	json_t *before;  /* rows that the last span had, by user, device and target */
};

static json_t *key_of(const json_t *row)
{
	return json_sprintf("%s\t%s\t%s", admin_text(row, "user"), admin_text(row, "device"), admin_text(row, "target"));
}

/* A row that begins here, with the span or with its device, or the one of the span before that goes on. Moments are spelled so
 * that they are in the order of their texts. */
static void take_row(const struct reach *reach, json_t *after, const json_t *row, const json_t *span)
{
	OWN(own_json) json_t *name = key_of(row);
	const char *key = json_string_value(name), *born = admin_text(reach->born, admin_text(row, "device")), *until = admin_text(span, "until");
	json_t *entry = key ? json_object_get(reach->before, key) : NULL;
	bool is_later = strcmp(born, admin_text(span, "from")) > 0;
	if (!key || (*until && strcmp(born, until) > 0))
		return;
	if (!entry) {
		entry = json_pack("{s:O, s:O, s:O, s:O, s:s, s:O, s:i}", "user", json_object_get(row, "user"), "device", json_object_get(row, "device"),
				  "target", json_object_get(row, "target"), "rule", json_object_get(row, "old_rule"), "from",
				  is_later ? born : admin_text(span, "from"), "until", json_object_get(span, "until"), "used", 0);
		json_array_append_new(reach->rows, entry);
	}
	json_object_set(entry, "until", json_object_get(span, "until"));
	json_object_set(entry, "rule", json_object_get(row, "old_rule"));
	json_object_set_new(entry, "used", json_integer(admin_number(entry, "used") + admin_number(json_object_get(span, "targets"), key)));
	json_object_set(after, key, entry);
}

/* The answer of the gateway for that text, asked once. NULL: the span's note says why not. */
static json_t *reach_by(const struct reach *reach, json_t *span)
{
	const char *print = admin_text(span, "print");
	json_t *answer = json_object_get(reach->answers, print);
	if (answer)
		return answer;
	if (json_object_size(reach->answers) == PRINTS_MAX) {
		json_object_set_new(span, "note", json_string("not computed: too many policies in this time"));
		return NULL;
	}
	if (call(reach->options, "POST", "/v1/policy/reach", json_pack("{s:O}", "version", json_object_get(span, "version")), &answer) != ADMIN_DONE) {
		json_object_set_new(span, "note", json_string("not computed: see what is said on standard error"));
		return NULL;
	}
	json_object_set_new(reach->answers, print, answer);
	return answer;
}

static void take_span(struct reach *reach, json_t *span)
{
	json_t *after = json_object(), *row;
	const json_t *answer = reach_by(reach, span), *rows = json_object_get(answer, "differences");
	size_t index;
	json_array_foreach(rows, index, row)
		take_row(reach, after, row, span);
	if (answer)
		json_object_set(span, "could_reach", json_object_get(answer, "difference_count"));
	if (json_array_size(rows) < (size_t)admin_number(answer, "difference_count"))
		json_object_set_new(span, "note", json_string("listed in part below"));
	json_decref(reach->before);
	reach->before = after;
}

/* Before the first version that is kept. A gateway whose first record names it had no other policy. */
static void add_unknown(json_t *spans, uint64_t since_ms, uint64_t record_begins_ms)
{
	char from[32];
	const json_t *first = json_array_get(spans, 0);
	uint64_t known_ms = time_of(first, "since", UINT64_MAX);
	if (known_ms <= since_ms || (record_begins_ms && known_ms / 1000 <= record_begins_ms / 1000))
		return;
	clock_format(since_ms, from, sizeof(from));
	json_array_insert_new(spans, 0, json_pack("{s:s, s:s, s:s, s:s, s:s}", "version", "?", "print", "", "from", from, "until", admin_text(first, "from"),
						  "note", "not kept: who could reach what is not known"));
}

void report_reach(const struct admin_options *options, json_t *report, const json_t *born, uint64_t since_ms, uint64_t record_begins_ms)
{
	struct reach reach = {.options = options, .born = born, .rows = json_object_get(report, "reach"), .answers = json_object(),
			      .before = json_object()};
	json_t *spans = json_object_get(report, "policies"), *span;
	size_t index;
	json_array_foreach(spans, index, span)
		take_span(&reach, span);
	json_decref(reach.before);
	json_decref(reach.answers);
	json_array_foreach(spans, index, span) {
		json_object_del(span, "targets");
		json_object_del(span, "from_ms");
	}
	add_unknown(spans, since_ms, record_begins_ms);
	json_object_set_new(json_object_get(report, "counts"), "reach", json_integer((json_int_t)json_array_size(reach.rows)));
	json_object_set_new(json_object_get(report, "counts"), "policies", json_integer((json_int_t)json_array_size(spans)));
}

/* cmd_verify.c: sallyport-admin audit verify: works on the store itself, also on a copy elsewhere, without the gateway. */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "admin.h"
#include "record_check.h"
#include "sallyport/own.h"

DEFINE_OWN(json, json_t *, json_decref)

/* Enough to see what happened; the number of all is always told. */
enum { FINDINGS_SHOWN_MAX = 100 };

static void on_finding(void *context, int64_t sequence, const char *sentence)
{
	if (json_array_size(context) < FINDINGS_SHOWN_MAX)
		json_array_append_new(context, json_pack("{s:I, s:s}", "record", (json_int_t)sequence, "finding", sentence));
}

static void time_text(uint64_t at_ms, char out_text[32])
{
	time_t at_s = (time_t)(at_ms / 1000);
	struct tm parts = {0};
	gmtime_r(&at_s, &parts);
	strftime(out_text, 32, "%Y-%m-%dT%H:%M:%SZ", &parts);
}

/* ---- what this verification could not have seen ---- */

static void add_limits(json_t *limits, const struct record_check *check, bool has_elsewhere)
{
	char text[512], at[32];
	if (!check->keys)
		json_array_append_new(limits, json_string("signatures were not checked: there is no --key FILE with the gateway's public "
							  "audit key (audit.pub)"));
	if (!has_elsewhere)
		json_array_append_new(limits, json_string("without --checkpoints from another host this does not find: the newest records cut "
							  "off together with their checkpoints, and a return to an older copy"));
	if (!check->newest) {
		json_array_append_new(limits, json_string("no checkpoint covers any record: whoever could write the store can have written the "
							  "whole chain anew"));
		return;
	}
	time_text(check->newest->at_ms, at);
	if ((int64_t)check->newest->sequence == check->last_sequence)
		return;
	snprintf(text, sizeof(text),
		 "the newest checkpoint is of record %" PRIu64 ", %s: later ones can have been changed, added or cut off by whoever can "
		 "write the store",
		 check->newest->sequence, at);
	json_array_append_new(limits, json_string(text));
}

static json_t *report(const struct record_check *check, json_t *findings, json_t *limits)
{
	return json_pack("{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:O, s:O}", "whole", check->findings == 0, "records",
			 (json_int_t)check->records, "last", (json_int_t)check->last_sequence, "removed_up_to", (json_int_t)check->cut,
			 "checkpoints", (json_int_t)check->passed, "checkpoints_of_other_keys", (json_int_t)check->foreign, "finding_count",
			 (json_int_t)check->findings, "first_bad", (json_int_t)check->first_bad, "findings", findings, "not_covered", limits);
}

static void print_text(const struct record_check *check, const json_t *findings, const json_t *limits)
{
	size_t index;
	const json_t *row;
	json_array_foreach(findings, index, row)
		printf("%s\n", json_string_value(json_object_get(row, "finding")));
	if (check->findings > json_array_size(findings))
		printf("... and %" PRIu64 " more\n", check->findings - json_array_size(findings));
	if (check->findings)
		printf("NOT WHOLE from record %" PRId64 " on", check->first_bad);
	else
		printf("the record is whole");
	printf(": %" PRIu64 " records, the last is %" PRId64, check->records, check->last_sequence);
	if (check->cut)
		printf(", those up to %" PRIu64 " were removed by audit_keep", check->cut);
	printf("; %" PRIu64 " checkpoints fit\n", check->passed);
	json_array_foreach(limits, index, row)
		printf("not covered: %s\n", json_string_value(row));
}

/* ---- */

static int read_keys(const struct admin_options *options, struct checkpoint_keys *keys, struct record_check *check,
		     struct diag *diag)
{
	const char *path = options->key ? options->key : ADMIN_AUDIT_PUBLIC_KEY;
	if (!options->key && access(path, F_OK) < 0)
		return 0;
	check->keys = keys;
	return checkpoint_keys_read(path, keys, diag);
}

static int prepare(const struct admin_options *options, struct checkpoint_keys *keys, struct record_check *check,
		   struct record_store **out_store, struct diag *diag)
{
	int result = read_keys(options, keys, check, diag);
	if (result == 0 && options->checkpoints)
		result = checkpoints_read(check->checkpoints, options->checkpoints, diag);
	return result < 0 ? result : record_store_open(admin_store(options), out_store, diag);
}

static int check_given(const struct admin_options *options, const struct record_check *check, struct diag *diag)
{
	for (size_t i = 0; options->checkpoints && i < check->checkpoints->count; i++)
		if (check->checkpoints->list[i].is_from_elsewhere)
			return 0;
	return options->checkpoints ? diag_set(diag, ERR_BAD_INPUT, "%s holds no checkpoint of the given key", options->checkpoints)
				    : 0;
}

static int tell(const struct admin_options *options, const struct record_check *check, json_t *findings)
{
	OWN(own_json) json_t *limits = json_array();
	add_limits(limits, check, options->checkpoints);
	OWN(own_json) json_t *json = report(check, findings, limits);
	if (options->json)
		return table_print_json(json);
	print_text(check, findings, limits);
	return ADMIN_DONE;
}

int cmd_audit_verify(const struct admin_options *options)
{
	struct diag diag = {""};
	OWN(checkpoint_keys_fini) struct checkpoint_keys keys = {.count = 0};
	OWN(checkpoints_fini) struct checkpoints checkpoints = {.list = NULL};
	OWN(own_json) json_t *findings = json_array();
	OWN(own_record_store) struct record_store *store = NULL;
	OWN(record_check_fini) struct record_check check = {.checkpoints = &checkpoints, .on_finding = on_finding, .context = findings};
	if (prepare(options, &keys, &check, &store, &diag) < 0)
		return admin_say(ADMIN_UNCHECKED, "%s", diag.text);
	int result = record_check(store, &check, &diag);
	if (result == 0 && !check.findings)
		result = check_given(options, &check, &diag);
	if (result < 0)
		admin_say(ADMIN_UNCHECKED, "%s", diag.text);
	if (result < 0 && !check.findings)
		return ADMIN_UNCHECKED;
	int status = tell(options, &check, findings);
	return check.findings ? ADMIN_FAILED : status;
}

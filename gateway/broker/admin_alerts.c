/* admin_alerts.c: `alert list`, `alert test`, `alert spool`. */
#include <stdlib.h>
#include <string.h>

#include "admin_call.h"
#include "admin_json.h"
#include "alert_desk.h"
#include "alert_errand.h"
#include "sallyport/alert.h"
#include "sallyport/own.h"
#include "sallyport/str.h"

enum { PAGE_MAX = 500 };

/* ---- list ---- */

struct listing {
	struct store_operation operation;
	struct admin_call *call;
	json_t *counts; /* of a list: alert to numbers; of the spool: its rows */
	uint64_t after;
};

static json_t *words_of(struct view list)
{
	json_t *array = json_array();
	size_t position = 0;
	struct view word;
	while (alert_word_next(list, &position, &word))
		json_array_append_new(array, json_stringn((const char *)word.data, word.size));
	return array;
}

static json_t *text_of(struct view text)
{
	return json_stringn(text.size ? (const char *)text.data : "", text.size);
}

static json_t *alert_json(const struct alert *alert, const json_t *counts)
{
	char name[ALERT_NAME_MAX + 1] = "";
	(void)!view_to_string(alert->name, name, sizeof(name));
	json_t *json = json_pack("{s:o, s:o, s:o, s:o, s:o}", "alert", text_of(alert->name), "to",
				 alert->to.size ? text_of(alert->to) : json_string("(in its secret_file)"), "events",
				 words_of(alert->events), "at_most", text_of(alert->at_most), "quiet_hours", text_of(alert->quiet_hours));
	const json_t *count = json_object_get(counts, name);
	const char *const keys[] = {"waiting", "aside", "oldest", "trouble"};
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		json_t *value = json_object_get(count, keys[i]);
		json_object_set_new(json, keys[i], value ? json_incref(value) : i < 2 ? json_integer(0) : json_null());
	}
	return json;
}

static int take_counts(void *self, const struct store_row *row, struct diag *diag)
{
	struct listing *listing = self;
	(void)diag;
	const char *name = store_row_text(row, 0), *state = store_row_text(row, 1);
	json_t *count = json_object_get(listing->counts, name);
	if (!count) {
		count = json_object();
		json_object_set_new(listing->counts, name, count);
	}
	json_object_set_new(count, state, json_integer(store_row_number(row, 2)));
	if (strcmp(state, "waiting") == 0) {
		json_object_set_new(count, "oldest", admin_json_time((uint64_t)store_row_number(row, 3)));
		json_object_set_new(count, "trouble", *store_row_text(row, 4) ? json_string(store_row_text(row, 4)) : json_null());
	}
	return 0;
}

static int load_counts(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	return STORE_QUERY_ALL(db, diag, spool_counts, take_counts, operation->context);
}

static void on_counts(struct store_operation *operation, int result, const struct diag *diag)
{
	OWN_MEMORY struct listing *listing = operation->context;
	struct admin_call *call = listing->call;
	struct alert alert;
	size_t position = 0;
	json_t *array = json_array();
	while (result == 0 && alert_next(call->broker->room->conf.alert, &position, &alert))
		json_array_append_new(array, alert_json(&alert, listing->counts));
	json_decref(listing->counts);
	if (result < 0) {
		json_decref(array);
		admin_fail(call, 503, "%s", diag->text);
		return;
	}
	admin_reply(call, 200, json_pack("{s:o}", "alerts", array));
}

static struct listing *listing_new(struct admin_call *call, store_work work, store_done done)
{
	struct listing *listing = calloc(1, sizeof(*listing));
	if (!listing) {
		admin_fail(call, 503, "memory is out");
		return NULL;
	}
	listing->call = call;
	listing->operation = (struct store_operation){.work = work, .done = done, .context = listing};
	return listing;
}

void admin_alerts_list(struct admin_call *call)
{
	struct listing *listing = listing_new(call, load_counts, on_counts);
	if (!listing)
		return;
	listing->counts = json_object();
	store_submit(call->broker->store, &listing->operation);
}

/* ---- test ---- */

static void on_tested(void *context, int result, const struct diag *diag)
{
	struct admin_call *call = context;
	if (result == 0)
		admin_reply(call, 200, json_pack("{s:b}", "delivered", 1));
	else
		admin_fail(call, result == ERR_NOT_FOUND ? 404 : 502, "%s", diag->text);
}

void admin_alerts_test(struct admin_call *call)
{
	if (strcmp(call->segments[2], "test") != 0)
		admin_fail(call, 404, "an alert can be tested, not \"%s\"", call->segments[2]);
	else
		alert_errand_test(call->broker, call->segments[1], call->by_text, on_tested, call);
}

/* ---- spool ---- */

static int take_spooled(void *self, const struct store_row *row, struct diag *diag)
{
	struct listing *listing = self;
	(void)diag;
	json_t *json = json_pack("{s:I, s:s, s:s, s:o, s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:s, s:I}", "id",
				 (json_int_t)store_row_number(row, 0), "alert", store_row_text(row, 1), "event", store_row_text(row, 2),
				 "time", admin_json_time((uint64_t)store_row_number(row, 3)), "sequence",
				 (json_int_t)store_row_number(row, 4), "code", store_row_text(row, 5), "device", store_row_text(row, 6),
				 "user", store_row_text(row, 7), "address", store_row_text(row, 8), "detail", store_row_text(row, 9),
				 "state", store_row_text(row, 10), "attempts", (json_int_t)store_row_number(row, 11), "trouble",
				 store_row_text(row, 12), "repeats", (json_int_t)store_row_number(row, 13));
	return json_array_append_new(listing->counts, json) < 0 ? ERR_SYSTEM : 0;
}

static int load_spool(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	struct listing *listing = operation->context;
	return STORE_QUERY(db, diag, spool_page, take_spooled, listing, NUMBER(listing->after), NUMBER(PAGE_MAX));
}

static void on_spool(struct store_operation *operation, int result, const struct diag *diag)
{
	OWN_MEMORY struct listing *listing = operation->context;
	if (result == 0) {
		admin_reply(listing->call, 200, json_pack("{s:o}", "spool", listing->counts));
		return;
	}
	json_decref(listing->counts);
	admin_fail(listing->call, 503, "%s", diag->text);
}

void admin_spool_list(struct admin_call *call)
{
	struct listing *listing = listing_new(call, load_spool, on_spool);
	const char *after = admin_query(call, "after");
	if (!listing)
		return;
	if (after && str_to_u64(view_string(after), 0, INT64_MAX, &listing->after) < 0)
		listing->after = 0;
	listing->counts = json_array();
	store_submit(call->broker->store, &listing->operation);
}

struct spool_act {
	struct store_operation operation;
	struct admin_call *call;
	uint64_t id;
	bool drops;
	struct audit_entry entry;
};

static int act(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	struct spool_act *spool = operation->context;
	int result = spool->drops ? STORE_RUN(db, diag, spool_delete, NUMBER(spool->id))
				  : STORE_RUN(db, diag, spool_again, NUMBER(spool->id));
	if (result == 0 && store_changed(db) == 0)
		result = diag_set(diag, ERR_NOT_FOUND, spool->drops ? "there is no message %llu in the spool"
								     : "there is no message %llu that was set aside",
				  (unsigned long long)spool->id);
	return result < 0 ? result : audit_append(db, &spool->entry, diag);
}

static void on_acted(struct store_operation *operation, int result, const struct diag *diag)
{
	OWN_MEMORY struct spool_act *spool = operation->context;
	if (result < 0) {
		admin_fail(spool->call, admin_status_of(result), "%s", diag->text);
		return;
	}
	alert_desk_look(spool->call->broker);
	admin_reply(spool->call, 200, json_pack("{s:I}", "id", (json_int_t)spool->id));
}

void admin_spool_act(struct admin_call *call)
{
	struct spool_act *spool = calloc(1, sizeof(*spool));
	bool drops = strcmp(call->segments[2], "drop") == 0;
	if (!spool || str_to_u64(view_string(call->segments[1]), 1, INT64_MAX, &spool->id) < 0 ||
	    (!drops && strcmp(call->segments[2], "retry") != 0)) {
		free(spool);
		admin_fail(call, 404, "a message of the spool can be tried again (retry) or dropped, by its number");
		return;
	}
	spool->call = call;
	spool->drops = drops;
	audit_fill(&spool->entry, drops ? "spool_dropped" : "spool_retried", "message %llu by %s", (unsigned long long)spool->id,
		   call->by_text);
	spool->operation = (struct store_operation){.work = act, .done = on_acted, .context = spool};
	store_submit(call->broker->store, &spool->operation);
}

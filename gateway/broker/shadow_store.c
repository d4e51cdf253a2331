/* shadow_store.c: what a trial has found, in the store: new rows every few seconds, all of them at the start. */
#include <stdlib.h>
#include <string.h>

#include "broker.h"
#include "sallyport/clock.h"
#include "sallyport/log.h"
#include "sallyport/str.h"
#include "shadow.h"

enum { SAVE_EVERY_MS = 5000 };

/* A copy for the store's thread. */
struct shadow_write {
	struct store_operation operation;
	uint64_t began_at_ms, asked, different, not_kept;
	size_t count;
	struct shadow_row rows[];
};

/* ---- writing ---- */

static int put_row(struct store_db *db, const struct shadow_row *row, struct diag *diag)
{
	return STORE_RUN(db, diag, shadow_row_put, TEXT(row->key), TEXT(row->user), TEXT(row->device), TEXT(row->target),
			 NUMBER(row->allowed), TEXT(row->rule), TEXT(row->shadow_rule), TEXT(row->shadow_code), NUMBER(row->count),
			 NUMBER(row->first_ms), NUMBER(row->last_ms));
}

static int put(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	const struct shadow_write *write = operation->context;
	int result = STORE_RUN(db, diag, shadow_put, NUMBER(write->began_at_ms), NUMBER(write->asked), NUMBER(write->different),
			       NUMBER(write->not_kept));
	for (size_t i = 0; result == 0 && i < write->count; i++)
		result = put_row(db, &write->rows[i], diag);
	return result;
}

static int clear(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	(void)operation;
	int result = STORE_RUN(db, diag, shadow_clear);
	return result < 0 ? result : STORE_RUN(db, diag, shadow_row_clear);
}

static void on_written(struct store_operation *operation, int result, const struct diag *diag)
{
	if (result < 0)
		log_error("the report of the shadow policy is not in the store: %s", diag->text);
	free(operation->context);
}

static void submit(struct broker *broker, struct shadow_write *write, store_work work)
{
	write->operation = (struct store_operation){.work = work, .done = on_written, .context = write};
	store_submit(broker->store, &write->operation);
}

void shadow_store_forget(struct broker *broker)
{
	struct shadow_write *write = calloc(1, sizeof(*write));
	if (write)
		submit(broker, write, clear);
	else
		log_error("the former report of a shadow policy stays in the store: no memory");
}

void shadow_save(struct broker *broker, enum shadow_when when)
{
	struct shadow *shadow = broker->shadow;
	uint64_t now_ms = clock_monotonic_ms();
	if (!shadow || !shadow->policy || shadow->asked == shadow->saved_asked ||
	    (when == SHADOW_NOW_AND_THEN && now_ms - shadow->saved_at_ms < SAVE_EVERY_MS))
		return;
	size_t count = 0;
	for (size_t i = 0; i < shadow->row_count; i++)
		count += shadow->rows[i]->is_new;
	struct shadow_write *write = calloc(1, sizeof(*write) + count * sizeof(write->rows[0]));
	if (!write)
		return;
	write->began_at_ms = shadow->began_at_ms;
	write->asked = shadow->saved_asked = shadow->asked;
	write->different = shadow->different;
	write->not_kept = shadow->not_kept;
	for (size_t i = 0; i < shadow->row_count; i++)
		if (shadow->rows[i]->is_new) {
			shadow->rows[i]->is_new = false;
			write->rows[write->count++] = *shadow->rows[i];
		}
	shadow->saved_at_ms = now_ms;
	submit(broker, write, put);
}

/* ---- loading ---- */

static int take_trial(void *self, const struct store_row *row, struct diag *diag)
{
	struct shadow *shadow = self;
	(void)diag;
	shadow->began_at_ms = (uint64_t)store_row_number(row, 0);
	shadow->asked = (uint64_t)store_row_number(row, 1);
	shadow->different = (uint64_t)store_row_number(row, 2);
	shadow->not_kept = (uint64_t)store_row_number(row, 3);
	return 0;
}

static int take_row(void *self, const struct store_row *from, struct diag *diag)
{
	struct shadow_row *row = shadow_row_of(self, store_row_text(from, 0));
	if (!row)
		return diag_system(diag, "memory");
	str_copy(row->user, sizeof(row->user), store_row_text(from, 1));
	str_copy(row->device, sizeof(row->device), store_row_text(from, 2));
	str_copy(row->target, sizeof(row->target), store_row_text(from, 3));
	row->allowed = store_row_number(from, 4) != 0;
	str_copy(row->rule, sizeof(row->rule), store_row_text(from, 5));
	str_copy(row->shadow_rule, sizeof(row->shadow_rule), store_row_text(from, 6));
	str_copy(row->shadow_code, sizeof(row->shadow_code), store_row_text(from, 7));
	row->count = (uint64_t)store_row_number(from, 8);
	row->first_ms = (uint64_t)store_row_number(from, 9);
	row->last_ms = (uint64_t)store_row_number(from, 10);
	return 0;
}

static int load(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	int result = STORE_QUERY_ALL(db, diag, shadow_all, take_trial, operation->context);
	return result < 0 ? result : STORE_QUERY_ALL(db, diag, shadow_row_all, take_row, operation->context);
}

int shadow_load(struct broker *broker, struct diag *diag)
{
	struct shadow *shadow = calloc(1, sizeof(*shadow));
	if (!shadow || map_init(&shadow->keys) < 0) {
		free(shadow);
		return diag_system(diag, "memory");
	}
	struct store_operation operation = {.work = load, .context = shadow};
	broker->shadow = shadow;
	int result = store_now(broker->store, &operation, diag);
	if (!shadow->began_at_ms)
		shadow_stop(broker);
	return result;
}

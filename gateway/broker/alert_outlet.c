/* alert_outlet.c: what waits in the spool for one alert section is told, in order, until it has arrived.
 *
 *     due ── load the oldest rows ── courier: one message ── taken: delete them, look again
 *                                                         ├─ refused for what it says: halve; a single one is set aside
 *                                                         └─ anything else: wait 10 s, 20 s, ... 15 min, the same again
 *
 * All that waits goes into one message (at most BROKER_COURIER_ITEMS_MAX): so at_most only decides how often there is one.
 * Urgent rows go out although it is quiet or at_most is used up, but not oftener than URGENT_PAUSE_MS then.
 */
#include "alert_outlet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker.h"
#include "sallyport/clock.h"
#include "sallyport/log.h"
#include "sallyport/str.h"

enum {
	PAUSE_LEAST_MS = 10000,
	PAUSE_MOST_MS = 15 * 60 * 1000,
	HELD_MS = 5000,
	URGENT_PAUSE_MS = 60000,
};

/* ---- how often ---- */

static void fill(struct alert_outlet *outlet, uint64_t now_ms)
{
	uint64_t passed = now_ms - outlet->filled_at_ms;
	outlet->filled_at_ms = now_ms;
	outlet->tokens_ms = passed >= outlet->rate_period_ms - outlet->tokens_ms ? outlet->rate_period_ms : outlet->tokens_ms + passed;
}

static uint64_t price_ms(const struct alert_outlet *outlet)
{
	return outlet->rate_count ? outlet->rate_period_ms / outlet->rate_count : 0;
}

static bool is_quiet(const struct alert_outlet *outlet)
{
	time_t now = (time_t)(clock_wall_ms() / 1000);
	struct tm local = {0};
	localtime_r(&now, &local);
	return alert_hours_hold(view_string(outlet->quiet_hours), (unsigned)(local.tm_hour * 60 + local.tm_min));
}

static bool must_hold_back(struct alert_outlet *outlet, uint64_t now_ms)
{
	fill(outlet, now_ms);
	return is_quiet(outlet) || (outlet->rate_count && outlet->tokens_ms < price_ms(outlet));
}

/* ---- after a message ---- */

static void rest(struct alert_outlet *outlet)
{
	outlet->busy = false;
	if (!outlet->gone)
		return;
	LIST_REMOVE(outlet, all);
	free(outlet);
}

static uint64_t pause_ms(const struct alert_outlet *outlet)
{
	uint64_t pause = (uint64_t)PAUSE_LEAST_MS << (outlet->failures < 10 ? outlet->failures : 10);
	return pause < PAUSE_MOST_MS ? pause : PAUSE_MOST_MS;
}

static void wait_longer(struct alert_outlet *outlet)
{
	outlet->look_at_ms = clock_monotonic_ms() + pause_ms(outlet);
	outlet->failures++;
}

static int forget_rows(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	const struct alert_outlet *outlet = operation->context;
	int result = 0;
	/* One that has grown since goes out once more, with its new number. */
	for (size_t i = 0; result == 0 && i < outlet->count; i++)
		result = STORE_RUN(db, diag, spool_sent, NUMBER(outlet->items[i].id), NUMBER(outlet->repeats[i]));
	return result;
}

/* The row that stands first says what is wrong. */
static int note_trouble(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	const struct alert_outlet *outlet = operation->context;
	if (outlet->aside)
		return STORE_RUN(db, diag, spool_aside, TEXT(outlet->trouble), NUMBER(outlet->items[0].id));
	return STORE_RUN(db, diag, spool_failed, TEXT(outlet->trouble), NUMBER(outlet->items[0].id));
}

static void on_written(struct store_operation *operation, int result, const struct diag *diag)
{
	struct alert_outlet *outlet = operation->context;
	/* It will be sent once more: better twice than never. */
	if (result < 0) {
		log_error("the spool cannot be written: %s", diag->text);
		wait_longer(outlet);
	}
	rest(outlet);
}

static void write_down(struct alert_outlet *outlet, store_work work)
{
	outlet->operation = (struct store_operation){.work = work, .done = on_written, .context = outlet};
	store_submit(outlet->broker->store, &outlet->operation);
}

static void pay(struct alert_outlet *outlet)
{
	uint64_t price = price_ms(outlet);
	outlet->tokens_ms = outlet->tokens_ms > price ? outlet->tokens_ms - price : 0;
	if (outlet->urgent_only)
		outlet->urgent_at_ms = clock_monotonic_ms() + URGENT_PAUSE_MS;
}

static void on_taken(struct alert_outlet *outlet)
{
	if (outlet->failures)
		log_notice("alert \"%s\": it is delivered again", outlet->name);
	outlet->failures = 0;
	outlet->limit = outlet->limit * 2 < BROKER_COURIER_ITEMS_MAX ? outlet->limit * 2 : BROKER_COURIER_ITEMS_MAX;
	pay(outlet);
	write_down(outlet, forget_rows);
}

static void on_refused(struct alert_outlet *outlet)
{
	if (outlet->count > 1) {
		outlet->limit = (unsigned)outlet->count / 2;
		rest(outlet);
		return;
	}
	log_error("alert \"%s\": message %llu is refused and set aside: %s", outlet->name, (unsigned long long)outlet->items[0].id,
		  outlet->trouble);
	outlet->aside = true;
	write_down(outlet, note_trouble);
}

static void on_delivered(struct courier_delivery *delivery, int result, const struct diag *diag)
{
	struct alert_outlet *outlet = delivery->context;
	outlet->aside = false;
	str_copy(outlet->trouble, sizeof(outlet->trouble), diag ? diag->text : "");
	str_make_printable(outlet->trouble);
	if (result == 0) {
		on_taken(outlet);
	} else if (result == ERR_DENIED) {
		on_refused(outlet);
	} else {
		if (outlet->failures == 0)
			log_warning("alert \"%s\" is not delivered, and tried again: %s", outlet->name, outlet->trouble);
		wait_longer(outlet);
		write_down(outlet, note_trouble);
	}
}

/* ---- a message ---- */

static int take_item(void *self, const struct store_row *row, struct diag *diag)
{
	struct alert_outlet *outlet = self;
	int64_t repeats = outlet->repeats[outlet->count] = store_row_number(row, 10);
	struct courier_item *item = &outlet->items[outlet->count++];
	(void)diag;
	*item = (struct courier_item){.id = (uint64_t)store_row_number(row, 0), .at_ms = (uint64_t)store_row_number(row, 3),
				      .sequence = (uint64_t)store_row_number(row, 4)};
	str_copy(item->event, sizeof(item->event), store_row_text(row, 1));
	str_copy(item->code, sizeof(item->code), store_row_text(row, 5));
	str_copy(item->device, sizeof(item->device), store_row_text(row, 6));
	str_copy(item->user, sizeof(item->user), store_row_text(row, 7));
	str_copy(item->address, sizeof(item->address), store_row_text(row, 8));
	if (repeats)
		snprintf(item->detail, sizeof(item->detail), "[and %lld more like it] %s", (long long)repeats, store_row_text(row, 9));
	else
		str_copy(item->detail, sizeof(item->detail), store_row_text(row, 9));
	str_make_printable(item->detail);
	return 0;
}

static int take_count(void *self, const struct store_row *row, struct diag *diag)
{
	(void)diag;
	*(int64_t *)self = store_row_number(row, 0);
	return 0;
}

static int load(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	struct alert_outlet *outlet = operation->context;
	outlet->count = 0;
	int result = STORE_QUERY(db, diag, spool_next, take_item, outlet, TEXT(outlet->name), NUMBER(outlet->urgent_only),
				 NUMBER(outlet->limit));
	return result < 0 || outlet->count < outlet->limit
		       ? result
		       : STORE_QUERY(db, diag, spool_waiting, take_count, &outlet->waiting, TEXT(outlet->name),
				     NUMBER(outlet->urgent_only));
}

static void on_loaded(struct store_operation *operation, int result, const struct diag *diag)
{
	struct alert_outlet *outlet = operation->context;
	(void)diag;
	if (result < 0) {
		wait_longer(outlet);
		rest(outlet);
		return;
	}
	if (outlet->count == 0) {
		/* What is held back now is looked at again; new rows at once. */
		outlet->pending = outlet->urgent_only;
		outlet->look_at_ms = clock_monotonic_ms() + HELD_MS;
		rest(outlet);
		return;
	}
	bool is_full = outlet->count == outlet->limit && outlet->waiting > (int64_t)outlet->count;
	outlet->delivery = (struct courier_delivery){
		.alert = outlet->name, .items = outlet->items, .count = outlet->count,
		.more = is_full ? (unsigned)(outlet->waiting - (int64_t)outlet->count) : 0, .done = on_delivered, .context = outlet};
	courier_deliver(outlet->broker, &outlet->delivery);
}

static void consider(struct alert_outlet *outlet, uint64_t now_ms)
{
	if (outlet->busy || outlet->gone || !outlet->pending || now_ms < outlet->look_at_ms || !courier_is_connected(outlet->broker))
		return;
	outlet->urgent_only = must_hold_back(outlet, now_ms);
	if (outlet->urgent_only && now_ms < outlet->urgent_at_ms)
		return;
	outlet->busy = true;
	outlet->waiting = 0;
	outlet->operation = (struct store_operation){.work = load, .done = on_loaded, .context = outlet, .may_wait = true};
	store_submit(outlet->broker->store, &outlet->operation);
}

void alert_outlets_send(struct alert_outlets *outlets, uint64_t now_ms)
{
	struct alert_outlet *outlet, *next;
	for (outlet = LIST_FIRST(outlets); outlet; outlet = next) {
		next = LIST_NEXT(outlet, all);
		consider(outlet, now_ms);
	}
}

void alert_outlets_wake(struct alert_outlets *outlets)
{
	struct alert_outlet *outlet;
	LIST_FOREACH(outlet, outlets, all) {
		outlet->pending = true;
		if (outlet->failures == 0)
			outlet->look_at_ms = 0;
	}
}

/* ---- settings ---- */

static struct alert_outlet *find(struct alert_outlets *outlets, const char *name)
{
	struct alert_outlet *outlet;
	LIST_FOREACH(outlet, outlets, all)
		if (strcmp(outlet->name, name) == 0)
			return outlet;
	return NULL;
}

static struct alert_outlet *need(struct alert_outlets *outlets, struct broker *broker, const char *name)
{
	struct alert_outlet *outlet = find(outlets, name);
	if (outlet)
		return outlet;
	outlet = calloc(1, sizeof(*outlet));
	if (!outlet)
		return NULL;
	outlet->broker = broker;
	outlet->limit = BROKER_COURIER_ITEMS_MAX;
	outlet->filled_at_ms = clock_monotonic_ms();
	str_copy(outlet->name, sizeof(outlet->name), name);
	LIST_INSERT_HEAD(outlets, outlet, all);
	return outlet;
}

static void adjust(struct alert_outlets *outlets, struct broker *broker, const struct alert *alert)
{
	char name[ALERT_NAME_MAX + 1];
	if (view_to_string(alert->name, name, sizeof(name)) < 0)
		return;
	struct alert_outlet *outlet = need(outlets, broker, name);
	if (!outlet) {
		log_error("alert \"%s\": no memory; it is sent after the next reload", name);
		return;
	}
	outlet->gone = false;
	outlet->pending = true;
	outlet->failures = 0;
	outlet->look_at_ms = 0;
	outlet->wants_store_trouble = alert_wants(alert, ALERT_STORE_TROUBLE);
	if (view_to_string(alert->quiet_hours, outlet->quiet_hours, sizeof(outlet->quiet_hours)) < 0 ||
	    alert_rate(alert, &outlet->rate_count, &outlet->rate_period_ms) < 0)
		outlet->quiet_hours[0] = 0;
	/* Full: what waits goes out now. */
	outlet->tokens_ms = outlet->rate_period_ms;
}

void alert_outlets_adjust(struct alert_outlets *outlets, struct broker *broker)
{
	struct alert_outlet *outlet, *next;
	struct alert alert;
	size_t position = 0;
	LIST_FOREACH(outlet, outlets, all)
		outlet->gone = true;
	while (alert_next(broker->room->conf.alert, &position, &alert))
		adjust(outlets, broker, &alert);
	for (outlet = LIST_FIRST(outlets); outlet; outlet = next) {
		next = LIST_NEXT(outlet, all);
		if (outlet->gone && !outlet->busy)
			rest(outlet);
	}
}

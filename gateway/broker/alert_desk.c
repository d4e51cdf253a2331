/* alert_desk.c: what waits in the spool is told, in order, until it has arrived.
 *
 * The spool is filled by alert_note.c in the commit of each row. For every alert section there is an outlet:
 *
 *     due ── load the oldest rows ── courier: one message ── taken: delete them, look again
 *                                                         ├─ refused for what it says: halve; a single one is set aside
 *                                                         └─ anything else: wait 10 s, 20 s, ... 15 min, the same again
 *
 * All that waits goes into one message (at most BROKER_COURIER_ITEMS_MAX): so at_most only decides how often there is one.
 * Urgent rows go out although it is quiet or at_most is used up, but not oftener than URGENT_PAUSE_MS then.
 */
#include "alert_desk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>
#include <uv.h>

#include "alert_note.h"
#include "broker.h"
#include "courier_edge.h"
#include "sallyport/alert.h"
#include "sallyport/clock.h"
#include "sallyport/edge/broker_courier.h"
#include "sallyport/log.h"
#include "sallyport/own.h"
#include "sallyport/str.h"

enum {
	LOOK_MS = 250,
	HEALTH_MS = 1000,
	PAUSE_LEAST_MS = 10000,
	PAUSE_MOST_MS = 15 * 60 * 1000,
	HELD_MS = 5000,
	URGENT_PAUSE_MS = 60000,
};
#define PLACES_KEPT_MS (400ULL * 24 * 3600 * 1000)

struct outlet {
	LIST_ENTRY(outlet) all;
	struct broker *broker;
	char name[ALERT_NAME_MAX + 1];
	char quiet_hours[16];
	bool wants_store_trouble;
	uint64_t rate_count, rate_period_ms; /* at_most; 0: no limit */
	uint64_t tokens_ms;                  /* filled up to rate_period_ms; a message costs a rate_count-th of it */
	uint64_t filled_at_ms;
	bool pending; /* there may be something in the spool */
	bool busy;    /* being loaded, sent or written down */
	bool gone;    /* its section is; freed when it is not busy */
	bool urgent_only;
	unsigned limit;    /* rows of the next message */
	unsigned failures; /* in a row */
	uint64_t look_at_ms, urgent_at_ms;
	/* The message under way. */
	struct store_operation operation;
	struct courier_delivery delivery;
	struct courier_item items[BROKER_COURIER_ITEMS_MAX];
	int64_t repeats[BROKER_COURIER_ITEMS_MAX];
	size_t count;
	int64_t waiting;
	bool aside;
	char trouble[513];
};

struct alert_desk {
	LIST_HEAD(, outlet) outlets;
	uv_timer_t timer;
	uint64_t health_at_ms;
	bool store_is_bad;
	uint64_t bad_since_ms;
};

/* ---- how often ---- */

static void fill(struct outlet *outlet, uint64_t now_ms)
{
	uint64_t passed = now_ms - outlet->filled_at_ms;
	outlet->filled_at_ms = now_ms;
	outlet->tokens_ms = passed >= outlet->rate_period_ms - outlet->tokens_ms ? outlet->rate_period_ms : outlet->tokens_ms + passed;
}

static uint64_t price_ms(const struct outlet *outlet)
{
	return outlet->rate_count ? outlet->rate_period_ms / outlet->rate_count : 0;
}

static bool is_quiet(const struct outlet *outlet)
{
	time_t now = (time_t)(clock_wall_ms() / 1000);
	struct tm local = {0};
	localtime_r(&now, &local);
	return alert_hours_hold(view_string(outlet->quiet_hours), (unsigned)(local.tm_hour * 60 + local.tm_min));
}

static bool must_hold_back(struct outlet *outlet, uint64_t now_ms)
{
	fill(outlet, now_ms);
	return is_quiet(outlet) || (outlet->rate_count && outlet->tokens_ms < price_ms(outlet));
}

/* ---- after a message ---- */

static void rest(struct outlet *outlet)
{
	outlet->busy = false;
	if (!outlet->gone)
		return;
	LIST_REMOVE(outlet, all);
	free(outlet);
}

static uint64_t pause_ms(const struct outlet *outlet)
{
	uint64_t pause = (uint64_t)PAUSE_LEAST_MS << (outlet->failures < 10 ? outlet->failures : 10);
	return pause < PAUSE_MOST_MS ? pause : PAUSE_MOST_MS;
}

static void wait_longer(struct outlet *outlet)
{
	outlet->look_at_ms = clock_monotonic_ms() + pause_ms(outlet);
	outlet->failures++;
}

static int forget_rows(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	const struct outlet *outlet = operation->context;
	int result = 0;
	/* One that has grown since goes out once more, with its new number. */
	for (size_t i = 0; result == 0 && i < outlet->count; i++)
		result = STORE_RUN(db, diag, spool_sent, NUMBER(outlet->items[i].id), NUMBER(outlet->repeats[i]));
	return result;
}

/* The row that stands first says what is wrong. */
static int note_trouble(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	const struct outlet *outlet = operation->context;
	if (outlet->aside)
		return STORE_RUN(db, diag, spool_aside, TEXT(outlet->trouble), NUMBER(outlet->items[0].id));
	return STORE_RUN(db, diag, spool_failed, TEXT(outlet->trouble), NUMBER(outlet->items[0].id));
}

static void on_written(struct store_operation *operation, int result, const struct diag *diag)
{
	struct outlet *outlet = operation->context;
	/* It will be sent once more: better twice than never. */
	if (result < 0) {
		log_error("the spool cannot be written: %s", diag->text);
		wait_longer(outlet);
	}
	rest(outlet);
}

static void write_down(struct outlet *outlet, store_work work)
{
	outlet->operation = (struct store_operation){.work = work, .done = on_written, .context = outlet};
	store_submit(outlet->broker->store, &outlet->operation);
}

static void pay(struct outlet *outlet)
{
	uint64_t price = price_ms(outlet);
	outlet->tokens_ms = outlet->tokens_ms > price ? outlet->tokens_ms - price : 0;
	if (outlet->urgent_only)
		outlet->urgent_at_ms = clock_monotonic_ms() + URGENT_PAUSE_MS;
}

static void on_taken(struct outlet *outlet)
{
	if (outlet->failures)
		log_notice("alert \"%s\": it is delivered again", outlet->name);
	outlet->failures = 0;
	outlet->limit = outlet->limit * 2 < BROKER_COURIER_ITEMS_MAX ? outlet->limit * 2 : BROKER_COURIER_ITEMS_MAX;
	pay(outlet);
	write_down(outlet, forget_rows);
}

static void on_refused(struct outlet *outlet)
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
	struct outlet *outlet = delivery->context;
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
	struct outlet *outlet = self;
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
	struct outlet *outlet = operation->context;
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
	struct outlet *outlet = operation->context;
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

static void consider(struct outlet *outlet, uint64_t now_ms)
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

static void look_anew(struct alert_desk *desk)
{
	struct outlet *outlet;
	LIST_FOREACH(outlet, &desk->outlets, all) {
		outlet->pending = true;
		if (outlet->failures == 0)
			outlet->look_at_ms = 0;
	}
}

void alert_desk_look(struct broker *broker)
{
	look_anew(broker->alerts);
}

const char *alert_desk_failing(const struct broker *broker, unsigned *position)
{
	const struct outlet *outlet;
	unsigned place = 0;
	LIST_FOREACH(outlet, &broker->alerts->outlets, all) {
		if (place++ < *position || outlet->failures == 0 || outlet->gone)
			continue;
		*position = place;
		return outlet->name;
	}
	return NULL;
}

/* ---- messages of their own ---- */

/* For what cannot go through the spool. */
struct errand {
	struct courier_delivery delivery;
	struct courier_item item;
	char name[ALERT_NAME_MAX + 1];
	alert_test_done done;
	void *context;
};

static void on_errand(struct courier_delivery *delivery, int result, const struct diag *diag)
{
	OWN_MEMORY struct errand *errand = delivery->context;
	if (errand->done)
		errand->done(errand->context, result, diag);
}

static struct errand *errand_new(const char *alert, const char *event, const char *detail)
{
	struct errand *errand = calloc(1, sizeof(*errand));
	if (!errand)
		return NULL;
	str_copy(errand->name, sizeof(errand->name), alert);
	errand->item.at_ms = clock_wall_ms();
	str_copy(errand->item.event, sizeof(errand->item.event), event);
	str_copy(errand->item.detail, sizeof(errand->item.detail), detail);
	errand->delivery = (struct courier_delivery){.alert = errand->name, .items = &errand->item, .count = 1, .done = on_errand,
						     .context = errand};
	return errand;
}

void alert_desk_test(struct broker *broker, const char *alert, const char *by, alert_test_done done, void *context)
{
	struct alert found;
	struct diag diag;
	char detail[512];
	if (!alert_find(broker->room->conf.alert, view_string(alert), &found)) {
		int result = diag_set(&diag, ERR_NOT_FOUND, "there is no alert \"%s\" in the configuration", alert);
		done(context, result, &diag);
		return;
	}
	snprintf(detail, sizeof(detail), "a test, sent by %s", by);
	str_make_printable(detail);
	struct errand *errand = errand_new(alert, "test", detail);
	if (!errand) {
		int result = diag_system(&diag, "memory");
		done(context, result, &diag);
		return;
	}
	errand->done = done;
	errand->context = context;
	courier_deliver(broker, &errand->delivery);
}

/* ---- the store ---- */

/* What cannot be recorded cannot be spooled: it is told at once, once, as well as that goes. */
static void tell_of_bad_store(struct alert_desk *desk, struct broker *broker, const char *trouble)
{
	const struct outlet *outlet;
	LIST_FOREACH(outlet, &desk->outlets, all) {
		struct errand *errand = outlet->wants_store_trouble && !outlet->gone
						? errand_new(outlet->name, alert_events[ALERT_STORE_TROUBLE].name, trouble)
						: NULL;
		if (errand)
			courier_deliver(broker, &errand->delivery);
	}
}

static void record_good_store(struct alert_desk *desk, struct broker *broker)
{
	struct audit_entry entry = {.code = "store_trouble"};
	char since[32];
	clock_format(desk->bad_since_ms, since, sizeof(since));
	audit_fill(&entry, "alarm", "the record can be written again; it could not since %s", since);
	audit_record(broker, &entry, NULL, NULL);
}

static void look_at_store(struct alert_desk *desk, struct broker *broker)
{
	struct store_health health;
	store_health(broker->store, &health);
	if (health.good == !desk->store_is_bad)
		return;
	desk->store_is_bad = !health.good;
	if (health.good) {
		record_good_store(desk, broker);
		return;
	}
	char trouble[320];
	desk->bad_since_ms = clock_wall_ms();
	snprintf(trouble, sizeof(trouble), "the record cannot be written, so nobody is let in: %s", health.trouble);
	str_make_printable(trouble);
	log_error("%s", trouble);
	tell_of_bad_store(desk, broker, trouble);
}

static void on_timer(uv_timer_t *timer)
{
	struct broker *broker = timer->data;
	struct alert_desk *desk = broker->alerts;
	struct outlet *outlet, *next;
	uint64_t now_ms = clock_monotonic_ms();
	if (alert_noted())
		look_anew(desk);
	if (now_ms >= desk->health_at_ms) {
		desk->health_at_ms = now_ms + HEALTH_MS;
		look_at_store(desk, broker);
	}
	for (outlet = LIST_FIRST(&desk->outlets); outlet; outlet = next) {
		next = LIST_NEXT(outlet, all);
		consider(outlet, now_ms);
	}
}

/* ---- settings ---- */

static struct outlet *find_outlet(struct alert_desk *desk, const char *name)
{
	struct outlet *outlet;
	LIST_FOREACH(outlet, &desk->outlets, all)
		if (strcmp(outlet->name, name) == 0)
			return outlet;
	return NULL;
}

static struct outlet *need_outlet(struct broker *broker, const char *name)
{
	struct outlet *outlet = find_outlet(broker->alerts, name);
	if (outlet)
		return outlet;
	outlet = calloc(1, sizeof(*outlet));
	if (!outlet)
		return NULL;
	outlet->broker = broker;
	outlet->limit = BROKER_COURIER_ITEMS_MAX;
	outlet->filled_at_ms = clock_monotonic_ms();
	str_copy(outlet->name, sizeof(outlet->name), name);
	LIST_INSERT_HEAD(&broker->alerts->outlets, outlet, all);
	return outlet;
}

static void adjust(struct broker *broker, const struct alert *alert)
{
	char name[ALERT_NAME_MAX + 1];
	if (view_to_string(alert->name, name, sizeof(name)) < 0)
		return;
	struct outlet *outlet = need_outlet(broker, name);
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

static void adjust_all(struct broker *broker)
{
	struct outlet *outlet, *next;
	struct alert alert;
	size_t position = 0;
	LIST_FOREACH(outlet, &broker->alerts->outlets, all)
		outlet->gone = true;
	while (alert_next(broker->room->conf.alert, &position, &alert))
		adjust(broker, &alert);
	for (outlet = LIST_FIRST(&broker->alerts->outlets); outlet; outlet = next) {
		next = LIST_NEXT(outlet, all);
		if (outlet->gone && !outlet->busy)
			rest(outlet);
	}
}

struct planning {
	struct store_operation operation;
	struct alert_plan plan;
	char alerts[ALERT_BYTES_MAX + 1];
};

static int put_plan(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	struct planning *planning = operation->context;
	int result = STORE_RUN(db, diag, login_place_old, NUMBER(clock_wall_ms() - PLACES_KEPT_MS));
	return result < 0 ? result : alert_note_plan(&planning->plan, diag);
}

static void fill_plan(const struct broker *broker, struct planning *planning)
{
	const struct conf *conf = &broker->room->conf;
	str_copy(planning->alerts, sizeof(planning->alerts), conf->alert);
	planning->plan = (struct alert_plan){.alerts = planning->alerts, .refusals = conf->alert_refusals,
					     .refusals_ms = conf->alert_refusals_time_ms};
	planning->operation = (struct store_operation){.work = put_plan, .context = planning};
}

int alert_desk_plan(struct broker *broker, struct diag *diag)
{
	OWN_MEMORY struct planning *planning = calloc(1, sizeof(*planning));
	if (!planning)
		return diag_system(diag, "memory");
	fill_plan(broker, planning);
	return store_now(broker->store, &planning->operation, diag);
}

static void on_planned(struct store_operation *operation, int result, const struct diag *diag)
{
	OWN_MEMORY struct planning *planning = operation->context;
	if (result < 0)
		log_error("the alerts of the new settings are not in force before the next reload: %s", diag->text);
}

void alert_desk_reload(struct broker *broker)
{
	struct planning *planning = calloc(1, sizeof(*planning));
	if (!planning) {
		log_error("the alerts of the new settings are not in force before the next reload: no memory");
		return;
	}
	fill_plan(broker, planning);
	planning->operation.done = on_planned;
	store_submit(broker->store, &planning->operation);
	adjust_all(broker);
}

int alert_desk_new(struct broker *broker, struct diag *diag)
{
	struct alert_desk *desk = broker->alerts = calloc(1, sizeof(*desk));
	if (!desk || uv_timer_init(broker->loop, &desk->timer) < 0)
		return diag_system(diag, "memory");
	LIST_INIT(&desk->outlets);
	desk->timer.data = broker;
	adjust_all(broker);
	return uv_timer_start(&desk->timer, on_timer, LOOK_MS, LOOK_MS) < 0 ? diag_system(diag, "a timer cannot be started") : 0;
}

/* ---- rooms ---- */

void alert_desk_room_restarted(struct broker *broker, const char *room, const char *cause)
{
	struct audit_entry entry = {.code = ""};
	audit_fill(&entry, "room_restarted", "the %s ended (%s) and was started again", room, cause);
	audit_record(broker, &entry, NULL, NULL);
}

/* alert_desk.c: who is told of what, by the settings in force; and the store's trouble, which cannot be put into the spool.
 *
 * The spool is filled by alert_note.c in the commit of each row. For every alert section there is an outlet, which sends
 * what waits there (alert_outlet.c); this is the timer over all of them.
 */
#include "alert_desk.h"

#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include "alert_errand.h"
#include "alert_note.h"
#include "alert_outlet.h"
#include "broker.h"
#include "refusal_watch.h"
#include "sallyport/alert.h"
#include "sallyport/clock.h"
#include "sallyport/log.h"
#include "sallyport/own.h"
#include "sallyport/str.h"

enum { LOOK_MS = 250, HEALTH_MS = 1000, TOLD_PAUSE_MS = 60000 };
#define PLACES_KEPT_MS (400ULL * 24 * 3600 * 1000)

struct alert_desk {
	struct alert_outlets outlets;
	uv_timer_t timer;
	uint64_t health_at_ms;
	/* Of the store: what was seen of its troubles, and what was said. */
	uint64_t troubles, tried_after, bad_since_ms, told_at_ms;
	bool owes_word, is_trying;
	struct store_operation ending; /* of a while of many refusals */
	bool is_ending;
};

void alert_desk_look(struct broker *broker)
{
	alert_outlets_wake(&broker->alerts->outlets);
}

const char *alert_desk_failing(const struct broker *broker, unsigned *position)
{
	const struct alert_outlet *outlet;
	unsigned place = 0;
	LIST_FOREACH(outlet, &broker->alerts->outlets, all) {
		if (place++ < *position || outlet->failures == 0 || outlet->gone)
			continue;
		*position = place;
		return outlet->name;
	}
	return NULL;
}

/* ---- the store ---- */

/* What cannot be recorded cannot be spooled: it is told at once, once, as well as that goes. */
static void tell_of_bad_store(struct alert_desk *desk, struct broker *broker, const char *trouble)
{
	const struct alert_outlet *outlet;
	LIST_FOREACH(outlet, &desk->outlets, all)
		if (outlet->wants_store_trouble && !outlet->gone)
			alert_errand_tell(broker, outlet->name, alert_events[ALERT_STORE_TROUBLE].name, trouble);
}

static void on_good_recorded(void *context, int result, const struct diag *diag)
{
	struct alert_desk *desk = context;
	(void)diag;
	desk->is_trying = false;
	/* It may have been in trouble again since. */
	if (result == 0 && desk->tried_after == desk->troubles)
		desk->owes_word = false;
}

/* The row that says so is the attempt: nobody else may write for hours. */
static void try_record(struct alert_desk *desk, struct broker *broker, const struct store_health *health)
{
	struct audit_entry entry = {.code = "store_trouble"};
	char since[32];
	if (desk->is_trying)
		return;
	desk->is_trying = true;
	desk->tried_after = desk->troubles;
	clock_format(desk->bad_since_ms, since, sizeof(since));
	audit_fill(&entry, "alarm", "the record can be written again; it could not since %s: %s", since, health->first_trouble);
	audit_record(broker, &entry, on_good_recorded, desk);
}

static void tell_at_once(struct alert_desk *desk, struct broker *broker, const struct store_health *health, uint64_t now_ms)
{
	char trouble[320];
	snprintf(trouble, sizeof(trouble), "the record cannot be written, so nobody is let in: %s", health->trouble);
	str_make_printable(trouble);
	log_error("%s", trouble);
	tell_of_bad_store(desk, broker, trouble);
	desk->told_at_ms = now_ms;
}

/* One that is over before anybody has looked is told by its row alone. */
static void look_at_store(struct alert_desk *desk, struct broker *broker, uint64_t now_ms)
{
	struct store_health health;
	store_health(broker->store, &health);
	bool is_news = health.troubles != desk->troubles;
	desk->troubles = health.troubles;
	if (is_news && !desk->owes_word)
		desk->bad_since_ms = health.bad_since_ms;
	desk->owes_word |= is_news;
	/* A disk that is nearly full takes a row now and then. */
	if (is_news && !health.good && (!desk->told_at_ms || now_ms - desk->told_at_ms >= TOLD_PAUSE_MS))
		tell_at_once(desk, broker, &health, now_ms);
	if (desk->owes_word)
		try_record(desk, broker, &health);
}

/* ---- many refusals ---- */

static int end_refusals(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	(void)operation;
	return refusal_watch_end(db, diag);
}

static void on_refusals_ended(struct store_operation *operation, int result, const struct diag *diag)
{
	struct alert_desk *desk = operation->context;
	(void)result, (void)diag;
	desk->is_ending = false;
}

static void look_at_refusals(struct alert_desk *desk, struct broker *broker, uint64_t now_ms)
{
	if (desk->is_ending || !refusal_watch_is_over(now_ms))
		return;
	desk->is_ending = true;
	desk->ending = (struct store_operation){.work = end_refusals, .done = on_refusals_ended, .context = desk, .may_wait = true};
	store_submit(broker->store, &desk->ending);
}

/* ---- the timer ---- */

static void on_timer(uv_timer_t *timer)
{
	struct broker *broker = timer->data;
	struct alert_desk *desk = broker->alerts;
	uint64_t now_ms = clock_monotonic_ms();
	if (alert_noted())
		alert_outlets_wake(&desk->outlets);
	if (now_ms >= desk->health_at_ms) {
		desk->health_at_ms = now_ms + HEALTH_MS;
		look_at_store(desk, broker, now_ms);
		look_at_refusals(desk, broker, now_ms);
	}
	alert_outlets_send(&desk->outlets, now_ms);
}

/* ---- settings ---- */

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
	alert_outlets_adjust(&broker->alerts->outlets, broker);
}

int alert_desk_new(struct broker *broker, struct diag *diag)
{
	struct alert_desk *desk = broker->alerts = calloc(1, sizeof(*desk));
	if (!desk || uv_timer_init(broker->loop, &desk->timer) < 0)
		return diag_system(diag, "memory");
	LIST_INIT(&desk->outlets);
	desk->timer.data = broker;
	alert_outlets_adjust(&broker->alerts->outlets, broker);
	return uv_timer_start(&desk->timer, on_timer, LOOK_MS, LOOK_MS) < 0 ? diag_system(diag, "a timer cannot be started") : 0;
}

/* ---- rooms ---- */

void alert_desk_room_restarted(struct broker *broker, const char *room, const char *cause)
{
	struct audit_entry entry = {.code = ""};
	audit_fill(&entry, "room_restarted", "the %s ended (%s) and was started again", room, cause);
	audit_record(broker, &entry, NULL, NULL);
}

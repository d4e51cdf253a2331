/* refusal_watch.c: many refusals in a short time. See refusal_watch.h.
 *
 *     a while:   1 2 3 ... many: alarm ... its end: the sum  │  the next one: ... its end: the sum  │  ... fewer: silence
 *
 * The while goes by the clock that nobody can set.
 */
#include "refusal_watch.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "crowd.h"
#include "sallyport/clock.h"
#include "sallyport/str.h"

/* Of the store's thread. */
static struct {
	uint64_t many, while_ms;
	uint64_t began_ms;      /* of the present while; 0: there is none */
	uint64_t began_wall_ms; /* the same, for people */
	uint64_t alarm;         /* the row that said so; 0: they are not many */
	struct crowd crowd;
} watch;
static atomic_uint_least64_t ends_at_ms; /* 0: nothing will have to be said */

static bool is_refusal(const struct audit_entry *entry)
{
	static const char *const events[] = {"door_one", "login", "enrolment", "renewal"};
	for (size_t i = 0; *entry->code && i < sizeof(events) / sizeof(events[0]); i++)
		if (strcmp(entry->event, events[i]) == 0)
			return true;
	return false;
}

static void begin(uint64_t now_ms)
{
	watch.began_ms = now_ms;
	watch.began_wall_ms = clock_wall_ms();
	crowd_clear(&watch.crowd);
	atomic_store(&ends_at_ms, 0);
}

void refusal_watch_set(uint64_t many, uint64_t while_ms)
{
	watch.many = many;
	watch.while_ms = while_ms;
	if (many)
		return;
	watch.alarm = 0;
	begin(0);
}

/* Whom to blame: the one address, or the network; nobody, where they have none in common. */
static void fill_address(const struct crowd_summary *summary, struct audit_entry *alarm)
{
	str_copy(alarm->address, sizeof(alarm->address), summary->network);
}

static int raise_alarm(struct store_db *db, const struct audit_entry *last, struct diag *diag)
{
	struct audit_entry alarm = {.code = "many_refusals"};
	struct crowd_summary summary;
	char span[32], from[256];
	str_from_duration_ms(watch.while_ms, span, sizeof(span));
	crowd_sum_up(&watch.crowd, &summary);
	crowd_spell(&summary, from, sizeof(from));
	fill_address(&summary, &alarm);
	audit_fill(&alarm, "alarm", "%llu refusals within %s, from %s; the last one: %s, %s, user %s, device %s, from %s",
		   (unsigned long long)watch.crowd.count, span, from, last->event, last->code, *last->user ? last->user : "-",
		   *last->device ? last->device : "-", *last->address ? last->address : "-");
	int result = audit_append(db, &alarm, diag);
	watch.alarm = result < 0 ? 0 : (uint64_t)store_chain(db)->sequence;
	atomic_store(&ends_at_ms, watch.began_ms + watch.while_ms);
	return result;
}

static int sum_up(struct store_db *db, struct diag *diag)
{
	struct audit_entry sum = {.code = "many_refusals_sum"};
	struct crowd_summary summary;
	char since[32], from[256];
	clock_format(watch.began_wall_ms, since, sizeof(since));
	crowd_sum_up(&watch.crowd, &summary);
	crowd_spell(&summary, from, sizeof(from));
	fill_address(&summary, &sum);
	audit_fill(&sum, "alarm", "%llu refusals since %s, from %s%s", (unsigned long long)watch.crowd.count, since, from,
		   watch.crowd.count > summary.looked_at ? " (of the last ones)" : "");
	return audit_append(db, &sum, diag);
}

static bool is_over(uint64_t now_ms)
{
	return watch.began_ms && now_ms - watch.began_ms >= watch.while_ms;
}

int refusal_watch_end(struct store_db *db, struct diag *diag)
{
	/* Somebody may have come in between. */
	if (!is_over(clock_monotonic_ms()))
		return 0;
	bool were_many = watch.alarm && watch.crowd.count >= watch.many;
	if (!were_many)
		watch.alarm = 0;
	int result = were_many ? sum_up(db, diag) : 0;
	if (result == 0)
		begin(0);
	return result;
}

bool refusal_watch_is_over(uint64_t monotonic_ms)
{
	uint64_t ends = atomic_load(&ends_at_ms);
	return ends && monotonic_ms >= ends;
}

int refusal_watch_row(struct store_db *db, const struct audit_entry *entry, uint64_t sequence, struct diag *diag)
{
	/* Its number is given anew: the alarm was undone with the transaction that it stood in. */
	if (sequence <= watch.alarm)
		watch.alarm = 0;
	if (watch.many == 0 || !is_refusal(entry))
		return 0;
	uint64_t now_ms = clock_monotonic_ms();
	if (is_over(now_ms) && refusal_watch_end(db, diag) < 0)
		return ERR_SYSTEM;
	if (!watch.began_ms)
		begin(now_ms);
	crowd_add(&watch.crowd, entry->address, entry->user);
	if (watch.crowd.count < watch.many)
		return 0;
	atomic_store(&ends_at_ms, watch.began_ms + watch.while_ms);
	return watch.alarm ? 0 : raise_alarm(db, entry, diag);
}

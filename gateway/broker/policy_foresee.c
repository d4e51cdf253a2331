/* policy_foresee.c: when the right to a target will end, and why, if nothing changes but time. Pure.
 *
 * The same decision is asked for later moments: those at which what allows now runs out. So another rule that goes on
 * allowing is seen, and nothing is foretold that will not come.
 */
#include <string.h>

#include "policy_form.h"

/* So many rules may take over from one another; then nothing is foretold. */
enum { TURNS = 16, SECONDS_OF_DAY = 86400, DAYS = 8, MATCHED_MAX = 64 };

/* The next moment after `time_s` at which hours may open or close: an edge of one of today's, or midnight. */
static int64_t next_boundary(const struct policy_rule *rule, int64_t time_s, int32_t offset_s)
{
	int64_t local = time_s + offset_s, day_begin = local - ((local % SECONDS_OF_DAY) + SECONDS_OF_DAY) % SECONDS_OF_DAY;
	int64_t found = day_begin + SECONDS_OF_DAY;
	for (size_t i = 0; i < rule->hours_count; i++) {
		const int64_t edges[] = {day_begin + rule->hours[i].from * 60, day_begin + rule->hours[i].to * 60};
		for (size_t j = 0; j < sizeof(edges) / sizeof(edges[0]); j++)
			if (edges[j] > local && edges[j] < found)
				found = edges[j];
	}
	return found - offset_s;
}

/* Milliseconds from that moment until the rule's hours are open, or closed; UINT64_MAX: not within some days. */
static uint64_t turns_ms(const struct policy_rule *rule, int64_t begin_s, int32_t local_offset_s, bool to_open)
{
	int32_t offset_s = policy_offset_s(rule, begin_s, local_offset_s);
	int64_t time_s = begin_s;
	while (time_s < begin_s + (int64_t)DAYS * SECONDS_OF_DAY) {
		time_s = next_boundary(rule, time_s, offset_s);
		if (policy_is_open(rule, time_s, local_offset_s) == to_open)
			return (uint64_t)(time_s - begin_s) * 1000;
	}
	return UINT64_MAX;
}

/* Until its hours end what a rule allows, or begin what it denies: by the first of the moments. */
static uint64_t hours_turn_ms(const struct policy_rule *rule, const struct policy_facts *facts)
{
	uint64_t first = UINT64_MAX;
	for (unsigned i = 0; (rule->hours_count || rule->calendar) && i < facts->time_count; i++) {
		uint64_t turn = turns_ms(rule, facts->times_s[i], facts->local_offset_s, rule->deny);
		first = turn < first ? turn : first;
	}
	return first;
}

static bool covers_one(const struct policy_rule *rule, const struct policy_resource *const *matched, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (policy_rule_covers(rule, matched[i]))
			return true;
	return false;
}

/* Until a rule denies that now lacks its hours and nothing else. */
static uint64_t denied_ms(const struct policy *policy, const struct policy_facts *facts, const struct target *target)
{
	const struct policy_resource *matched[MATCHED_MAX];
	size_t count = policy->timed_denials.count ? policy_match(policy, target, matched, MATCHED_MAX) : 0;
	uint64_t first = UINT64_MAX;
	for (size_t i = 0; i < policy->timed_denials.count; i++) {
		const struct policy_rule *rule = policy->timed_denials.list[i];
		if (policy_lack_of(rule, facts) != POLICY_LACKS_HOURS || !covers_one(rule, matched, count))
			continue;
		uint64_t turn = hours_turn_ms(rule, facts);
		first = turn < first ? turn : first;
	}
	return first;
}

static struct policy_facts later(const struct policy_facts *facts, uint64_t ms)
{
	struct policy_facts moved = *facts;
	moved.login_age_ms += ms;
	moved.lease_age_ms += ms;
	/* A tunnel that carries bytes: its idle limit is another matter. */
	moved.idle_ms = 0;
	for (unsigned i = 0; i < moved.time_count; i++)
		moved.times_s[i] += (int64_t)((ms + 999) / 1000);
	return moved;
}

/* Until what allows at that moment runs out. */
static uint64_t runs_out_ms(const struct policy *policy, const struct policy_facts *facts, const struct target *target,
			    const struct policy_verdict *verdict)
{
	const struct policy_rule *rule =
		MAP_FIND(&policy->rules_by_name, view_string(verdict->rule), struct policy_rule, by_name);
	uint64_t firm = verdict->firm_ms == UINT64_MAX ? UINT64_MAX : verdict->firm_ms + 1;
	uint64_t closes = rule ? hours_turn_ms(rule, facts) : UINT64_MAX, denied = denied_ms(policy, facts, target);
	uint64_t hours = closes < denied ? closes : denied;
	return hours < firm ? hours : firm;
}

bool policy_foresee(const struct policy *policy, const struct policy_facts *facts, const struct target *target,
		    const struct policy_verdict *now, uint64_t horizon_ms, struct policy_end *out_end)
{
	struct policy_facts then = *facts;
	struct policy_verdict verdict = *now;
	uint64_t at_ms = 0;
	for (int turn = 0; turn < TURNS && verdict.allowed; turn++) {
		uint64_t more = runs_out_ms(policy, &then, target, &verdict);
		if (more > horizon_ms - at_ms)
			return false;
		at_ms += more;
		then = later(facts, at_ms);
		policy_decide(policy, &then, target, &verdict);
	}
	if (verdict.allowed || !now->allowed)
		return false;
	/* Nothing but time has changed: what is no age is an hour. */
	bool is_hour = strcmp(verdict.code, "not_allowed") == 0;
	*out_end = (struct policy_end){.in_ms = at_ms, .code = is_hour ? "hours_over" : verdict.code};
	return true;
}

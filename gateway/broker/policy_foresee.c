/* policy_foresee.c: when the right to a target will end, and why, if nothing changes but time. Pure.
 *
 * The same decision is asked for later moments: those at which what allows now runs out. So another rule that goes on
 * allowing is seen, and nothing is foretold that will not come.
 */
#include <string.h>

#include "policy_form.h"

/* So many rules may take over from one another; then nothing is foretold. */
enum { TURNS = 16, SECONDS_OF_DAY = 86400, DAYS = 8 };

/* The next moment after `time_s` at which hours may close: the end of one of today's, or midnight. */
static int64_t next_boundary(const struct policy_rule *rule, int64_t time_s, int32_t offset_s)
{
	int64_t local = time_s + offset_s, day_begin = local - ((local % SECONDS_OF_DAY) + SECONDS_OF_DAY) % SECONDS_OF_DAY;
	int64_t found = day_begin + SECONDS_OF_DAY;
	for (size_t i = 0; i < rule->hours_count; i++) {
		int64_t end = day_begin + rule->hours[i].to * 60;
		if (end > local && end < found)
			found = end;
	}
	return found - offset_s;
}

/* Milliseconds until the rule's hours are closed; UINT64_MAX: not within some days. */
static uint64_t closes_ms(const struct policy_rule *rule, const struct policy_facts *facts)
{
	int64_t begin = facts->times_s[facts->time_count - 1], time_s = begin; /* the furthest of its moments */
	if (!rule->hours_count && !rule->calendar)
		return UINT64_MAX;
	int32_t offset_s = policy_offset_s(rule, begin, facts->local_offset_s);
	while (time_s < begin + (int64_t)DAYS * SECONDS_OF_DAY) {
		time_s = next_boundary(rule, time_s, offset_s);
		if (!policy_is_open(rule, time_s, facts->local_offset_s))
			return (uint64_t)(time_s - begin) * 1000;
	}
	return UINT64_MAX;
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
static uint64_t runs_out_ms(const struct policy *policy, const struct policy_facts *facts, const struct policy_verdict *verdict)
{
	const struct policy_rule *rule =
		MAP_FIND(&policy->rules_by_name, view_string(verdict->rule), struct policy_rule, by_name);
	uint64_t firm = verdict->firm_ms == UINT64_MAX ? UINT64_MAX : verdict->firm_ms + 1;
	uint64_t closes = rule ? closes_ms(rule, facts) : UINT64_MAX;
	return closes < firm ? closes : firm;
}

bool policy_foresee(const struct policy *policy, const struct policy_facts *facts, const struct target *target,
		    const struct policy_verdict *now, uint64_t horizon_ms, struct policy_end *out_end)
{
	struct policy_facts then = *facts;
	struct policy_verdict verdict = *now;
	uint64_t at_ms = 0;
	for (int turn = 0; turn < TURNS && verdict.allowed; turn++) {
		uint64_t more = runs_out_ms(policy, &then, &verdict);
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

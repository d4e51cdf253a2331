/* policy_explain.c: why the policy says what it says: each rule considered, the fact that decided, what would be needed.
 * For the admin only; the user learns the verdict's code and sentence. Pure, and by the same conditions as policy.c. */
#include <stdio.h>
#include <string.h>

#include "policy_form.h"
#include "sallyport/realm.h"
#include "sallyport/str.h"

enum { MATCHED_MAX = 256, WORDS_TOLD = 8 };

static int tell_words(const char *what, const struct policy_words *words, struct buf *out_text)
{
	int result = 0;
	for (size_t i = 0; result == 0 && i < words->count && i < WORDS_TOLD; i++)
		result = buf_add_format(out_text, "%s%s%s", i ? ", " : what, i ? "" : " ", words->list[i]);
	if (result == 0 && words->count > WORDS_TOLD)
		result = buf_add_format(out_text, ", and %zu more", words->count - WORDS_TOLD);
	return result;
}

static int tell_person(const struct policy_rule *rule, const struct policy_facts *facts, struct buf *out_text)
{
	int result = buf_add_format(out_text, "%s is not among its users and in none of its groups; needed: ", facts->user);
	if (result == 0)
		result = tell_words("user", &rule->users, out_text);
	if (result == 0 && rule->users.count && rule->groups.count)
		result = buf_add_string(out_text, ", or ");
	return result == 0 ? tell_words("a member of", &rule->groups, out_text) : result;
}

static int tell_device(const struct policy_rule *rule, const struct policy_facts *facts, struct buf *out_text)
{
	int result = buf_add_format(out_text, "the device %s is not among its devices; needed: ", facts->device);
	return result == 0 ? tell_words("device", &rule->devices, out_text) : result;
}

static int tell_tag(const struct policy_rule *rule, const struct policy_facts *facts, struct buf *out_text)
{
	int result = buf_add_format(out_text, "the device %s has none of its device_tags; needed: ", facts->device);
	return result == 0 ? tell_words("tag", &rule->device_tags, out_text) : result;
}

static int tell_key_kind(const struct policy_rule *rule, const struct policy_facts *facts, struct buf *out_text)
{
	int result = buf_add_format(out_text, "the device's key is %s; needed: ", facts->key_kind ? facts->key_kind : "not known");
	return result == 0 ? tell_words("a key of", &rule->key_kinds, out_text) : result;
}

static int tell_realm(const struct policy_rule *rule, const struct policy_facts *facts, struct buf *out_text)
{
	int result = buf_add_format(out_text, "the session came by the realm %s; needed: ", facts->realm ? facts->realm : REALM_DEFAULT);
	return result == 0 ? tell_words("realm", &rule->realms, out_text) : result;
}

static int tell_source(const struct policy_rule *rule, const struct policy_facts *facts, struct buf *out_text)
{
	char text[64] = "an unknown address";
	if (facts->source)
		target_address_text((const struct sockaddr *)facts->source, text, sizeof(text));
	int result = buf_add_format(out_text, "%s is in none of its networks (from); needed: ", text);
	for (size_t i = 0; result == 0 && i < rule->from_count && i < WORDS_TOLD; i++) {
		target_address_text((const struct sockaddr *)&rule->from[i].address, text, sizeof(text));
		result = buf_add_format(out_text, "%s%s/%u", i ? ", " : "", text, rule->from[i].prefix);
	}
	return result;
}

static int tell_hours(const struct policy_rule *rule, const struct policy_facts *facts, struct buf *out_text)
{
	static const char days[7][4] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
	(void)facts;
	int result = buf_add_string(out_text, "it is outside its hours or a holiday; needed:");
	for (size_t i = 0; result == 0 && i < rule->hours_count; i++) {
		const struct policy_hours *hours = &rule->hours[i];
		for (unsigned day = 0; result == 0 && day < 7; day++)
			if (hours->days & 1u << day)
				result = buf_add_format(out_text, " %s", days[day]);
		if (result == 0)
			result = buf_add_format(out_text, " %02u:%02u-%02u:%02u", hours->from / 60, hours->from % 60, hours->to / 60,
						hours->to % 60);
	}
	if (result == 0 && rule->calendar)
		result = buf_add_format(out_text, " by the calendar \"%s\"", rule->calendar->name);
	return result;
}

static int tell_tunnels(const struct policy_rule *rule, const struct policy_facts *facts, struct buf *out_text)
{
	(void)facts;
	return buf_add_format(out_text, "the session has %llu tunnels by it already (max_tunnels); one of them must end first",
			      (unsigned long long)rule->max_tunnels);
}

static int tell_age(const char *what, uint64_t age_ms, uint64_t limit_ms, const char *needed, struct buf *out_text)
{
	char age[32], limit[32];
	str_from_duration_ms(age_ms / 1000 * 1000, age, sizeof(age));
	str_from_duration_ms(limit_ms, limit, sizeof(limit));
	return buf_add_format(out_text, "%s %s, and %s is its limit; needed: %s", what, age, limit, needed);
}

static int tell_lease(const struct policy_rule *rule, const struct policy_facts *facts, struct buf *out_text)
{
	return tell_age("the session has lasted", facts->lease_age_ms, rule->max_lease_ms, "a new session", out_text);
}

static int tell_fresh_login(const struct policy_rule *rule, const struct policy_facts *facts, struct buf *out_text)
{
	return tell_age("the last login was before", facts->login_age_ms, rule->fresh_login_ms, "a fresh login", out_text);
}

static int tell_traffic(const struct policy_rule *rule, const struct policy_facts *facts, struct buf *out_text)
{
	return tell_age("the tunnel was idle for", facts->idle_ms, rule->idle_timeout_ms, "traffic", out_text);
}

static int tell_lack(enum policy_lack lack, const struct policy_rule *rule, const struct policy_facts *facts, struct buf *out_text)
{
	static int (*const tell[])(const struct policy_rule *, const struct policy_facts *, struct buf *) = {
		[POLICY_LACKS_PERSON] = tell_person,   [POLICY_LACKS_DEVICE] = tell_device,
		[POLICY_LACKS_TAG] = tell_tag,         [POLICY_LACKS_KEY_KIND] = tell_key_kind,
		[POLICY_LACKS_SOURCE] = tell_source,   [POLICY_LACKS_HOURS] = tell_hours,
		[POLICY_LACKS_TUNNELS] = tell_tunnels, [POLICY_LACKS_LEASE] = tell_lease,
		[POLICY_LACKS_REALM] = tell_realm,     [POLICY_LACKS_TRAFFIC] = tell_traffic, [POLICY_LACKS_FRESH_LOGIN] = tell_fresh_login,
	};
	return tell[lack](rule, facts, out_text);
}

static int tell_conditions(const struct policy_rule *rule, const struct policy_facts *facts, struct buf *out_text)
{
	const struct {
		const char *name;
		uint64_t limit_ms, age_ms;
	} limits[] = {{"fresh_login", rule->fresh_login_ms, facts->login_age_ms},
		      {"max_lease", rule->max_lease_ms, facts->lease_age_ms},
		      {"idle_timeout", rule->idle_timeout_ms, facts->idle_ms}};
	int result = 0;
	for (size_t i = 0; result == 0 && i < sizeof(limits) / sizeof(limits[0]); i++) {
		char text[32];
		str_from_duration_ms(limits[i].limit_ms, text, sizeof(text));
		if (limits[i].limit_ms)
			result = buf_add_format(out_text, " (%s %s)", limits[i].name, text);
	}
	char rate[32];
	str_from_size_bytes(rule->max_rate, rate, sizeof(rate));
	if (result == 0 && rule->max_rate)
		result = buf_add_format(out_text, " (max_rate %s/s)", rate);
	return result;
}

static int explain_rule(const struct policy_rule *rule, const struct policy_facts *facts, struct buf *out_text)
{
	enum policy_lack lack = policy_lack_of(rule, facts);
	int result = buf_add_format(out_text, "  rule \"%s\"%s: %s", rule->name, rule->deny ? " (deny)" : "",
				    lack ? "does not apply: " : "applies");
	if (result == 0)
		result = lack ? tell_lack(lack, rule, facts, out_text) : tell_conditions(rule, facts, out_text);
	return result == 0 ? buf_add_string(out_text, "\n") : result;
}

static int explain_resource(const struct policy *policy, const struct policy_resource *resource, const struct policy_facts *facts,
			    struct buf *out_text)
{
	int result = buf_add_format(out_text, "resource \"%s\" names this target\n", resource->name);
	for (size_t i = 0; result == 0 && i < resource->rules.count; i++)
		result = explain_rule(resource->rules.list[i], facts, out_text);
	for (size_t i = 0; result == 0 && i < policy->everywhere.count; i++)
		result = explain_rule(policy->everywhere.list[i], facts, out_text);
	if (result == 0 && resource->rules.count + policy->everywhere.count == 0)
		result = buf_add_string(out_text, "  no rule names it\n");
	return result;
}

int policy_explain(const struct policy *policy, const struct policy_facts *facts, const struct target *target,
		   struct buf *out_text)
{
	const struct policy_resource *matched[MATCHED_MAX];
	struct policy_verdict verdict;
	size_t count = policy_match(policy, target, matched, MATCHED_MAX);
	int result = count ? 0 : buf_add_format(out_text, "no resource names %s port %u\n", target->host, target->port);
	for (size_t i = 0; result == 0 && i < count; i++)
		result = explain_resource(policy, matched[i], facts, out_text);
	policy_decide(policy, facts, target, &verdict);
	if (result < 0)
		return result;
	if (verdict.allowed)
		return buf_add_format(out_text, "allowed by rule \"%s\" (resource \"%s\")\n", verdict.rule, verdict.resource);
	return buf_add_format(out_text, "refused: %s%s%s%s\n", verdict.code, *verdict.rule ? ", by rule \"" : "", verdict.rule,
			      *verdict.rule ? "\"" : "");
}

/* policy_warn.c: finds what can have no effect in a policy that is right: what is denied always, what nobody mentions, hours
 * that never come, and words that mean nothing on this gateway. */
#include <stdlib.h>
#include <string.h>

#include "policy_form.h"
#include "sallyport/clock.h"
#include "sallyport/str.h"

static int compare_pointers(const void *a, const void *b)
{
	uintptr_t left = (uintptr_t)*(void *const *)a, right = (uintptr_t)*(void *const *)b;
	return (left > right) - (left < right);
}

/* ---- what is denied always ---- */

static bool has_words_of(const struct policy_words *all, const struct policy_words *some)
{
	if (all->all)
		return true;
	for (size_t i = 0; i < some->count; i++)
		if (!policy_words_have(all, some->list[i]))
			return false;
	return !some->all;
}

/* "*" of these asks for a tag, or for a key that is known. */
static bool is_condition(const struct policy_words *words)
{
	return words->all || words->count;
}

/* A deny rule that asks for nothing but the person. */
static bool is_plain_denial(const struct policy_rule *rule)
{
	return rule->deny && !rule->hours_count && !rule->calendar && !rule->from_count && !rule->devices.count &&
	       !is_condition(&rule->device_tags) && !is_condition(&rule->key_kinds) && !rule->realms.count;
}

static bool covers_resources(const struct policy_rule *all, const struct policy_rule *some)
{
	if (all->everything)
		return true;
	for (size_t i = 0; i < some->resource_count; i++)
		if (!bsearch(&some->resources[i], all->resources, all->resource_count, sizeof(*all->resources), compare_pointers))
			return false;
	return !some->everything;
}

static bool is_denied_always(const struct policy_rule *rule, const struct policy_rule *denial)
{
	bool persons = denial->users.all || (has_words_of(&denial->users, &rule->users) && has_words_of(&denial->groups, &rule->groups));
	return persons && covers_resources(denial, rule);
}

static void warn_of_rules(const struct policy *policy, struct policy_errors *errors)
{
	struct policy_rules denials = {.count = 0};
	for (size_t i = 0; i < policy->rule_count; i++)
		if (is_plain_denial(policy->rules[i]) && policy_rules_add(&denials, policy->rules[i]) < 0)
			break;
	for (size_t i = 0; i < policy->rule_count; i++) {
		const struct policy_rule *rule = policy->rules[i];
		for (size_t j = 0; !rule->deny && j < denials.count; j++)
			if (is_denied_always(rule, denials.list[j])) {
				policy_warn(errors, rule->place, "rule \"%s\" can never match: rule \"%s\" denies all of it", rule->name,
					    denials.list[j]->name);
				break;
			}
	}
	free(denials.list);
}

/* ---- hours that never come ---- */

enum { DAYS_AHEAD = 370, SECONDS_OF_DAY = 86400 };

static bool opens_on(const struct policy_rule *rule, int64_t midnight_s)
{
	static const struct policy_hours all_day = {.from = 0};
	size_t count = rule->hours_count ? rule->hours_count : 1;
	for (size_t i = 0; i < count; i++) {
		const struct policy_hours *hours = rule->hours_count ? &rule->hours[i] : &all_day;
		int64_t begin_s = midnight_s + 60 * hours->from;
		if (policy_is_open(rule, begin_s - policy_offset_s(rule, begin_s, 0), 0))
			return true;
	}
	return false;
}

/* Only holidays can close every day; without them a week has all hours. */
static bool opens_ever(const struct policy_rule *rule, int64_t now_s)
{
	if (!rule->calendar || !rule->calendar->holiday_count)
		return true;
	for (int day = 0; day < DAYS_AHEAD; day++)
		if (opens_on(rule, now_s / SECONDS_OF_DAY * SECONDS_OF_DAY + (int64_t)day * SECONDS_OF_DAY))
			return true;
	return false;
}

static void warn_of_hours(const struct policy *policy, struct policy_errors *errors)
{
	int64_t now_s = (int64_t)(clock_wall_ms() / 1000);
	for (size_t i = 0; i < policy->rule_count; i++)
		if (!opens_ever(policy->rules[i], now_s))
			policy_warn(errors, policy->rules[i]->place, "rule \"%s\" can never match: its hours do not come in the next year",
				    policy->rules[i]->name);
}

/* ---- words that mean nothing here ---- */

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Whether one of the words is there; the others are told. */
static bool warn_of_words(const struct policy_rule *rule, const char *what, const struct policy_words *words,
			  const struct policy_word_list *known, struct policy_errors *errors)
{
	bool found = words->all;
	for (size_t i = 0; i < words->count; i++) {
		const char *word = words->list[i];
		if (known->count && bsearch(&word, known->list, known->count, sizeof(*known->list), compare_texts)) {
			found = true;
			continue;
		}
		const char *nearest = errors->warning_count < POLICY_WARNINGS_MAX ? str_nearest(word, known->list) : NULL;
		policy_warn(errors, rule->place, nearest ? "rule \"%s\": there is no %s \"%s\"; did you mean \"%s\"?" : "rule \"%s\": there is no %s \"%s\"",
			    rule->name, what, word, nearest);
	}
	return found || !words->count;
}

static void warn_of_unknown(const struct policy *policy, const struct policy_known *known, struct policy_errors *errors)
{
	for (size_t i = 0; i < policy->rule_count; i++) {
		const struct policy_rule *rule = policy->rules[i];
		bool realms = warn_of_words(rule, "realm", &rule->realms, &known->realms, errors);
		bool devices = warn_of_words(rule, "device", &rule->devices, &known->devices, errors);
		bool tags = warn_of_words(rule, "device with the tag", &rule->device_tags, &known->tags, errors);
		if (!realms || !devices || !tags)
			policy_warn(errors, rule->place, "rule \"%s\" can never match: there is none of its %s", rule->name,
				    !realms ? "realms" : !devices ? "devices" : "tags");
	}
}

void policy_warn_all(const struct policy *policy, struct policy_errors *errors)
{
	for (size_t i = 0; i < policy->resource_count && policy->everywhere.count == 0; i++)
		if (policy->resources[i]->rules.count == 0)
			policy_warn(errors, policy->resources[i]->place, "no rule mentions resource \"%s\": nobody reaches it",
				    policy->resources[i]->name);
	warn_of_rules(policy, errors);
	warn_of_hours(policy, errors);
	if (errors->known)
		warn_of_unknown(policy, errors->known, errors);
}

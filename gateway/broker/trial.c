/* trial.c: the decision for somebody who is not there: facts from what the registry and the name services say. */
#include "trial.h"

#include <stdio.h>
#include <string.h>

#include "sallyport/str.h"

struct circumstances trial_anyhow(void)
{
	return (struct circumstances){.every_realm = true, .any_time = true, .any_source = true};
}

int trial_take_realm(const char *name, const char *realms, struct circumstances *circumstances, struct diag *diag)
{
	struct realm realm;
	if ((strcmp(name, REALM_DEFAULT) != 0 && !realm_find(realms, view_string(name), &realm)) ||
	    !str_copy(circumstances->realm, sizeof(circumstances->realm), name))
		return diag_set(diag, ERR_BAD_INPUT, "there is no realm \"%s\"", name);
	circumstances->every_realm = false;
	return 0;
}

void trial_who(const struct person *person, char *out_text, size_t capacity)
{
	bool is_known = strcmp(person->user, PEOPLE_UNKNOWN) != 0, is_member = !is_known && person->group_count;
	snprintf(out_text, capacity, "%s%s", is_member ? "a member of " : "",
		 is_known ? person->user : is_member ? person->groups[0] : "anybody");
}

static struct policy_facts facts_of(const struct person *person, const struct circumstances *circumstances)
{
	return (struct policy_facts){
		.user = person->user,
		.groups = (const char *const *)person->groups,
		.group_count = person->group_count,
		.device = person->device,
		.tags = person->tags,
		.key_kind = person->key_kind,
		.source = circumstances->has_source ? &circumstances->source.address : NULL,
		.any_source = circumstances->any_source,
		.times_s = {circumstances->time_s},
		.time_count = 1,
		.any_time = circumstances->any_time,
		.local_offset_s = circumstances->local_offset_s,
	};
}

static bool is_allowed(const struct policy *policy, struct policy_facts *facts, struct view realm, const struct target *target,
		       const char **out_rule)
{
	char name[REALM_NAME_MAX + 1];
	struct policy_verdict verdict;
	facts->realm = view_to_string(realm, name, sizeof(name)) < 0 ? "" : name;
	policy_decide(policy, facts, target, &verdict);
	facts->realm = NULL;
	*out_rule = verdict.rule;
	return verdict.allowed;
}

/* Of somebody whose groups are not all known, every realm is right. */
static bool may_come_by(const char *realms, const struct person *person, struct view realm)
{
	return strcmp(person->user, PEOPLE_UNKNOWN) == 0 ||
	       realm_is_right(realms, realm, person->tags, (const char *const *)person->groups, person->group_count);
}

static bool reaches_by_some_realm(const struct policy *policy, const char *realms, const struct person *person,
				  struct policy_facts *facts, const struct target *target, const char **out_rule)
{
	struct view standard = view_string(REALM_DEFAULT);
	struct realm realm;
	size_t position = 0;
	*out_rule = "";
	if (may_come_by(realms, person, standard) && is_allowed(policy, facts, standard, target, out_rule))
		return true;
	while (realm_next(realms, &position, &realm))
		if (may_come_by(realms, person, realm.name) && is_allowed(policy, facts, realm.name, target, out_rule))
			return true;
	return false;
}

bool trial_reaches(const struct policy *policy, const char *realms, const struct person *person,
		   const struct circumstances *circumstances, const struct target *target, const char **out_rule)
{
	struct policy_facts facts = facts_of(person, circumstances);
	struct realm realm = {.name = view_string(REALM_DEFAULT)};
	if (circumstances->every_realm)
		return reaches_by_some_realm(policy, realms, person, &facts, target, out_rule);
	if (*circumstances->realm)
		realm.name = view_string(circumstances->realm);
	else
		(void)realm_choose(realms, person->tags, (const char *const *)person->groups, person->group_count, &realm);
	return is_allowed(policy, &facts, realm.name, target, out_rule);
}

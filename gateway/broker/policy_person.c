/* policy_person.c: what a person may ever come to reach, whatever else the rules want. Pure. */
#include "policy_form.h"

static bool any_is_for(const struct policy_rules *rules, const struct policy_facts *person)
{
	for (size_t i = 0; i < rules->count; i++)
		if (!rules->list[i]->deny && policy_lack_of(rules->list[i], person) != POLICY_LACKS_PERSON)
			return true;
	return false;
}

bool policy_may_be_for(const struct policy *policy, const struct policy_facts *person, const struct policy_resource *resource)
{
	/* Conditions behind the person are asked, and their answers thrown away. */
	struct policy_facts facts = {.user = person->user, .groups = person->groups, .group_count = person->group_count, .device = "", .tags = ""};
	return any_is_for(&resource->rules, &facts) || any_is_for(&policy->everywhere, &facts);
}

/* policy_compile.c: indexes a policy, so that a decision need not walk all of it. */
#include <stdlib.h>
#include <string.h>

#include "policy_form.h"

/* ---- lists ---- */

static int compare_words(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

bool policy_words_have(const struct policy_words *words, const char *word)
{
	return words->all || (words->count && bsearch(&word, words->list, words->count, sizeof(*words->list), compare_words));
}

int policy_rules_add(struct policy_rules *rules, const struct policy_rule *rule)
{
	/* A rule may name a thing twice; once is enough. */
	if (rules->count && rules->list[rules->count - 1] == rule)
		return 0;
	if ((rules->count & (rules->count - 1)) == 0) {
		void *grown = reallocarray(rules->list, rules->count ? 2 * rules->count : 1, sizeof(*rules->list));
		if (!grown)
			return ERR_SYSTEM;
		rules->list = grown;
	}
	rules->list[rules->count++] = rule;
	return 0;
}

/* ---- the index of addresses ---- */

static void index_entry(struct policy *policy, struct policy_entry *entry)
{
	bool is_network = entry->kind == POLICY_NETWORK;
	struct map *map = is_network ? &policy->networks : &policy->hosts;
	struct view key = is_network ? view_of(&entry->key, sizeof(entry->key)) : view_string(entry->host);
	struct policy_entry *first = MAP_FIND(map, key, struct policy_entry, by_host);
	if (is_network)
		policy->lengths[entry->address.ss_family == AF_INET6][entry->prefix] = 1;
	if (first) {
		entry->next_of_host = first->next_of_host;
		first->next_of_host = entry;
	} else {
		map_add(map, &entry->by_host, key);
	}
}

/* ---- the index of people ---- */

static int add_person(struct policy *policy, char kind, const char *name, const struct policy_rule *rule)
{
	size_t length = strlen(name);
	struct policy_person *person = calloc(1, sizeof(*person) + length + 2);
	if (!person)
		return ERR_SYSTEM;
	person->key[0] = kind;
	memcpy(person->key + 1, name, length);
	struct policy_person *found = MAP_FIND(&policy->persons_by_key, view_string(person->key), struct policy_person, by_key);
	if (found) {
		free(person);
		return policy_rules_add(&found->rules, rule);
	}
	void *grown = reallocarray(policy->persons, policy->person_count + 1, sizeof(struct policy_person *));
	if (!grown) {
		free(person);
		return ERR_SYSTEM;
	}
	policy->persons = grown;
	policy->persons[policy->person_count++] = person;
	map_add(&policy->persons_by_key, &person->by_key, view_string(person->key));
	return policy_rules_add(&person->rules, rule);
}

static int index_rule(struct policy *policy, const struct policy_rule *rule)
{
	int result = 0;
	/* In the index of groups too: whoever is in no group is not meant by groups = {"*"}, and that is asked again. */
	if (rule->users.all || rule->groups.all)
		result = policy_rules_add(&policy->everybody, rule);
	if (result == 0 && rule->deny && (rule->hours_count || rule->calendar))
		result = policy_rules_add(&policy->timed_denials, rule);
	for (size_t i = 0; result == 0 && i < rule->users.count; i++)
		result = add_person(policy, 'u', rule->users.list[i], rule);
	for (size_t i = 0; result == 0 && i < rule->groups.count; i++)
		result = add_person(policy, 'g', rule->groups.list[i], rule);
	if (result == 0 && rule->everything)
		return policy_rules_add(&policy->everywhere, rule);
	for (size_t i = 0; result == 0 && i < rule->resource_count; i++)
		result = policy_rules_add(&((struct policy_resource *)(uintptr_t)rule->resources[i])->rules, rule);
	return result;
}

static int compare_pointers(const void *a, const void *b)
{
	uintptr_t left = (uintptr_t)*(void *const *)a, right = (uintptr_t)*(void *const *)b;
	return (left > right) - (left < right);
}

static void sort_words(struct policy_words *words)
{
	if (words->count)
		qsort(words->list, words->count, sizeof(*words->list), compare_words);
}

static void sort_rule(struct policy_rule *rule)
{
	struct policy_words *const words[] = {&rule->users, &rule->groups, &rule->devices, &rule->device_tags, &rule->key_kinds,
					       &rule->realms};
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		sort_words(words[i]);
	if (rule->resource_count)
		qsort(rule->resources, rule->resource_count, sizeof(*rule->resources), compare_pointers);
}

int policy_compile(struct policy *policy)
{
	int result = 0;
	for (size_t i = 0; i < policy->resource_count; i++)
		for (size_t j = 0; j < policy->resources[i]->entry_count; j++)
			index_entry(policy, &policy->resources[i]->entries[j]);
	for (size_t i = 0; result == 0 && i < policy->rule_count; i++) {
		sort_rule(policy->rules[i]);
		policy->counts_tunnels |= policy->rules[i]->max_tunnels != 0;
		result = index_rule(policy, policy->rules[i]);
	}
	return result;
}

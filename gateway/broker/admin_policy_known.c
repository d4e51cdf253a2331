/* admin_policy_known.c: what a policy's words may mean on this gateway: realms, devices, tags, users; for `policy check`. */
#include <stdlib.h>
#include <string.h>

#include "admin_policy.h"
#include "sallyport/conf.h"
#include "sallyport/own.h"
#include "sallyport/realm.h"
#include "sallyport/str.h"

static int compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int add(struct policy_word_list *words, const char *word)
{
	/* Always room for the NULL behind the last. */
	if ((words->count & (words->count + 1)) == 0) {
		const char **grown = reallocarray(words->list, 2 * (words->count + 1), sizeof(*grown));
		if (!grown)
			return ERR_SYSTEM;
		words->list = grown;
	}
	words->list[words->count++] = word;
	words->list[words->count] = NULL;
	return 0;
}

static int add_copy(struct policy_word_list *words, struct view word)
{
	char *copy = view_duplicate(word);
	int result = copy ? add(words, copy) : ERR_SYSTEM;
	if (result < 0)
		free(copy);
	return result;
}

static int add_lines(struct policy_word_list *words, const char *lines)
{
	size_t position = 0;
	struct view word;
	int result = 0;
	while (result == 0 && conf_list_next(lines, &position, &word))
		result = add_copy(words, word);
	return result;
}

static void sort(struct policy_word_list *words)
{
	if (words->count)
		qsort(words->list, words->count, sizeof(*words->list), compare);
}

static void words_fini(struct policy_word_list *words)
{
	for (size_t i = 0; i < words->count; i++)
		free((char *)(uintptr_t)words->list[i]);
	free(words->list);
}

/* Never without a list: str_nearest walks it. */
static int begin(struct policy_word_list *words)
{
	words->list = calloc(2, sizeof(*words->list));
	return words->list ? 0 : ERR_SYSTEM;
}

static int add_realms(struct policy_word_list *words, const char *realms)
{
	struct realm realm;
	size_t position = 0;
	int result = add_copy(words, view_string(REALM_DEFAULT));
	while (result == 0 && realm_next(realms, &position, &realm))
		result = add_copy(words, realm.name);
	return result;
}

int admin_policy_know(struct broker *broker, struct policy_known *out_known)
{
	struct policy_known known = {.realms.count = 0};
	const struct device *device;
	int result = begin(&known.realms);
	if (result == 0)
		result = begin(&known.devices);
	if (result == 0)
		result = begin(&known.tags);
	if (result == 0)
		result = add_realms(&known.realms, broker->room->conf.realm);
	LIST_FOREACH(device, &broker->registry.devices, all) {
		if (result < 0 || device->is_host || device->state == DEVICE_REVOKED)
			continue;
		result = add_copy(&known.devices, view_string(device->name));
		if (result == 0)
			result = add_lines(&known.tags, device->tags);
	}
	sort(&known.realms);
	sort(&known.devices);
	sort(&known.tags);
	if (result < 0)
		admin_policy_known_fini(&known);
	else
		*out_known = known;
	return result;
}

void admin_policy_known_fini(struct policy_known *known)
{
	words_fini(&known->realms);
	words_fini(&known->devices);
	words_fini(&known->tags);
}

json_t *admin_policy_groups(const struct policy *policy)
{
	json_t *array = json_array();
	const char *person, *rule;
	size_t position = 0;
	while (policy && (person = policy_next_person(policy, &position, &rule)))
		if (person[0] == 'g')
			json_array_append_new(array, json_pack("{s:s, s:s}", "name", person + 1, "rule", rule));
	return array;
}

json_t *admin_policy_strangers(const struct broker *broker, const struct policy *policy)
{
	struct policy_word_list users = {.list = NULL};
	json_t *array = json_array();
	const struct device *device;
	const char *person, *rule;
	size_t position = 0;
	int result = begin(&users);
	LIST_FOREACH(device, &broker->registry.devices, all)
		if (result == 0)
			result = add_lines(&users, device->users);
	sort(&users);
	while (result == 0 && policy && (person = policy_next_person(policy, &position, &rule))) {
		const char *user = person + 1;
		if (person[0] != 'u' || (users.count && bsearch(&user, users.list, users.count, sizeof(*users.list), compare)))
			continue;
		json_array_append_new(array, json_pack("{s:s, s:s, s:s?}", "name", user, "rule", rule, "nearest", str_nearest(user, users.list)));
	}
	words_fini(&users);
	return array;
}

/* people.c: walks the registry and asks the name services, one user after the other. */
#include "people.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "broker.h"
#include "groups.h"
#include "sallyport/conf.h"
#include "sallyport/own.h"

struct gathering {
	struct people *people;
	char *groups; /* whose members may come to a device for any user; one a line */
	char **users; /* that are known by name: sorted, each once */
	size_t user_count;
	struct groups_query query;
	struct broker *broker;
	size_t next;
	bool inside, answered;
	int result;
	people_done done;
	void *context;
};

void people_free(struct people *people)
{
	for (size_t i = 0; people && i < people->count; i++) {
		struct person *person = &people->list[i];
		for (size_t j = 0; j < person->group_count; j++)
			free(person->groups[j]);
		free(person->groups);
		free(person->user);
		free(person->device);
		free(person->tags);
		free(person->key_kind);
	}
	if (people)
		free(people->list);
	free(people);
}

static void gathering_free(struct gathering *gathering)
{
	for (size_t i = 0; i < gathering->user_count; i++)
		free(gathering->users[i]);
	free(gathering->users);
	free(gathering->groups);
	free(gathering);
}

/* Room for one more behind `count` elements. */
static void *grown(void *array, size_t count, size_t size)
{
	return count & (count - 1) ? array : reallocarray(array, count ? 2 * count : 1, size);
}

/* ---- who is known ---- */

static int add_users(struct gathering *gathering, const char *lines)
{
	size_t position = 0;
	struct view user;
	while (conf_list_next(lines, &position, &user)) {
		char **list = grown(gathering->users, gathering->user_count, sizeof(*list));
		if (!list)
			return ERR_SYSTEM;
		gathering->users = list;
		list[gathering->user_count] = view_duplicate(user);
		if (!list[gathering->user_count++])
			return ERR_SYSTEM;
	}
	return 0;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort_users(struct gathering *gathering)
{
	size_t kept = 0;
	if (gathering->user_count)
		qsort(gathering->users, gathering->user_count, sizeof(*gathering->users), compare);
	for (size_t i = 0; i < gathering->user_count; i++) {
		char *user = gathering->users[i];
		if (strcmp(user, DEVICE_ANY_USER) == 0 || (kept && strcmp(user, gathering->users[kept - 1]) == 0))
			free(user);
		else
			gathering->users[kept++] = user;
	}
	gathering->user_count = kept;
}

/* ---- who may come ---- */

static int add(struct people *people, const struct device *device, struct view user, struct person **out_person)
{
	const char *key_kind = registry_key_kind(device);
	struct person *list = people->count < PEOPLE_MAX ? grown(people->list, people->count, sizeof(*list)) : NULL;
	if (!list)
		return people->count < PEOPLE_MAX ? ERR_SYSTEM : ERR_LIMIT;
	people->list = list;
	struct person *person = *out_person = &list[people->count++];
	*person = (struct person){.user = view_duplicate(user), .device = strdup(device->name), .tags = strdup(device->tags),
				  .key_kind = key_kind ? strdup(key_kind) : NULL};
	return person->user && person->device && person->tags && (person->key_kind || !key_kind) ? 0 : ERR_SYSTEM;
}

static int add_group(struct person *person, struct view name)
{
	char **list = grown(person->groups, person->group_count, sizeof(*list));
	if (!list)
		return ERR_SYSTEM;
	person->groups = list;
	list[person->group_count] = view_duplicate(name);
	return list[person->group_count] ? (person->group_count++, 0) : ERR_SYSTEM;
}

static int add_anybody(struct gathering *gathering, const struct device *device)
{
	struct person *person;
	struct view unknown = view_string(PEOPLE_UNKNOWN), group;
	size_t position = 0;
	int result = add(gathering->people, device, unknown, &person);
	for (size_t i = 0; result == 0 && i < gathering->user_count; i++)
		result = add(gathering->people, device, view_string(gathering->users[i]), &person);
	while (result == 0 && conf_list_next(gathering->groups, &position, &group)) {
		result = add(gathering->people, device, unknown, &person);
		if (result == 0)
			result = add_group(person, group);
	}
	return result;
}

static bool is_for_anybody(const struct device *device)
{
	size_t position = 0;
	struct view user;
	while (conf_list_next(device->users, &position, &user))
		if (view_is(user, DEVICE_ANY_USER))
			return true;
	return false;
}

static int add_device(struct gathering *gathering, const struct device *device)
{
	size_t position = 0;
	struct view user;
	struct person *person;
	int result = 0;
	/* A host logs nobody in, a revoked device never comes back. */
	if (device->is_host || device->state == DEVICE_REVOKED)
		return 0;
	if (is_for_anybody(device))
		return add_anybody(gathering, device);
	while (result == 0 && conf_list_next(device->users, &position, &user))
		result = add(gathering->people, device, user, &person);
	return result;
}

static int add_everybody(struct gathering *gathering, const struct people_names *names)
{
	const struct registry *registry = &gathering->broker->registry;
	const struct device *device;
	int result = add_users(gathering, names->users);
	LIST_FOREACH(device, &registry->devices, all)
		if (result == 0)
			result = add_users(gathering, device->users);
	sort_users(gathering);
	LIST_FOREACH(device, &registry->devices, all)
		if (result == 0)
			result = add_device(gathering, device);
	return result;
}

/* ---- their groups ---- */

static void finish(struct gathering *gathering)
{
	struct people *people = take_pointer(&gathering->people);
	if (gathering->result < 0) {
		people_free(people);
		people = NULL;
	}
	gathering->done(gathering->context, gathering->result, people);
	gathering_free(gathering);
}

/* Answers may come at once: a loop, not a recursion as deep as there are people. */
static void go_on(struct gathering *gathering)
{
	while (gathering->result == 0 && gathering->next < gathering->people->count) {
		const char *user = gathering->people->list[gathering->next].user;
		if (strcmp(user, PEOPLE_UNKNOWN) == 0) {
			gathering->next++;
			continue;
		}
		gathering->answered = false;
		gathering->inside = true;
		groups_of(gathering->broker->groups, user, &gathering->query);
		gathering->inside = false;
		if (!gathering->answered)
			return;
	}
	finish(gathering);
}

static void on_groups(struct groups_query *query, int result, const char *const *names, size_t count)
{
	struct gathering *gathering = query->context;
	struct person *person = &gathering->people->list[gathering->next++];
	gathering->answered = true;
	gathering->result = result < 0 ? ERR_SYSTEM : 0;
	for (size_t i = 0; gathering->result == 0 && i < count; i++)
		gathering->result = add_group(person, view_string(names[i]));
	if (!gathering->inside)
		go_on(gathering);
}

void people_gather(struct broker *broker, const struct people_names *names, people_done done, void *context)
{
	struct gathering *gathering = calloc(1, sizeof(*gathering));
	struct people *people = calloc(1, sizeof(*people));
	char *groups = strdup(names->groups);
	if (!gathering || !people || !groups) {
		free(gathering);
		free(people);
		free(groups);
		done(context, ERR_SYSTEM, NULL);
		return;
	}
	*gathering = (struct gathering){.people = people, .groups = groups, .broker = broker, .done = done, .context = context};
	gathering->query.done = on_groups;
	gathering->query.context = gathering;
	gathering->result = add_everybody(gathering, names);
	go_on(gathering);
}

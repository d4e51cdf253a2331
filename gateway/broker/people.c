/* people.c: walks the registry and asks the name services, one user after the other. */
#include "people.h"

#include <stdlib.h>
#include <string.h>

#include "broker.h"
#include "groups.h"
#include "sallyport/conf.h"

struct gathering {
	struct people people;
	struct groups_query query;
	struct broker *broker;
	size_t next;
	bool inside, answered;
	int result;
	people_done done;
	void *context;
};

static void gathering_free(struct gathering *gathering)
{
	for (size_t i = 0; i < gathering->people.count; i++) {
		struct person *person = &gathering->people.list[i];
		for (size_t j = 0; j < person->group_count; j++)
			free(person->groups[j]);
		free(person->groups);
		free(person->user);
	}
	free(gathering->people.list);
	free(gathering);
}

static int add_device(struct people *people, const struct device *device)
{
	size_t position = 0;
	struct view user;
	while (conf_list_next(device->users, &position, &user)) {
		struct person *grown = reallocarray(people->list, people->count + 1, sizeof(*grown));
		if (!grown)
			return ERR_SYSTEM;
		people->list = grown;
		grown[people->count] = (struct person){.device = device, .user = view_duplicate(user)};
		if (!grown[people->count++].user)
			return ERR_SYSTEM;
	}
	return 0;
}

static int copy_groups(struct person *person, const char *const *names, size_t count)
{
	person->groups = calloc(count + 1, sizeof(*person->groups));
	for (size_t i = 0; person->groups && i < count; i++) {
		person->groups[i] = strdup(names[i]);
		if (!person->groups[i])
			return ERR_SYSTEM;
		person->group_count++;
	}
	return person->groups ? 0 : ERR_SYSTEM;
}

static void finish(struct gathering *gathering)
{
	static const struct people nobody = {.count = 0};
	gathering->done(gathering->context, gathering->result, gathering->result < 0 ? &nobody : &gathering->people);
	gathering_free(gathering);
}

/* Answers may come at once: a loop, not a recursion as deep as there are people. */
static void go_on(struct gathering *gathering)
{
	while (gathering->result == 0 && gathering->next < gathering->people.count) {
		gathering->answered = false;
		gathering->inside = true;
		groups_of(gathering->broker->groups, gathering->people.list[gathering->next].user, &gathering->query);
		gathering->inside = false;
		if (!gathering->answered)
			return;
	}
	finish(gathering);
}

static void on_groups(struct groups_query *query, int result, const char *const *names, size_t count)
{
	struct gathering *gathering = query->context;
	gathering->answered = true;
	gathering->result = result < 0 ? ERR_SYSTEM : copy_groups(&gathering->people.list[gathering->next], names, count);
	gathering->next++;
	if (!gathering->inside)
		go_on(gathering);
}

void people_gather(struct broker *broker, people_done done, void *context)
{
	static const struct people nobody = {.count = 0};
	struct gathering *gathering = calloc(1, sizeof(*gathering));
	const struct device *device;
	if (!gathering) {
		done(context, ERR_SYSTEM, &nobody);
		return;
	}
	gathering->broker = broker;
	gathering->done = done;
	gathering->context = context;
	gathering->query.done = on_groups;
	gathering->query.context = gathering;
	LIST_FOREACH(device, &broker->registry.devices, all)
		if (gathering->result == 0)
			gathering->result = add_device(&gathering->people, device);
	go_on(gathering);
}

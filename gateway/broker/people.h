/* people.h: everybody who may log in: each user with each device that he is bound to, and his groups. */
#ifndef SALLYPORT_BROKER_PEOPLE_H
#define SALLYPORT_BROKER_PEOPLE_H

#include <stddef.h>

struct broker;
struct device;

struct person {
	char *user;
	const struct device *device;
	char **groups;
	size_t group_count;
};

struct people {
	struct person *list;
	size_t count;
};

/* Collects them; the name services are asked for each user. result 0, or ERR_SYSTEM: nobody is in `people` then. The
 * people are borrowed for the call. */
typedef void (*people_done)(void *context, int result, const struct people *people);
void people_gather(struct broker *broker, people_done done, void *context);

#endif

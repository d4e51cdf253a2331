/* people.h: everybody who may log in, as copies: each user with each device that he is bound to, and his groups. On a device
 * for any user these are all users who are known by name, somebody whom nobody knows, and a member of each group. */
#ifndef SALLYPORT_BROKER_PEOPLE_H
#define SALLYPORT_BROKER_PEOPLE_H

#include <stddef.h>

struct broker;

struct person {
	char *user; /* PEOPLE_UNKNOWN: whoever is not known by name */
	char *device, *tags; /* tags: one a line */
	char *key_kind; /* of the certificate that counts (registry_key_kind); NULL: the device has none */
	char **groups;
	size_t group_count;
};

/* No user's name in a policy: there it means everybody. */
#define PEOPLE_UNKNOWN "*"
/* All pairs together. */
#define PEOPLE_MAX 200000

struct people {
	struct person *list;
	size_t count;
};
/* NULL-safe. */
void people_free(struct people *people);

/* Names beyond those that devices are bound to, one a line; copied. */
struct people_names {
	const char *users, *groups;
};
/* Collects them; the name services are asked for each user. result 0, then `people` is the receiver's; ERR_SYSTEM (the
 * name services failed, or no memory), ERR_LIMIT. */
typedef void (*people_done)(void *context, int result, struct people *people);
void people_gather(struct broker *broker, const struct people_names *names, people_done done, void *context);

#endif

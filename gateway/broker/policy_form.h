/* policy_form.h: the compiled form of a policy, shared by policy_parse.c (which makes it) and policy.c (which asks it).
 *
 * A decision finds the resources of a target by hash (names, literal addresses, the suffixes of wildcards) and walks
 * only the networks; each resource knows the rules that name it.
 */
#ifndef SALLYPORT_BROKER_POLICY_FORM_H
#define SALLYPORT_BROKER_POLICY_FORM_H

#include "map.h"
#include "policy.h"

struct policy_words {
	char **list;
	size_t count;
};

/* "Mon-Fri 07:00-20:00" */
struct policy_hours {
	uint8_t days; /* bit 0: Monday */
	uint16_t from, to; /* minutes of the day; from < to */
};

struct policy_rule {
	char *name;
	struct policy_words users, groups, devices, device_tags, resources;
	bool deny;
	bool everything; /* resources = {"*"} */
	uint64_t fresh_login_ms; /* 0: no condition */
	struct policy_hours *hours;
	size_t hours_count;
	const char *file; /* the name of policy_file; borrowed while parsing */
	int line;         /* of `resources` */
};

enum policy_entry_kind { POLICY_NAME, POLICY_SUFFIX, POLICY_ADDRESS, POLICY_NETWORK };

/* One address of a resource. */
struct policy_entry {
	enum policy_entry_kind kind;
	struct policy_resource *resource;
	char host[TARGET_HOST_MAX + 2]; /* canonical; a suffix begins with its dot */
	uint16_t first_port, last_port;
	struct sockaddr_storage address; /* of ADDRESS and NETWORK */
	unsigned prefix;                 /* of NETWORK, in bits */
	struct map_entry by_host;        /* the first entry of a host stands in the map, the others behind it */
	struct policy_entry *next_of_host;
};

struct policy_resource {
	char *name, *description, *kind, *addresses;
	struct policy_entry *entries;
	size_t entry_count;
	const struct policy_rule **rules; /* that name it, in the order of the files */
	size_t rule_count;
	size_t order; /* its place in the files */
};

struct policy {
	struct policy_resource **resources;
	size_t resource_count;
	struct policy_rule **rules;
	size_t rule_count;
	struct map hosts; /* names, literal addresses, suffixes */
	struct policy_entry **networks;
	size_t network_count;
};

#endif

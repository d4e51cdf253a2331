/* policy_form.h: the compiled form of a policy, shared by the files policy*.c: policy_parse.c makes it, policy_compile.c
 * indexes it, policy.c asks it, policy_hours.c knows time, policy_address.c addresses.
 *
 * A decision finds the resources of a target by hash (names, literal addresses, suffixes of wildcards, networks by their
 * length), and then walks the shorter of two lists: the rules that name these resources, or the rules that name this
 * person. Rules for everybody and rules for everything stand in lists of their own, so that memory grows with the text.
 */
#ifndef SALLYPORT_BROKER_POLICY_FORM_H
#define SALLYPORT_BROKER_POLICY_FORM_H

#include "map.h"
#include "policy.h"
#include "policy_syntax.h"

/* Sorted; "*" is `all` and not in the list. */
struct policy_words {
	char **list;
	size_t count;
	bool all;
};

/* "Mon-Fri 07:00-20:00" */
struct policy_hours {
	uint8_t days;      /* bit 0: Monday */
	uint16_t from, to; /* minutes of the day; from < to */
};

/* Offsets from UTC, oldest first (policy_hours.c). */
struct policy_zone {
	struct {
		int64_t from; /* seconds since 1970; the first is INT64_MIN */
		int32_t offset_s;
	} *parts;
	size_t count;
};

struct policy_calendar {
	struct map_entry by_name;
	char *name;
	struct policy_zone *zone; /* NULL: the gateway's local time */
	uint32_t *holidays;       /* year * 10000 + month * 100 + day; year 0: every year */
	size_t holiday_count;
};

struct policy_network {
	struct sockaddr_storage address;
	unsigned prefix; /* bits */
};

struct policy_rules {
	const struct policy_rule **list; /* in the order of the files */
	size_t count;
};

struct policy_rule {
	struct map_entry by_name;
	char *name;
	size_t order; /* its place in the files */
	struct policy_words users, groups, devices, device_tags, key_kinds, realms;
	const struct policy_resource **resources; /* sorted by address */
	size_t resource_count;
	struct policy_network *from;
	size_t from_count;
	bool everything; /* resources = {"*"} */
	bool deny;
	uint64_t fresh_login_ms, max_lease_ms, idle_timeout_ms, max_tunnels; /* 0: no condition */
	uint64_t max_rate; /* bytes a second, each way; 0: no limit */
	struct policy_hours *hours;
	size_t hours_count;
	const struct policy_calendar *calendar; /* NULL: local time, no holidays */
	struct policy_place place;              /* while parsing */
};

enum policy_entry_kind { POLICY_NAME, POLICY_SUFFIX, POLICY_ADDRESS, POLICY_NETWORK };

/* How a network is found: its family, its length, its first bits. */
struct policy_network_key {
	uint8_t family, prefix, bits[16];
};

/* One address of a resource. */
struct policy_entry {
	enum policy_entry_kind kind;
	struct policy_resource *resource;
	char host[TARGET_HOST_MAX + 2]; /* canonical; a suffix begins with its dot */
	struct policy_network_key key;  /* of NETWORK */
	uint16_t first_port, last_port;
	struct sockaddr_storage address; /* of ADDRESS and NETWORK */
	unsigned prefix;                 /* of NETWORK, in bits */
	struct map_entry by_host;        /* the first entry of a host stands in the map, the others behind it */
	struct policy_entry *next_of_host;
};

struct policy_resource {
	struct map_entry by_name;
	char *name, *description, *kind, *addresses;
	struct policy_entry *entries;
	size_t entry_count;
	struct policy_rules rules; /* that name it */
	size_t order;              /* its place in the files */
	struct policy_place place; /* while parsing */
};

/* A user or a group, and the rules that name it. */
struct policy_person {
	struct map_entry by_key;
	struct policy_rules rules;
	char key[]; /* "u" or "g", then the name */
};

struct policy {
	unsigned holds; /* beyond the first */
	struct policy_resource **resources;
	size_t resource_count;
	struct policy_rule **rules;
	size_t rule_count;
	struct policy_calendar **calendars;
	size_t calendar_count;
	struct policy_person **persons;
	size_t person_count;
	struct map hosts;    /* names, literal addresses, suffixes */
	struct map networks; /* by policy_network_key */
	struct map persons_by_key, resources_by_name, rules_by_name, calendars_by_name;
	uint8_t lengths[2][129]; /* [is IPv6][prefix]: 1 when there is such a network */
	bool counts_tunnels;            /* some rule has max_tunnels */
	struct policy_rules everybody;  /* users = {"*"} or groups = {"*"} */
	struct policy_rules everywhere; /* resources = {"*"} */
	struct policy_rules timed_denials; /* that deny at their hours */
};

/* ---- policy_address.c ---- */
[[nodiscard]] int policy_entry_parse(const char *text, struct policy_entry *entry, struct diag *diag);
[[nodiscard]] int policy_network_parse(struct view text, struct policy_network *out_network, struct diag *diag);
bool policy_in_network(const struct sockaddr_storage *network, unsigned prefix, const struct sockaddr_storage *address);
void policy_network_key(const struct sockaddr_storage *address, unsigned prefix, struct policy_network_key *out_key);

/* ---- policy_hours.c ---- */
[[nodiscard]] int policy_hours_parse(const char *text, struct policy_hours *out_hours);
/* "2026-12-24", or "12-24" for every year. */
[[nodiscard]] int policy_date_parse(const char *text, uint32_t *out_date);
/* From the system's time zone files; read while a policy is parsed, never while one decides. */
[[nodiscard]] int policy_zone_load(const char *name, struct policy_zone **out_zone, struct diag *diag);
void policy_zone_free(struct policy_zone *zone);
/* Whether one of the hours is open at that second. */
bool policy_is_open(const struct policy_rule *rule, int64_t time_s, int32_t local_offset_s);

/* How far east of UTC the rule's clock is. */
int32_t policy_offset_s(const struct policy_rule *rule, int64_t time_s, int32_t local_offset_s);

/* ---- policy_compile.c ---- */
/* Indexes everything. ERR_SYSTEM without memory. */
[[nodiscard]] int policy_compile(struct policy *policy);
[[nodiscard]] int policy_rules_add(struct policy_rules *rules, const struct policy_rule *rule);
bool policy_words_have(const struct policy_words *words, const char *word);

/* ---- policy_warn.c ---- */
/* Rules that can never match, resources that no rule mentions. The places of the form must still be valid. */
void policy_warn_all(const struct policy *policy, struct policy_errors *errors);

/* ---- policy.c ---- */
/* Why a rule does not apply, in the order in which conditions are asked. What the user can mend himself comes last. */
enum policy_lack {
	POLICY_LACKS_NOTHING,
	POLICY_LACKS_PERSON,
	POLICY_LACKS_DEVICE,
	POLICY_LACKS_TAG,
	POLICY_LACKS_KEY_KIND,
	POLICY_LACKS_SOURCE,
	POLICY_LACKS_REALM,
	POLICY_LACKS_HOURS,
	POLICY_LACKS_TUNNELS,
	POLICY_LACKS_LEASE,
	POLICY_LACKS_FRESH_LOGIN,
	POLICY_LACKS_TRAFFIC,
};
/* The resources that a target means, in the order in which they are found; at most `capacity`. */
size_t policy_match(const struct policy *policy, const struct target *target, const struct policy_resource **out_resources,
		    size_t capacity);
bool policy_rule_covers(const struct policy_rule *rule, const struct policy_resource *resource);
enum policy_lack policy_lack_of(const struct policy_rule *rule, const struct policy_facts *facts);

#endif

/* policy.c: the decision. Pure; policy_parse.c made the form that is asked here.
 *
 * Which addresses a name may resolve to is asked again after the resolver has answered (policy_address_allowed):
 * the policy names names, an attacker may own what they point to.
 */
#include "policy.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "policy_form.h"
#include "sallyport/conf.h"
#include "sallyport/realm.h"
#include "sallyport/str.h"

/* ---- conditions of a rule ---- */

static bool is_for_person(const struct policy_rule *rule, const struct policy_facts *facts)
{
	if (!*facts->user)
		return false;
	if (policy_words_have(&rule->users, facts->user))
		return true;
	for (size_t i = 0; i < facts->group_count; i++)
		if (policy_words_have(&rule->groups, facts->groups[i]))
			return true;
	return false;
}

static bool is_condition(const struct policy_words *words)
{
	return words->all || words->count;
}

static bool has_tag(const struct policy_rule *rule, const char *tags)
{
	size_t position = 0;
	struct view tag;
	while (conf_list_next(tags, &position, &tag)) {
		if (rule->device_tags.all)
			return true;
		for (size_t i = 0; i < rule->device_tags.count; i++)
			if (view_is(tag, rule->device_tags.list[i]))
				return true;
	}
	return false;
}

/* "ec-p256" is of the kind "ec-p256" and of the kind "ec". */
static bool is_of_kind(const struct policy_rule *rule, const char *key_kind)
{
	if (!key_kind || !*key_kind)
		return false;
	for (size_t i = 0; i < rule->key_kinds.count; i++) {
		size_t length = strlen(rule->key_kinds.list[i]);
		if (strncmp(key_kind, rule->key_kinds.list[i], length) == 0 && (!key_kind[length] || key_kind[length] == '-'))
			return true;
	}
	return rule->key_kinds.all;
}

static bool is_from(const struct policy_rule *rule, const struct policy_facts *facts)
{
	for (size_t i = 0; facts->source && i < rule->from_count; i++)
		if (policy_in_network(&rule->from[i].address, rule->from[i].prefix, facts->source))
			return true;
	return facts->any_source && !rule->deny;
}

/* What allows must be open at all of the moments, what denies at one: a doubt about the time opens nothing. */
static bool is_open(const struct policy_rule *rule, const struct policy_facts *facts)
{
	if (facts->any_time)
		return !rule->deny;
	for (unsigned i = 0; i < facts->time_count; i++)
		if (policy_is_open(rule, facts->times_s[i], facts->local_offset_s) == rule->deny)
			return rule->deny;
	return (facts->time_count > 0) != rule->deny;
}

static bool has_room(const struct policy_rule *rule, const struct policy_facts *facts)
{
	size_t used = 0;
	for (size_t i = 0; i < facts->tunnel_count; i++)
		used += strcmp(facts->tunnel_rules[i], rule->name) == 0;
	return used < rule->max_tunnels;
}

enum policy_lack policy_lack_of(const struct policy_rule *rule, const struct policy_facts *facts)
{
	if (!is_for_person(rule, facts))
		return POLICY_LACKS_PERSON;
	if (is_condition(&rule->devices) && !policy_words_have(&rule->devices, facts->device))
		return POLICY_LACKS_DEVICE;
	if (is_condition(&rule->device_tags) && !has_tag(rule, facts->tags))
		return POLICY_LACKS_TAG;
	if (is_condition(&rule->key_kinds) && !is_of_kind(rule, facts->key_kind))
		return POLICY_LACKS_KEY_KIND;
	if (rule->from_count && !is_from(rule, facts))
		return POLICY_LACKS_SOURCE;
	if (is_condition(&rule->realms) && !policy_words_have(&rule->realms, facts->realm ? facts->realm : REALM_DEFAULT))
		return POLICY_LACKS_REALM;
	if ((rule->hours_count || rule->calendar) && !is_open(rule, facts))
		return POLICY_LACKS_HOURS;
	if (rule->max_tunnels && !has_room(rule, facts))
		return POLICY_LACKS_TUNNELS;
	if (rule->max_lease_ms && facts->lease_age_ms > rule->max_lease_ms)
		return POLICY_LACKS_LEASE;
	if (rule->fresh_login_ms && facts->login_age_ms > rule->fresh_login_ms)
		return POLICY_LACKS_FRESH_LOGIN;
	if (rule->idle_timeout_ms && facts->idle_ms > rule->idle_timeout_ms)
		return POLICY_LACKS_TRAFFIC;
	return POLICY_LACKS_NOTHING;
}

/* What the user may know of it. */
static const struct {
	const char *code, *sentence;
} refusals[] = {
	[POLICY_LACKS_NOTHING] = {"not_allowed", "The policy does not allow this target for you on this device."},
	[POLICY_LACKS_TUNNELS] = {"too_many", "The policy allows no more tunnels to this target at the same time."},
	[POLICY_LACKS_LEASE] = {"lease_expired", "This target needs a younger session: log in anew."},
	[POLICY_LACKS_FRESH_LOGIN] = {"fresh_login_required", "This target needs a fresh login."},
	[POLICY_LACKS_TRAFFIC] = {"idle", "The tunnel was idle for too long."},
};

/* ---- targets ---- */

static bool has_port(const struct policy_entry *entry, uint16_t port)
{
	return port >= entry->first_port && port <= entry->last_port;
}

/* Walks the entries that match a target: the host itself, then its wildcard suffixes, then networks, long ones first. */
struct walk {
	const struct policy *policy;
	const struct target *target;
	const char *suffix;               /* the next dot of the host */
	const struct policy_entry *entry; /* the next of the present host */
	int length;                       /* of the next networks; -1: none is left */
};

static const struct policy_entry *entries_of(const struct policy *policy, const char *host)
{
	return MAP_FIND(&policy->hosts, view_string(host), struct policy_entry, by_host);
}

static struct walk walk_begin(const struct policy *policy, const struct target *target)
{
	return (struct walk){
		.policy = policy,
		.target = target,
		.suffix = target->is_address ? NULL : strchr(target->host, '.'),
		.entry = entries_of(policy, target->host),
		.length = !target->is_address ? -1 : target->address.ss_family == AF_INET6 ? 128 : 32,
	};
}

/* The next list of entries: of a suffix or a length of networks. */
static bool walk_on(struct walk *walk)
{
	if (walk->suffix) {
		walk->entry = entries_of(walk->policy, walk->suffix);
		walk->suffix = strchr(walk->suffix + 1, '.');
		return true;
	}
	const uint8_t *lengths = walk->policy->lengths[walk->target->address.ss_family == AF_INET6];
	while (walk->length >= 0 && !lengths[walk->length])
		walk->length--;
	if (walk->length < 0)
		return false;
	struct policy_network_key key;
	policy_network_key(&walk->target->address, (unsigned)walk->length, &key);
	walk->entry = MAP_FIND(&walk->policy->networks, view_of(&key, sizeof(key)), struct policy_entry, by_host);
	walk->length--;
	return true;
}

static const struct policy_resource *walk_next(struct walk *walk)
{
	do {
		while (walk->entry) {
			const struct policy_entry *entry = walk->entry;
			walk->entry = entry->next_of_host;
			if (has_port(entry, walk->target->port))
				return entry->resource;
		}
	} while (walk_on(walk));
	return NULL;
}

/* ---- the decision ---- */

/* The resources that are asked for. More than these: then the rules of each are walked, one resource after the other. */
enum { MATCHED_MAX = 64 };

/* A rule, and the first resource of the target that it names. */
struct choice {
	const struct policy_rule *rule; /* NULL: none */
	const struct policy_resource *resource;
};

struct decision {
	const struct policy *policy;
	const struct policy_facts *facts;
	const struct policy_resource *matched[MATCHED_MAX];
	size_t matched_count;
	struct choice denial, grant; /* the first of each, in the order of the files */
	struct choice nearly;        /* lacks only what the user can mend himself */
	enum policy_lack lack;       /* of `nearly` */
};

static bool stands_before(const struct policy_rule *rule, const struct choice *other)
{
	return !other->rule || rule->order < other->rule->order;
}

static void weigh(struct decision *decision, const struct policy_rule *rule, const struct policy_resource *resource)
{
	struct choice choice = {rule, resource};
	if (!stands_before(rule, rule->deny ? &decision->denial : &decision->grant))
		return;
	enum policy_lack lack = policy_lack_of(rule, decision->facts);
	if (lack == POLICY_LACKS_NOTHING && rule->deny) {
		decision->denial = choice;
	} else if (lack == POLICY_LACKS_NOTHING) {
		decision->grant = choice;
	} else if (!rule->deny && lack >= POLICY_LACKS_TUNNELS &&
		   (lack > decision->lack || (lack == decision->lack && stands_before(rule, &decision->nearly)))) {
		decision->nearly = choice;
		decision->lack = lack;
	}
}

static void weigh_all(struct decision *decision, const struct policy_rules *rules, const struct policy_resource *resource)
{
	for (size_t i = 0; i < rules->count; i++)
		weigh(decision, rules->list[i], resource);
}

bool policy_rule_covers(const struct policy_rule *rule, const struct policy_resource *resource)
{
	size_t low = 0, high = rule->resource_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if ((uintptr_t)rule->resources[middle] < (uintptr_t)resource)
			low = middle + 1;
		else
			high = middle;
	}
	return rule->everything || (low < rule->resource_count && rule->resources[low] == resource);
}

static void weigh_covering(struct decision *decision, const struct policy_rules *rules)
{
	for (size_t i = 0; i < rules->count; i++)
		for (size_t j = 0; j < decision->matched_count; j++)
			if (policy_rule_covers(rules->list[i], decision->matched[j])) {
				weigh(decision, rules->list[i], decision->matched[j]);
				break;
			}
}

static const struct policy_rules *rules_of_person(const struct policy *policy, char kind, const char *name)
{
	static const struct policy_rules none = {.count = 0};
	char key[512];
	/* A longer name is in no policy that was parsed from lines. */
	if ((size_t)snprintf(key, sizeof(key), "%c%s", kind, name) >= sizeof(key))
		return &none;
	const struct policy_person *person = MAP_FIND(&policy->persons_by_key, view_string(key), struct policy_person, by_key);
	return person ? &person->rules : &none;
}

/* The rules that name this person; returns how many there are, and weighs them when `decision` is given. */
static size_t by_person(struct decision *decision, const struct policy *policy, const struct policy_facts *facts)
{
	const struct policy_rules *rules = rules_of_person(policy, 'u', facts->user);
	size_t count = policy->everybody.count + rules->count;
	if (decision) {
		weigh_covering(decision, &policy->everybody);
		weigh_covering(decision, rules);
	}
	for (size_t i = 0; i < facts->group_count; i++) {
		rules = rules_of_person(policy, 'g', facts->groups[i]);
		count += rules->count;
		if (decision)
			weigh_covering(decision, rules);
	}
	return count;
}

static size_t rules_of_matched(const struct decision *decision)
{
	size_t count = decision->policy->everywhere.count;
	for (size_t i = 0; i < decision->matched_count; i++)
		count += decision->matched[i]->rules.count;
	return count;
}

static void weigh_matched(struct decision *decision)
{
	for (size_t i = 0; i < decision->matched_count; i++)
		weigh_all(decision, &decision->matched[i]->rules, decision->matched[i]);
}

static void decide(struct decision *decision)
{
	if (decision->matched_count == 0)
		return;
	size_t by_resource = rules_of_matched(decision);
	/* Looking the person up costs more than a few rules. */
	if (by_resource > 16 && by_person(NULL, decision->policy, decision->facts) < by_resource) {
		(void)by_person(decision, decision->policy, decision->facts);
		return;
	}
	weigh_matched(decision);
	weigh_all(decision, &decision->policy->everywhere, decision->matched[0]);
}

static uint64_t left(uint64_t limit_ms, uint64_t age_ms)
{
	return !limit_ms ? UINT64_MAX : limit_ms > age_ms ? limit_ms - age_ms : 0;
}

static uint64_t firm_ms(const struct policy_rule *rule, const struct policy_facts *facts)
{
	uint64_t login = left(rule->fresh_login_ms, facts->login_age_ms), lease = left(rule->max_lease_ms, facts->lease_age_ms);
	return lease < login ? lease : login;
}

static uint64_t holds_ms(const struct policy_rule *rule, const struct policy_facts *facts)
{
	uint64_t firm = firm_ms(rule, facts), idle = left(rule->idle_timeout_ms, facts->idle_ms);
	return idle < firm ? idle : firm;
}

/* What decided; without a rule the first resource of the target, if there is one. */
static struct choice chosen(const struct decision *decision)
{
	const struct choice *const order[] = {&decision->denial, &decision->grant, &decision->nearly};
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		if (order[i]->rule)
			return *order[i];
	return (struct choice){NULL, decision->matched_count ? decision->matched[0] : NULL};
}

static uint64_t limit_of(const struct policy_rule *rule, enum policy_lack lack)
{
	return lack == POLICY_LACKS_FRESH_LOGIN ? rule->fresh_login_ms : lack == POLICY_LACKS_LEASE ? rule->max_lease_ms : 0;
}

static struct policy_verdict conclude(const struct decision *decision)
{
	struct choice choice = chosen(decision);
	const struct policy_rule *rule = choice.rule;
	bool denied = decision->denial.rule, allowed = decision->grant.rule && !denied;
	enum policy_lack lack = denied ? POLICY_LACKS_NOTHING : decision->lack;
	return (struct policy_verdict){
		.allowed = allowed,
		.code = allowed ? "" : refusals[lack].code,
		.sentence = allowed ? "" : refusals[lack].sentence,
		.rule = rule ? rule->name : "",
		.resource = choice.resource ? choice.resource->name : "",
		.matched = choice.resource,
		.needs_ms = allowed || denied ? 0 : limit_of(rule, lack),
		.holds_ms = allowed ? holds_ms(rule, decision->facts) : 0,
		.firm_ms = allowed ? firm_ms(rule, decision->facts) : 0,
		.idle_timeout_ms = allowed ? rule->idle_timeout_ms : 0,
		.max_rate = allowed ? rule->max_rate : 0,
	};
}

/* Adds a resource once; a full list is weighed at once, and only its first resource is kept. */
static void match(struct decision *decision, const struct policy_resource *resource)
{
	for (size_t i = 0; i < decision->matched_count; i++)
		if (decision->matched[i] == resource)
			return;
	if (decision->matched_count == MATCHED_MAX) {
		weigh_matched(decision);
		decision->matched_count = 1;
	}
	decision->matched[decision->matched_count++] = resource;
}

void policy_sentence(const struct policy_verdict *verdict, char *out_text, size_t capacity)
{
	char limit[32];
	str_from_duration_ms(verdict->needs_ms, limit, sizeof(limit));
	if (!verdict->needs_ms)
		str_copy(out_text, capacity, verdict->sentence);
	else
		snprintf(out_text, capacity, "This target needs a %s from the last %s: log in anew.",
			 strcmp(verdict->code, "lease_expired") == 0 ? "session" : "login", limit);
}

void policy_decide(const struct policy *policy, const struct policy_facts *facts, const struct target *target,
		   struct policy_verdict *out_verdict)
{
	struct decision decision = {.policy = policy, .facts = facts};
	struct walk walk = walk_begin(policy, target);
	const struct policy_resource *resource;
	while ((resource = walk_next(&walk)))
		match(&decision, resource);
	decide(&decision);
	*out_verdict = conclude(&decision);
}

void policy_decide_resource(const struct policy *policy, const struct policy_facts *facts,
			    const struct policy_resource *resource, struct policy_verdict *out_verdict)
{
	struct decision decision = {.policy = policy, .facts = facts, .matched = {resource}, .matched_count = 1};
	decide(&decision);
	*out_verdict = conclude(&decision);
}

/* ---- addresses (B2) ---- */

static bool is_special_ipv4(uint32_t address)
{
	static const struct {
		uint32_t network;
		unsigned prefix;
	} special[] = {
		{0x00000000, 8},  /* unspecified, "this network" (RFC 1122) */
		{0x7f000000, 8},  /* loopback */
		{0xa9fe0000, 16}, /* link-local, and with it the clouds' metadata */
		{0xe0000000, 4},  /* multicast */
		{0xf0000000, 4},  /* reserved, broadcast */
		{0x64646464, 32}, /* metadata of Alibaba's cloud, in shared address space */
	};
	for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++)
		if ((address ^ special[i].network) >> (32 - special[i].prefix) == 0)
			return true;
	return false;
}

/* IPv4 addresses that travel inside IPv6 ones: compatible (RFC 4291), NAT64 (RFC 6052), 6to4 (RFC 3056). */
static bool carries_special_ipv4(const uint8_t *six)
{
	static const uint8_t compatible[12] = {0};
	static const uint8_t nat64[12] = {0, 0x64, 0xff, 0x9b};
	const uint8_t *four = NULL;
	if (memcmp(six, compatible, 12) == 0 || memcmp(six, nat64, 12) == 0)
		four = six + 12;
	else if (six[0] == 0x20 && six[1] == 0x02)
		four = six + 2;
	return four && is_special_ipv4((uint32_t)four[0] << 24 | (uint32_t)four[1] << 16 | (uint32_t)four[2] << 8 | four[3]);
}

static bool is_special_ipv6(const struct in6_addr *address)
{
	static const uint8_t metadata[16] = {0xfd, 0x00, 0x0e, 0xc2, [14] = 0x02, [15] = 0x54};
	return IN6_IS_ADDR_UNSPECIFIED(address) || IN6_IS_ADDR_LOOPBACK(address) || IN6_IS_ADDR_LINKLOCAL(address) ||
	       IN6_IS_ADDR_SITELOCAL(address) || IN6_IS_ADDR_MULTICAST(address) ||
	       memcmp(address->s6_addr, metadata, sizeof(metadata)) == 0 || carries_special_ipv4(address->s6_addr);
}

static bool same_address(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	return policy_in_network(b, b->ss_family == AF_INET6 ? 128 : 32, a);
}

static bool is_special(const struct sockaddr_storage *address, const struct policy_own_addresses *own)
{
	bool special = address->ss_family == AF_INET6
			       ? is_special_ipv6(&((const struct sockaddr_in6 *)address)->sin6_addr)
			       : is_special_ipv4(ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr));
	for (size_t i = 0; !special && i < own->count; i++)
		special = same_address(address, &own->list[i]);
	return special;
}

bool policy_address_allowed(const struct policy_resource *resource, const struct sockaddr *address,
			    const struct policy_own_addresses *own)
{
	struct sockaddr_storage plain = {0};
	if (address->sa_family != AF_INET && address->sa_family != AF_INET6)
		return false;
	memcpy(&plain, address, address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in));
	target_unmap(&plain);
	if (!is_special(&plain, own))
		return true;
	for (size_t i = 0; i < resource->entry_count; i++)
		if (resource->entries[i].kind == POLICY_ADDRESS && same_address(&plain, &resource->entries[i].address))
			return true;
	return false;
}

/* ---- telling ---- */

const struct policy_resource *policy_next_resource(const struct policy *policy, size_t *position)
{
	return *position < policy->resource_count ? policy->resources[(*position)++] : NULL;
}

const char *policy_resource_name(const struct policy_resource *resource)
{
	return resource->name;
}

const char *policy_resource_description(const struct policy_resource *resource)
{
	return resource->description;
}

const char *policy_resource_kind(const struct policy_resource *resource)
{
	return resource->kind && *resource->kind ? resource->kind : "tcp";
}

const char *policy_resource_addresses(const struct policy_resource *resource)
{
	return resource->addresses;
}

const struct policy_resource *policy_resource_named(const struct policy *policy, const char *name)
{
	return MAP_FIND(&policy->resources_by_name, view_string(name), struct policy_resource, by_name);
}

size_t policy_resource_count(const struct policy *policy)
{
	return policy->resource_count;
}

size_t policy_rule_count(const struct policy *policy)
{
	return policy->rule_count;
}

const char *policy_next_person(const struct policy *policy, size_t *position, const char **out_rule)
{
	const struct policy_person *person = *position < policy->person_count ? policy->persons[(*position)++] : NULL;
	if (person && out_rule)
		*out_rule = person->rules.list[0]->name;
	return person ? person->key : NULL;
}

const char *policy_next_name(const struct policy_resource *resource, size_t *position)
{
	while (*position < resource->entry_count) {
		const struct policy_entry *entry = &resource->entries[(*position)++];
		if (entry->kind == POLICY_NAME)
			return entry->host;
	}
	return NULL;
}

bool policy_counts_tunnels(const struct policy *policy)
{
	return policy->counts_tunnels;
}

/* The resources that a target means, in the order in which they are found; at most `capacity`. */
size_t policy_match(const struct policy *policy, const struct target *target, const struct policy_resource **out_resources,
		    size_t capacity)
{
	struct walk walk = walk_begin(policy, target);
	const struct policy_resource *resource;
	size_t count = 0;
	while (count < capacity && (resource = walk_next(&walk))) {
		bool known = false;
		for (size_t i = 0; i < count; i++)
			known |= out_resources[i] == resource;
		if (!known)
			out_resources[count++] = resource;
	}
	return count;
}

/* ---- names of resources as targets ---- */

bool policy_follow_name(const struct policy *policy, struct target *target)
{
	const struct policy_entry *found = NULL;
	if (target->is_address || MAP_FIND(&policy->hosts, view_string(target->host), struct policy_entry, by_host))
		return false;
	const struct policy_resource *resource = policy_resource_named(policy, target->host);
	for (size_t i = 0; resource && i < resource->entry_count; i++) {
		const struct policy_entry *entry = &resource->entries[i];
		if (target->port < entry->first_port || target->port > entry->last_port)
			continue;
		/* Of several hosts, or of a network, the name says none. */
		if (found || (entry->kind != POLICY_NAME && entry->kind != POLICY_ADDRESS))
			return false;
		found = entry;
	}
	return found && target_parse(view_string(found->host), target->port, target, NULL) == 0;
}

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

/* ---- conditions of a rule ---- */

static bool has_word(const struct policy_words *words, const char *word)
{
	for (size_t i = 0; i < words->count; i++)
		if (strcmp(words->list[i], word) == 0 || strcmp(words->list[i], "*") == 0)
			return true;
	return false;
}

static bool is_for_person(const struct policy_rule *rule, const struct policy_facts *facts)
{
	if (!*facts->user)
		return false;
	if (has_word(&rule->users, facts->user))
		return true;
	for (size_t i = 0; i < facts->group_count; i++)
		if (has_word(&rule->groups, facts->groups[i]))
			return true;
	return false;
}

static bool has_tag(const struct policy_rule *rule, const char *tags)
{
	size_t position = 0;
	struct view tag;
	while (conf_list_next(tags, &position, &tag))
		for (size_t i = 0; i < rule->device_tags.count; i++)
			if (view_is(tag, rule->device_tags.list[i]))
				return true;
	return false;
}

static bool is_for_device(const struct policy_rule *rule, const struct policy_facts *facts)
{
	bool named = rule->devices.count == 0 || has_word(&rule->devices, facts->device);
	return named && (rule->device_tags.count == 0 || has_tag(rule, facts->tags));
}

static bool is_in_hours(const struct policy_rule *rule, const struct policy_facts *facts)
{
	for (size_t i = 0; i < rule->hours_count; i++) {
		const struct policy_hours *hours = &rule->hours[i];
		if ((hours->days & 1u << facts->weekday) && facts->minute >= hours->from && facts->minute < hours->to)
			return true;
	}
	return rule->hours_count == 0;
}

/* Why a rule does not apply, in the order in which the conditions are asked; "" when it does. A condition that the
 * user can meet himself (a fresh login) is asked last. */
static const char *missing_of(const struct policy_rule *rule, const struct policy_facts *facts)
{
	if (!is_for_person(rule, facts))
		return "the user is not among its users and in none of its groups";
	if (!is_for_device(rule, facts))
		return "the device is not among its devices or has none of its device_tags";
	if (!is_in_hours(rule, facts))
		return "it is outside its hours";
	if (rule->fresh_login_ms && facts->login_age_ms > rule->fresh_login_ms)
		return "the login is older than its fresh_login";
	return "";
}

static bool lacks_only_fresh_login(const struct policy_rule *rule, const struct policy_facts *facts)
{
	return rule->fresh_login_ms && facts->login_age_ms > rule->fresh_login_ms && is_for_person(rule, facts) &&
	       is_for_device(rule, facts) && is_in_hours(rule, facts);
}

/* ---- targets ---- */

static bool in_network(const struct policy_entry *entry, const struct sockaddr_storage *address)
{
	if (entry->address.ss_family != address->ss_family)
		return false;
	bool six = address->ss_family == AF_INET6;
	const uint8_t *a = six ? ((const struct sockaddr_in6 *)address)->sin6_addr.s6_addr
			       : (const uint8_t *)&((const struct sockaddr_in *)address)->sin_addr;
	const uint8_t *b = six ? ((const struct sockaddr_in6 *)&entry->address)->sin6_addr.s6_addr
			       : (const uint8_t *)&((const struct sockaddr_in *)&entry->address)->sin_addr;
	unsigned whole = entry->prefix / 8, rest = entry->prefix % 8;
	if (memcmp(a, b, whole) != 0)
		return false;
	return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

static bool has_port(const struct policy_entry *entry, uint16_t port)
{
	return port >= entry->first_port && port <= entry->last_port;
}

/* Walks the entries that match a target: the host itself, then its wildcard suffixes, then networks. */
struct walk {
	const struct policy *policy;
	const struct target *target;
	const char *suffix;               /* the next dot of the host */
	const struct policy_entry *entry; /* the next of the present host */
	size_t network;
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
	};
}

static const struct policy_entry *walk_hosts(struct walk *walk)
{
	for (;;) {
		const struct policy_entry *entry = walk->entry;
		if (entry) {
			walk->entry = entry->next_of_host;
			return entry;
		}
		if (!walk->suffix)
			return NULL;
		walk->entry = entries_of(walk->policy, walk->suffix);
		walk->suffix = strchr(walk->suffix + 1, '.');
	}
}

static const struct policy_entry *walk_networks(struct walk *walk)
{
	while (walk->target->is_address && walk->network < walk->policy->network_count) {
		const struct policy_entry *entry = walk->policy->networks[walk->network++];
		if (in_network(entry, &walk->target->address))
			return entry;
	}
	return NULL;
}

static const struct policy_resource *walk_next(struct walk *walk)
{
	const struct policy_entry *entry;
	while ((entry = walk_hosts(walk)) || (entry = walk_networks(walk)))
		if (has_port(entry, walk->target->port))
			return entry->resource;
	return NULL;
}

/* ---- the decision ---- */

static struct policy_verdict refusal(void)
{
	return (struct policy_verdict){
		.code = "not_allowed",
		.sentence = "The policy does not allow this target for you on this device.",
		.rule = "",
		.resource = "",
	};
}

/* Takes a resource's rules into account; true when a deny rule has decided. A deny rule denies also when only its
 * fresh login is missing: what is forbidden needs no freshness. */
static bool judge_resource(const struct policy_resource *resource, const struct policy_facts *facts,
			   struct policy_verdict *verdict)
{
	if (!verdict->matched) {
		verdict->matched = resource;
		verdict->resource = resource->name;
	}
	for (size_t i = 0; i < resource->rule_count; i++) {
		const struct policy_rule *rule = resource->rules[i];
		bool applies = !*missing_of(rule, facts);
		if (rule->deny && applies) {
			*verdict = refusal();
			verdict->matched = resource;
			verdict->resource = resource->name;
			verdict->rule = rule->name;
			return true;
		}
		if (verdict->allowed || rule->deny)
			continue;
		if (applies) {
			*verdict = (struct policy_verdict){.allowed = true, .code = "", .sentence = "", .rule = rule->name,
							   .resource = resource->name, .matched = resource};
		} else if (lacks_only_fresh_login(rule, facts)) {
			verdict->code = "fresh_login_required";
			verdict->sentence = "This target needs a fresh login.";
			verdict->rule = rule->name;
		}
	}
	return false;
}

void policy_decide(const struct policy *policy, const struct policy_facts *facts, const struct target *target,
		   struct policy_verdict *out_verdict)
{
	struct walk walk = walk_begin(policy, target);
	const struct policy_resource *resource;
	*out_verdict = refusal();
	while ((resource = walk_next(&walk)))
		if (judge_resource(resource, facts, out_verdict))
			return;
}

void policy_decide_resource(const struct policy *policy, const struct policy_facts *facts,
			    const struct policy_resource *resource, struct policy_verdict *out_verdict)
{
	(void)policy;
	*out_verdict = refusal();
	(void)judge_resource(resource, facts, out_verdict);
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
	struct policy_entry single = {.address = *b, .prefix = b->ss_family == AF_INET6 ? 128 : 32};
	return in_network(&single, a);
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

const char *policy_resource_addresses(const struct policy_resource *resource)
{
	return resource->addresses;
}

size_t policy_resource_count(const struct policy *policy)
{
	return policy->resource_count;
}

size_t policy_rule_count(const struct policy *policy)
{
	return policy->rule_count;
}

static int explain_resource(const struct policy_resource *resource, const struct policy_facts *facts, struct buf *out_text)
{
	int result = buf_add_format(out_text, "resource \"%s\" names this target\n", resource->name);
	for (size_t i = 0; result == 0 && i < resource->rule_count; i++) {
		const struct policy_rule *rule = resource->rules[i];
		const char *missing = missing_of(rule, facts);
		result = buf_add_format(out_text, "  rule \"%s\"%s: %s%s\n", rule->name, rule->deny ? " (deny)" : "",
					*missing ? "does not apply: " : "applies", missing);
	}
	if (result == 0 && resource->rule_count == 0)
		result = buf_add_string(out_text, "  no rule names it\n");
	return result;
}

int policy_explain(const struct policy *policy, const struct policy_facts *facts, const struct target *target,
		   struct buf *out_text)
{
	struct walk walk = walk_begin(policy, target);
	const struct policy_resource *resource;
	struct policy_verdict verdict;
	bool any = false;
	int result = 0;
	while (result == 0 && (resource = walk_next(&walk))) {
		any = true;
		result = explain_resource(resource, facts, out_text);
	}
	if (result == 0 && !any)
		result = buf_add_format(out_text, "no resource names %s port %u\n", target->host, target->port);
	policy_decide(policy, facts, target, &verdict);
	if (result < 0)
		return result;
	if (verdict.allowed)
		return buf_add_format(out_text, "allowed by rule \"%s\" (resource \"%s\")\n", verdict.rule, verdict.resource);
	return buf_add_format(out_text, "refused: %s%s%s%s\n", verdict.code, *verdict.rule ? ", by rule \"" : "", verdict.rule,
			      *verdict.rule ? "\"" : "");
}

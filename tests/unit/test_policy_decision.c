/* test_policy_decision.c: the compiled decision against a slow and obvious one, over a million random cases.
 *
 * The reference walks every rule and every address of every resource as they were drawn, before any text was made of
 * them: parser, index and decision are all under test. The seed is printed; give it as the argument to repeat a run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "../../gateway/broker/policy.h"

enum { POLICIES = 500, CASES = 2000, RESOURCES_MAX = 24, RULES_MAX = 60, WORDS = 6 };

static uint64_t seed = 20261124;

/* xorshift64*: the same everywhere. */
static unsigned draw(unsigned bound)
{
	static uint64_t state;
	if (!state)
		state = seed;
	state ^= state >> 12, state ^= state << 25, state ^= state >> 27;
	return (unsigned)((state * 0x2545f4914f6cdd1du) >> 33) % bound;
}

/* ---- what is drawn ---- */

static const char *const users[] = {"ann", "bob", "cid", "dan", "eve", "fay"};
static const char *const groups[] = {"g1", "g2", "g3", "g4", "g5", "g6"};
static const char *const devices[] = {"d1", "d2", "d3", "d4", "d5", "d6"};
static const char *const tags[] = {"t1", "t2", "t3", "t4", "t5", "t6"};
static const char *const kinds[] = {"EC P-256", "EC P-384", "RSA 2048", "RSA 4096", "Ed25519", "EC"};

struct address {
	int kind; /* 0 name, 1 wildcard, 2 network */
	unsigned number, prefix, low, high;
};
struct resource {
	struct address addresses[3];
	unsigned count;
};
struct rule {
	unsigned users, groups, devices, tags, kinds; /* bits; bit WORDS is "*" */
	uint32_t resources;
	bool everything, deny;
	unsigned from_prefix, from; /* prefix 0: no condition */
	unsigned day, hour_from, hour_to; /* hour_to 0: no condition */
	unsigned fresh, lease, idle, tunnels;
};
static struct resource resources[RESOURCES_MAX];
static struct rule rules[RULES_MAX];
static unsigned resource_count, rule_count;

struct question {
	unsigned user, groups, device, tags, kind, source, login_age, lease_age, idle, day, minute, tunnel_count;
	unsigned tunnels[4];
	bool is_address;
	unsigned host, port;
};

/* Few bits, mostly none. */
static unsigned draw_words(unsigned chance)
{
	unsigned words = 0;
	if (draw(100) >= chance)
		return 0;
	for (unsigned i = 0; i <= WORDS; i++)
		if (draw(i == WORDS ? 12 : 3) == 0)
			words |= 1u << i;
	return words;
}

static struct address draw_address(void)
{
	struct address address = {.kind = (int)draw(3), .number = draw(256), .prefix = 24 + draw(9), .low = 1 + draw(6)};
	if (address.kind != 2)
		address.number = draw(8);
	address.high = address.low + (draw(2) ? draw(4) : 0);
	return address;
}

static struct rule draw_rule(void)
{
	struct rule rule = {.users = draw_words(60), .groups = draw_words(50), .devices = draw_words(20), .tags = draw_words(20),
			    .kinds = draw_words(15), .everything = draw(10) == 0, .deny = draw(5) == 0};
	if (!rule.users && !rule.groups)
		rule.users = 1u << draw(WORDS + 1);
	rule.resources = (uint32_t)(1u << draw(resource_count)) | (draw(2) ? (uint32_t)(1u << draw(resource_count)) : 0);
	if (draw(5) == 0)
		rule.from_prefix = 24 + draw(9), rule.from = draw(256);
	if (draw(5) == 0)
		rule.day = draw(7), rule.hour_from = draw(20), rule.hour_to = rule.hour_from + 1 + draw(4);
	if (!rule.deny) {
		rule.fresh = draw(4) ? 0 : 1 + draw(20);
		rule.lease = draw(5) ? 0 : 1 + draw(20);
		rule.idle = draw(5) ? 0 : 1 + draw(20);
		rule.tunnels = draw(6) ? 0 : 1 + draw(3);
	}
	return rule;
}

/* ---- as text ---- */

static void write_words(FILE *out, const char *key, unsigned words, const char *const *names)
{
	if (!words)
		return;
	fprintf(out, " %s = {", key);
	for (unsigned i = 0; i <= WORDS; i++)
		if (words & 1u << i)
			fprintf(out, "\"%s\",", i == WORDS ? "*" : names[i]);
	fprintf(out, "}");
}

static void write_address(FILE *out, const struct address *address)
{
	fprintf(out, "\"%s", address->kind == 1 ? "*." : "");
	if (address->kind == 2)
		fprintf(out, "10.0.0.%u", address->number);
	else
		fprintf(out, "%s%u%s.example", address->kind ? "zone" : "host", address->number, address->kind ? "" : ".corp");
	if (address->kind == 2)
		fprintf(out, "/%u", address->prefix);
	fprintf(out, ":%u-%u\", ", address->low, address->high);
}

static void write_rule(FILE *out, unsigned number, const struct rule *rule)
{
	static const char days[7][4] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
	fprintf(out, "rule \"r%u\" {", number);
	write_words(out, "users", rule->users, users);
	write_words(out, "groups", rule->groups, groups);
	write_words(out, "devices", rule->devices, devices);
	write_words(out, "device_tags", rule->tags, tags);
	write_words(out, "key_kind", rule->kinds, kinds);
	fprintf(out, " resources = {");
	for (unsigned i = 0; i < resource_count; i++)
		if (rule->resources & 1u << i)
			fprintf(out, "\"s%u\", ", i);
	fprintf(out, "%s}%s", rule->everything ? "\"*\"" : "", rule->deny ? " deny = true" : "");
	if (rule->from_prefix)
		fprintf(out, " from = {\"192.0.2.%u/%u\"}", rule->from, rule->from_prefix);
	if (rule->hour_to)
		fprintf(out, " hours = \"%s %02u:00-%02u:00\"", days[rule->day], rule->hour_from, rule->hour_to);
	if (rule->fresh)
		fprintf(out, " fresh_login = \"%us\"", rule->fresh);
	if (rule->lease)
		fprintf(out, " max_lease = \"%us\"", rule->lease);
	if (rule->idle)
		fprintf(out, " idle_timeout = \"%us\"", rule->idle);
	if (rule->tunnels)
		fprintf(out, " max_tunnels = %u", rule->tunnels);
	fprintf(out, " }\n");
}

static struct policy *draw_policy(void)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	resource_count = 1 + draw(RESOURCES_MAX);
	rule_count = 1 + draw(RULES_MAX);
	for (unsigned i = 0; i < resource_count; i++) {
		resources[i].count = 1 + draw(3);
		fprintf(out, "resource \"s%u\" { address = {", i);
		for (unsigned j = 0; j < resources[i].count; j++) {
			resources[i].addresses[j] = draw_address();
			write_address(out, &resources[i].addresses[j]);
		}
		fprintf(out, "} }\n");
	}
	for (unsigned i = 0; i < rule_count; i++) {
		rules[i] = draw_rule();
		write_rule(out, i, &rules[i]);
	}
	fclose(out);
	struct policy_errors *errors = calloc(1, sizeof(*errors));
	struct policy *policy = NULL;
	const struct policy_file file = {"drawn", text};
	if (policy_parse(&file, 1, &policy, errors) < 0)
		fail_msg("%s\n%s", errors->list[0].text, text);
	free(errors);
	free(text);
	return policy;
}

/* ---- the reference ---- */

static bool names(unsigned words, unsigned number)
{
	return words & 1u << WORDS || words & 1u << number;
}

static bool meets(const struct address *address, const struct question *question)
{
	if (question->port < address->low || question->port > address->high)
		return false;
	if (address->kind == 2)
		return question->is_address && address->number >> (32 - address->prefix) == question->host >> (32 - address->prefix);
	return !question->is_address && question->host == address->number + (address->kind == 1 ? 8u : 0u);
}

static bool is_meant(unsigned resource, const struct question *question)
{
	for (unsigned i = 0; i < resources[resource].count; i++)
		if (meets(&resources[resource].addresses[i], question))
			return true;
	return false;
}

static bool is_named(const struct rule *rule, const struct question *question)
{
	for (unsigned i = 0; i < resource_count; i++)
		if ((rule->everything || rule->resources & 1u << i) && is_meant(i, question))
			return true;
	return false;
}

/* A key "EC P-256" is of the kinds "EC P-256" and "EC" (the last word drawn). */
static bool is_of_kind(const struct rule *rule, const struct question *question)
{
	return !rule->kinds || names(rule->kinds, question->kind) || (question->kind < 2 && rule->kinds & 1u << 5);
}

static bool is_met(const struct rule *rule, const struct question *question)
{
	bool person = names(rule->users, question->user) || (rule->groups & question->groups) ||
		      ((rule->groups & 1u << WORDS) && question->groups);
	bool tag = !rule->tags || (rule->tags & question->tags) || ((rule->tags & 1u << WORDS) && question->tags);
	bool from = !rule->from_prefix || rule->from >> (32 - rule->from_prefix) == question->source >> (32 - rule->from_prefix);
	bool open = !rule->hour_to || (rule->day == question->day && question->minute >= 60 * rule->hour_from &&
				       question->minute < 60 * rule->hour_to);
	return person && tag && from && open && (!rule->devices || names(rule->devices, question->device)) && is_of_kind(rule, question);
}

/* 0: applies; else what the user can mend: 1 tunnels, 2 lease, 3 login, 4 idle; the first that is asked for. */
static unsigned lack_of(unsigned number, const struct question *question)
{
	const struct rule *rule = &rules[number];
	unsigned used = 0;
	for (unsigned i = 0; i < question->tunnel_count; i++)
		used += question->tunnels[i] == number;
	if (rule->tunnels && used >= rule->tunnels)
		return 1;
	if (rule->lease && question->lease_age > rule->lease)
		return 2;
	if (rule->fresh && question->login_age > rule->fresh)
		return 3;
	return rule->idle && question->idle > rule->idle ? 4 : 0;
}

struct expectation {
	bool allowed;
	const char *code;
	int rule; /* -1: none */
};

static struct expectation expect(const struct question *question)
{
	static const char *const codes[] = {"not_allowed", "too_many", "lease_expired", "fresh_login_required", "idle"};
	int grant = -1, nearly = -1;
	unsigned most = 0;
	for (unsigned i = 0; i < rule_count; i++) {
		if (!is_named(&rules[i], question) || !is_met(&rules[i], question))
			continue;
		if (rules[i].deny)
			return (struct expectation){false, "not_allowed", (int)i};
		unsigned lack = lack_of(i, question);
		if (lack == 0 && grant < 0)
			grant = (int)i;
		if (lack > most)
			most = lack, nearly = (int)i;
	}
	if (grant >= 0)
		return (struct expectation){true, "", grant};
	return (struct expectation){false, codes[most], nearly};
}

/* ---- the questions ---- */

static struct question draw_question(void)
{
	struct question question = {.user = draw(WORDS), .groups = draw(3) ? draw(64) & draw(64) : 0, .device = draw(WORDS),
				    .tags = draw(64) & draw(64), .kind = draw(5), .source = draw(256), .login_age = draw(24),
				    .lease_age = draw(24), .idle = draw(24), .day = draw(7), .minute = draw(1440),
				    .tunnel_count = draw(5), .is_address = draw(3) == 0, .port = 1 + draw(8)};
	question.host = draw(question.is_address ? 256 : 16);
	for (unsigned i = 0; i < question.tunnel_count; i++)
		question.tunnels[i] = draw(rule_count);
	return question;
}

static void ask(const struct policy *policy, const struct question *question, struct policy_verdict *out_verdict)
{
	const char *names_of_groups[WORDS], *tunnel_rules[4];
	char lines[64] = "", host[64], names_of_rules[4][8];
	struct sockaddr_in source = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc0000200u | question->source)};
	struct sockaddr_storage from = {0};
	struct target target;
	struct policy_facts facts = {
		.user = users[question->user], .groups = names_of_groups, .device = devices[question->device], .tags = lines,
		.key_kind = kinds[question->kind], .source = &from, .login_age_ms = 1000 * question->login_age,
		.lease_age_ms = 1000 * question->lease_age, .idle_ms = 1000 * question->idle, .time_count = 1,
		/* 2026-11-23 was a Monday */
		.times_s = {1795392000 + question->day * 86400 + question->minute * 60}, .tunnel_rules = tunnel_rules,
		.tunnel_count = question->tunnel_count};
	memcpy(&from, &source, sizeof(source));
	for (unsigned i = 0; i < WORDS; i++) {
		if (question->groups & 1u << i)
			names_of_groups[facts.group_count++] = groups[i];
		if (question->tags & 1u << i)
			strcat(strcat(lines, tags[i]), "\n");
	}
	for (unsigned i = 0; i < question->tunnel_count; i++) {
		snprintf(names_of_rules[i], sizeof(names_of_rules[i]), "r%u", question->tunnels[i] % 1000);
		tunnel_rules[i] = names_of_rules[i];
	}
	if (question->is_address)
		snprintf(host, sizeof(host), "10.0.0.%u", question->host);
	else if (question->host < 8)
		snprintf(host, sizeof(host), "host%u.corp.example", question->host);
	else
		snprintf(host, sizeof(host), "%sx.Zone%u.example", draw(2) ? "y." : "", question->host - 8);
	assert_int_equal(target_parse(view_string(host), question->port, &target, NULL), 0);
	policy_decide(policy, &facts, &target, out_verdict);
}

static void test_B1_the_compiled_decision_is_the_obvious_one(void **state)
{
	unsigned allowed = 0, denied = 0;
	(void)state;
	print_message("seed %llu\n", (unsigned long long)seed);
	for (unsigned i = 0; i < POLICIES; i++) {
		struct policy *policy = draw_policy();
		for (unsigned j = 0; j < CASES; j++) {
			struct question question = draw_question();
			struct expectation expected = expect(&question);
			struct policy_verdict verdict;
			char rule[16] = "";
			ask(policy, &question, &verdict);
			if (expected.rule >= 0)
				snprintf(rule, sizeof(rule), "r%d", expected.rule);
			if (verdict.allowed != expected.allowed || strcmp(verdict.code, expected.code) || strcmp(verdict.rule, rule))
				fail_msg("policy %u, case %u: %d %s %s, and the reference says %d %s %s", i, j, verdict.allowed,
					 verdict.code, verdict.rule, expected.allowed, expected.code, rule);
			allowed += expected.allowed;
			denied += !expected.allowed && expected.rule >= 0;
		}
		policy_free(policy);
	}
	print_message("%u cases: %u allowed, %u refused by a rule\n", POLICIES * CASES, allowed, denied);
	assert_true(allowed > POLICIES * CASES / 50 && denied > POLICIES * CASES / 50);
}

int main(int count, char **arguments)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_B1_the_compiled_decision_is_the_obvious_one)};
	if (count > 1)
		seed = strtoull(arguments[1], NULL, 10);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_policy_decision.c: the compiled decision against a slow and obvious one, over a million random cases.
 *
 * The reference walks every rule and every address of every resource as they were drawn, before any text was made of
 * them: parser, index and decision are all under test. Each run draws anew; its seed is printed: give it as the argument,
 * or in POLICY_SEED, to repeat that run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sys/random.h>

#include "../../gateway/broker/policy.h"

/* One policy of MANY_EACH has many resources that name the same few hosts: more than one decision keeps. */
enum { POLICIES = 500, CASES = 2000, MANY_EACH = 20, FEW = 24, RESOURCES_MAX = 300, RULES_MAX = 60, WORDS = 6 };

static uint64_t seed;

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
static const char *const realms[] = {"default", "r2", "r3", "r4", "r5", "r6"};
/* As certificates have them, and as an admin may spell them. */
static const char *const kinds[] = {"ec-p256", "ec-p384", "rsa-2048", "rsa-4096", "ed25519", "ec"};
static const char *const kinds_spelled[] = {"EC P-256", "ec-P384", "rsa-2048", "RSA 4096", "Ed25519", "EC"};

struct address {
	int kind; /* 0 name, 1 wildcard, 2 IPv4 network, 3 IPv6 network; a network of full length is an address */
	unsigned number, prefix, low, high;
};
struct resource {
	struct address addresses[3];
	unsigned count;
};
/* From the first day to the last, 0 is Monday; in minutes of the day. */
struct hours {
	unsigned first, last, from, to;
};
struct rule {
	unsigned users, groups, devices, tags, kinds, realms; /* bits; bit WORDS is "*" */
	bool resources[RESOURCES_MAX];
	bool everything, deny;
	unsigned from_prefix, from; /* prefix 0: no condition */
	bool from_six;
	struct hours hours[3];
	unsigned hours_count;
	int calendar; /* of `calendars`; -1: none */
	unsigned fresh, lease, idle, tunnels;
};

/* Days are counted from the first Monday of the questions. */
static const struct {
	const char *text;
	int offset; /* minutes east of UTC */
	int holidays[2];
} calendars[] = {
	{"calendar \"c0\" { zone = UTC holidays = {\"2026-11-25\", \"11-29\"} }\n", 0, {2, 6}},
	{"calendar \"c1\" { zone = \"Etc/GMT-2\" holidays = {\"@free\"} }\nlist \"free\" { members = {\"11-30\", \"12-24\"} }\n", 120, {7, 31}},
	{"calendar \"c2\" { zone = \"Etc/GMT+3\" }\n", -180, {-99, -99}},
};
enum { CALENDARS = sizeof(calendars) / sizeof(calendars[0]) };
static struct resource resources[RESOURCES_MAX];
static struct rule rules[RULES_MAX];
static unsigned resource_count, rule_count;

struct question {
	unsigned user, groups, device, tags, realm, kind, source, login_age, lease_age, idle, tunnel_count;
	unsigned moments[2], moment_count; /* minutes since the first Monday, UTC */
	int local_offset;                  /* minutes */
	unsigned tunnels[4];
	bool is_address, is_six, from_six;
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
	struct address address = {.kind = (int)draw(4), .number = draw(256), .prefix = 24 + draw(9), .low = 1 + draw(6)};
	bool is_one_of_many = resource_count > FEW && draw(4);
	if (is_one_of_many)
		address.kind = (int)draw(2);
	if (address.kind < 2)
		address.number = draw(is_one_of_many ? 2 : 8);
	address.high = address.low + (is_one_of_many ? 6 : draw(2) ? draw(4) : 0);
	return address;
}

static struct rule draw_rule(void)
{
	struct rule rule = {.users = draw_words(60), .groups = draw_words(50), .devices = draw_words(20), .tags = draw_words(20),
			    .kinds = draw_words(15), .realms = draw_words(15), .everything = draw(10) == 0, .deny = draw(5) == 0,
			    .calendar = draw(6) ? -1 : (int)draw(CALENDARS)};
	if (!rule.users && !rule.groups)
		rule.users = 1u << draw(WORDS + 1);
	rule.resources[draw(resource_count)] = true;
	rule.resources[draw(resource_count)] |= draw(2);
	if (draw(5) == 0)
		rule.from_prefix = 24 + draw(9), rule.from = draw(256), rule.from_six = draw(3) == 0;
	rule.hours_count = draw(4) ? 0 : 1 + draw(3);
	for (unsigned i = 0; i < rule.hours_count; i++) {
		struct hours *hours = &rule.hours[i];
		*hours = (struct hours){.first = draw(7), .from = draw(1200)};
		hours->last = hours->first + draw(7 - hours->first);
		hours->to = hours->from + 1 + draw(1440 - hours->from);
	}
	if (!rule.deny) {
		rule.fresh = draw(4) ? 0 : 1 + draw(20);
		rule.lease = draw(5) ? 0 : 1 + draw(20);
		rule.idle = draw(5) ? 0 : 1 + draw(20);
		rule.tunnels = draw(6) ? 0 : 1 + draw(3);
	}
	return rule;
}

/* ---- as text ---- */

static unsigned list_count;

/* Some as the members of a list that stands behind. */
static void write_words(FILE *out, FILE *lists, const char *key, unsigned words, const char *const *names)
{
	if (!words)
		return;
	bool is_list = draw(4) == 0;
	FILE *place = is_list ? lists : out;
	if (is_list) {
		fprintf(out, " %s = {\"@l%u\"}", key, list_count);
		fprintf(lists, "list \"l%u\" { members = {", list_count++);
	} else {
		fprintf(out, " %s = {", key);
	}
	for (unsigned i = 0; i <= WORDS; i++)
		if (words & 1u << i)
			fprintf(place, "\"%s\",", i == WORDS ? "*" : names[i]);
	fprintf(place, is_list ? "} }\n" : "}");
}

static void write_address(FILE *out, const struct address *address)
{
	bool is_full = address->prefix == 32 && draw(2);
	fprintf(out, "\"%s", address->kind == 1 ? "*." : address->kind == 3 ? "[" : "");
	if (address->kind == 2)
		fprintf(out, "10.0.0.%u", address->number);
	else if (address->kind == 3)
		fprintf(out, "2001:db8::%x", address->number);
	else
		fprintf(out, "%s%u%s.example", address->kind ? "zone" : "host", address->number, address->kind ? "" : ".corp");
	if (address->kind >= 2 && !is_full)
		fprintf(out, "/%u", address->prefix + (address->kind == 3 ? 96 : 0));
	if (address->kind == 3)
		fputs("]", out);
	fprintf(out, ":%u-%u\", ", address->low, address->high);
}

static void write_hours(FILE *out, const struct rule *rule)
{
	static const char days[7][4] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
	fprintf(out, " hours = {");
	for (unsigned i = 0; i < rule->hours_count; i++) {
		const struct hours *hours = &rule->hours[i];
		fprintf(out, "\"%s%s%s %02u:%02u-%02u:%02u\",", days[hours->first], hours->last > hours->first ? "-" : "",
			hours->last > hours->first ? days[hours->last] : "", hours->from / 60, hours->from % 60, hours->to / 60,
			hours->to % 60);
	}
	fprintf(out, "}");
}

static void write_rule(FILE *out, FILE *lists, unsigned number, const struct rule *rule)
{
	fprintf(out, "rule \"r%u\" {", number);
	write_words(out, lists, "users", rule->users, users);
	write_words(out, lists, "groups", rule->groups, groups);
	write_words(out, lists, "devices", rule->devices, devices);
	write_words(out, lists, "device_tags", rule->tags, tags);
	write_words(out, lists, "key_kind", rule->kinds, draw(2) ? kinds : kinds_spelled);
	write_words(out, lists, "realms", rule->realms, realms);
	fprintf(out, " resources = {");
	for (unsigned i = 0; i < resource_count; i++)
		if (rule->resources[i])
			fprintf(out, "\"s%u\", ", i);
	fprintf(out, "%s}%s", rule->everything ? "\"*\"" : "", rule->deny ? " deny = true" : "");
	if (rule->from_prefix && rule->from_six)
		fprintf(out, " from = {\"2001:db8:1::%x/%u\"}", rule->from, rule->from_prefix + 96);
	else if (rule->from_prefix)
		fprintf(out, " from = {\"192.0.2.%u/%u\"}", rule->from, rule->from_prefix);
	if (rule->hours_count)
		write_hours(out, rule);
	if (rule->calendar >= 0)
		fprintf(out, " calendar = c%d", rule->calendar);
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
	char *text = NULL, *text_of_lists = NULL;
	size_t size = 0, size_of_lists = 0;
	FILE *out = open_memstream(&text, &size), *lists = open_memstream(&text_of_lists, &size_of_lists);
	list_count = 0;
	resource_count = draw(MANY_EACH) ? 1 + draw(FEW) : RESOURCES_MAX;
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
		write_rule(out, lists, i, &rules[i]);
	}
	for (unsigned i = 0; i < CALENDARS; i++)
		fputs(calendars[i].text, out);
	fclose(out);
	fclose(lists);
	struct policy_errors *errors = calloc(1, sizeof(*errors));
	struct policy *policy = NULL;
	const struct policy_file files[] = {{"drawn", text}, {"lists", text_of_lists}};
	errors->no_warnings = true;
	if (policy_parse(files, 2, &policy, errors) < 0)
		fail_msg("%s\n%s%s", errors->list[0].text, text, text_of_lists);
	free(errors);
	free(text);
	free(text_of_lists);
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
	if (address->kind >= 2)
		return question->is_address && question->is_six == (address->kind == 3) && address->number >> (32 - address->prefix) == question->host >> (32 - address->prefix);
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
		if ((rule->everything || rule->resources[i]) && is_meant(i, question))
			return true;
	return false;
}

static bool is_within(const struct rule *rule, unsigned moment, int local_offset)
{
	int minutes = (int)moment + (rule->calendar < 0 ? local_offset : calendars[rule->calendar].offset);
	int day = (minutes + 7 * 1440) / 1440 - 7;
	unsigned weekday = (unsigned)(day + 7) % 7, minute = (unsigned)(minutes - day * 1440);
	for (unsigned i = 0; rule->calendar >= 0 && i < 2; i++)
		if (calendars[rule->calendar].holidays[i] == day)
			return false;
	for (unsigned i = 0; i < rule->hours_count; i++) {
		const struct hours *hours = &rule->hours[i];
		if (weekday >= hours->first && weekday <= hours->last && minute >= hours->from && minute < hours->to)
			return true;
	}
	return rule->hours_count == 0;
}

/* Of what is not sure, what allows less. */
static bool is_open(const struct rule *rule, const struct question *question)
{
	unsigned open = 0;
	if (!rule->hours_count && rule->calendar < 0)
		return true;
	for (unsigned i = 0; i < question->moment_count; i++)
		open += is_within(rule, question->moments[i], question->local_offset);
	if (question->moment_count == 0)
		return rule->deny;
	return rule->deny ? open > 0 : open == question->moment_count;
}

/* A key "ec-p256" is of the kinds "ec-p256" and "ec" (the last word drawn). */
static bool is_of_kind(const struct rule *rule, const struct question *question)
{
	return !rule->kinds || names(rule->kinds, question->kind) || (question->kind < 2 && rule->kinds & 1u << 5);
}

static bool is_met(const struct rule *rule, const struct question *question)
{
	bool person = names(rule->users, question->user) || (rule->groups & question->groups) ||
		      ((rule->groups & 1u << WORDS) && question->groups);
	bool tag = !rule->tags || (rule->tags & question->tags) || ((rule->tags & 1u << WORDS) && question->tags);
	bool from = !rule->from_prefix || (rule->from_six == question->from_six && rule->from >> (32 - rule->from_prefix) ==
										   question->source >> (32 - rule->from_prefix));
	bool realm = !rule->realms || names(rule->realms, question->realm);
	return person && tag && from && realm && is_open(rule, question) && (!rule->devices || names(rule->devices, question->device)) && is_of_kind(rule, question);
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

static bool is_meant_by_many(const struct question *question)
{
	unsigned count = 0;
	for (unsigned i = 0; i < resource_count; i++)
		count += is_meant(i, question);
	return count > 64;
}

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
				    .tags = draw(64) & draw(64), .realm = draw(2) ? 0 : draw(WORDS), .kind = draw(5),
				    .source = draw(256), .from_six = draw(4) == 0, .login_age = draw(24), .lease_age = draw(24),
				    .idle = draw(24), .moments = {draw(7 * 1440), draw(7 * 1440)}, .local_offset = draw(2) ? 0 : 60,
				    .tunnel_count = draw(5), .is_address = draw(3) == 0, .is_six = draw(2), .port = 1 + draw(8)};
	question.moment_count = draw(50) ? 1 + draw(2) : 0;
	question.host = question.is_address ? draw(256) : resource_count > FEW ? draw(2) + 8 * draw(2) : draw(16);
	for (unsigned i = 0; i < question.tunnel_count; i++)
		question.tunnels[i] = draw(rule_count);
	return question;
}

static void ask(const struct policy *policy, const struct question *question, struct policy_verdict *out_verdict)
{
	const char *names_of_groups[WORDS], *tunnel_rules[4];
	char lines[64] = "", host[64], names_of_rules[4][8];
	struct target source;
	struct target target;
	struct policy_facts facts = {
		.user = users[question->user], .groups = names_of_groups, .device = devices[question->device], .tags = lines,
		.realm = question->realm ? realms[question->realm] : NULL, .key_kind = kinds[question->kind],
		.source = &source.address, .login_age_ms = 1000 * question->login_age,
		.lease_age_ms = 1000 * question->lease_age, .idle_ms = 1000 * question->idle, .time_count = question->moment_count,
		/* 2026-11-23 was a Monday */
		.times_s = {1795392000 + question->moments[0] * 60, 1795392000 + question->moments[1] * 60},
		.local_offset_s = 60 * question->local_offset, .tunnel_rules = tunnel_rules,
		.tunnel_count = question->tunnel_count};
	snprintf(host, sizeof(host), question->from_six ? "2001:db8:1::%x" : "192.0.2.%u", question->source);
	assert_int_equal(target_parse(view_string(host), 1, &source, NULL), 0);
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
		snprintf(host, sizeof(host), question->is_six ? "2001:DB8:0::0:%x" : "10.0.0.%u", question->host);
	else if (question->host < 8)
		snprintf(host, sizeof(host), "host%u.corp.example", question->host);
	else
		snprintf(host, sizeof(host), "%sx.Zone%u.example", draw(2) ? "y." : "", question->host - 8);
	assert_int_equal(target_parse(view_string(host), question->port, &target, NULL), 0);
	policy_decide(policy, &facts, &target, out_verdict);
}

/* The resource of the verdict is one that the target means and the rule names. */
static bool is_right_resource(const struct policy_verdict *verdict, int rule, const struct question *question)
{
	unsigned number = (unsigned)strtoul(*verdict->resource ? verdict->resource + 1 : "0", NULL, 10);
	if (!*verdict->resource)
		return rule < 0;
	return is_meant(number, question) && (rule < 0 || rules[rule].everything || rules[rule].resources[number]);
}

static void test_B1_the_compiled_decision_is_the_obvious_one(void **state)
{
	unsigned allowed = 0, denied = 0, many = 0;
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
			if (verdict.allowed != expected.allowed || strcmp(verdict.code, expected.code) || strcmp(verdict.rule, rule) ||
			    !is_right_resource(&verdict, expected.rule, &question))
				fail_msg("policy %u, case %u: %d %s %s %s, and the reference says %d %s %s", i, j, verdict.allowed,
					 verdict.code, verdict.rule, verdict.resource, expected.allowed, expected.code, rule);
			allowed += expected.allowed;
			denied += !expected.allowed && expected.rule >= 0;
			many += expected.rule >= 0 && is_meant_by_many(&question);
		}
		policy_free(policy);
	}
	print_message("%u cases: %u allowed, %u refused by a rule; %u times with more than 64 resources\n", POLICIES * CASES, allowed,
		      denied, many);
	assert_true(allowed > POLICIES * CASES / 50 && denied > POLICIES * CASES / 50 && many > POLICIES * CASES / 1000);
}

int main(int count, char **arguments)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_B1_the_compiled_decision_is_the_obvious_one)};
	const char *chosen = count > 1 ? arguments[1] : getenv("POLICY_SEED");
	seed = chosen ? strtoull(chosen, NULL, 10) : 0;
	if (!seed && getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

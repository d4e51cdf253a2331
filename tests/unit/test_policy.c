/* test_policy.c: the language of the policy and its decisions, as tables. */
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

enum { TUESDAY_10 = 1795514400 }; /* 2026-11-24 10:00 UTC */

static const char text[] =
	"# comments do not disturb the lines\n"
	"resource \"wiki\" { address = {\"Wiki.Corp.Example:443\"} description = \"Wiki\" }\n"
	"resource \"db\" { address = {\"db1:5432-5440\", \"10.20.0.0/16:5432\", \"[2001:db8::/32]:5432\"} kind = postgres }\n"
	"resource \"zone\" { address = {\"*.dev.example:22\"} }\n"
	"resource \"local\" { address = {\"127.0.0.1:9000\"} }\n"
	"resource \"wide\" { address = {\"127.0.0.0/8:9001\", \"169.254.0.0/16:80\"} }\n"
	"resource \"late\" { address = {\"late:1\"} }\n"
	"resource \"nobody\" { address = {\"nobody:1\"} }\n"
	"rule \"readers\" { groups = {\"staff\"} resources = {\"wiki\"} }\n"
	"rule \"admins\" { users = {\"root\"} device_tags = {\"managed\"} resources = {\"*\"} }\n"
	"rule \"db people\" { users = {\"alice\"} devices = {\"laptop1\"} resources = {\"db\", \"zone\", \"local\", \"wide\"} }\n"
	"rule \"fresh\" { users = {\"alice\"} resources = {\"late\"} fresh_login = \"15m\" hours = {\"Mon-Fri 07:00-20:00\"} }\n"
	"rule \"never carol\" { users = {\"carol\"} resources = {\"*\"} deny = true }\n";

static struct policy *parse(const char *source)
{
	struct policy_errors *errors = calloc(1, sizeof(*errors));
	struct policy *policy = NULL;
	const struct policy_file file = {"policy.conf", source};
	int result = policy_parse(&file, 1, &policy, errors);
	if (result < 0)
		print_message("%s\n", errors->list[0].text);
	assert_int_equal(result, 0);
	free(errors);
	return policy;
}

static struct policy_facts facts_of(const char *user, const char *device, const char *tags)
{
	return (struct policy_facts){.user = user, .device = device, .tags = tags, .times_s = {TUESDAY_10}, .time_count = 1};
}

static struct policy_verdict decide(const struct policy *policy, const struct policy_facts *facts, const char *host, unsigned port)
{
	struct target target;
	struct policy_verdict verdict;
	assert_int_equal(target_parse(view_string(host), port, &target, NULL), 0);
	policy_decide(policy, facts, &target, &verdict);
	return verdict;
}

static void assert_follows(const struct policy *policy, const char *host, uint16_t port, const char *expected)
{
	struct target target;
	assert_int_equal(target_parse(view_string(host), port, &target, NULL), 0);
	assert_int_equal(policy_follow_name(policy, &target), expected != NULL);
	assert_string_equal(target.host, expected ? expected : host);
	assert_int_equal(target.port, port);
}

static void test_B2_the_name_of_a_resource_is_its_one_address(void **state)
{
	(void)state;
	struct policy *policy = parse("resource \"db\" { address = {\"db1:5432\", \"10.1.2.3:22\"} }\n"
				      "resource \"two\" { address = {\"a:1\", \"b:1\"} }\n"
				      "resource \"net\" { address = {\"10.0.0.0/8:1\"} }\n"
				      "resource \"late\" { address = {\"other:1\"} }\n"
				      "resource \"real\" { address = {\"late:1-9\"} }\n");
	assert_follows(policy, "db", 5432, "db1");
	assert_follows(policy, "db", 22, "10.1.2.3");
	assert_follows(policy, "db", 80, NULL);
	assert_follows(policy, "two", 1, NULL);
	assert_follows(policy, "net", 1, NULL);
	assert_follows(policy, "late", 1, NULL); /* a host of that name is named elsewhere: the host it is */
	assert_follows(policy, "nothing", 1, NULL);
	policy_free(policy);
}

static void test_B1_default_deny_and_who_is_let_through(void **state)
{
	(void)state;
	static const char *const staff[] = {"users", "staff"};
	static const struct {
		const char *user, *device, *tags, *host;
		unsigned port;
		bool in_staff;
		const char *rule; /* NULL: refused */
	} rows[] = {
		{"bob", "l", "", "wiki.corp.example", 443, true, "readers"},
		{"bob", "l", "", "WIKI.corp.example.", 443, true, "readers"},
		{"bob", "l", "", "wiki.corp.example", 443, false, NULL},
		{"bob", "l", "", "wiki.corp.example", 444, true, NULL},
		{"", "l", "", "wiki.corp.example", 443, false, NULL},
		{"alice", "laptop1", "", "db1", 5432, false, "db people"},
		{"alice", "laptop1", "", "db1", 5440, false, "db people"},
		{"alice", "laptop1", "", "db1", 5441, false, NULL},
		{"alice", "laptop2", "", "db1", 5432, false, NULL},
		{"alice", "laptop1", "", "10.20.255.1", 5432, false, "db people"},
		{"alice", "laptop1", "", "10.21.0.1", 5432, false, NULL},
		{"alice", "laptop1", "", "::ffff:10.20.0.1", 5432, false, "db people"},
		{"alice", "laptop1", "", "[2001:db8:1::5]", 5432, false, "db people"},
		{"alice", "laptop1", "", "[2001:db9::5]", 5432, false, NULL},
		{"alice", "laptop1", "", "a.dev.example", 22, false, "db people"},
		{"alice", "laptop1", "", "b.a.dev.example", 22, false, "db people"},
		{"alice", "laptop1", "", "dev.example", 22, false, NULL},
		{"alice", "laptop1", "", "evildev.example", 22, false, NULL},
		{"alice", "laptop1", "", "a.dev.example.evil", 22, false, NULL},
		{"root", "any", "managed\n", "nobody", 1, false, "admins"},
		{"root", "any", "other\nmanaged\n", "nobody", 1, false, "admins"},
		{"root", "any", "unmanaged\n", "nobody", 1, false, NULL},
		{"root", "any", "managed\n", "unknown", 1, false, NULL},
	};
	struct policy *policy = parse(text);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct policy_facts facts = facts_of(rows[i].user, rows[i].device, rows[i].tags);
		facts.groups = staff;
		facts.group_count = rows[i].in_staff ? 2 : 0;
		struct policy_verdict verdict = decide(policy, &facts, rows[i].host, rows[i].port);
		assert_int_equal(verdict.allowed, rows[i].rule != NULL);
		assert_string_equal(verdict.rule, rows[i].rule ? rows[i].rule : "");
		if (!verdict.allowed)
			assert_string_equal(verdict.code, "not_allowed");
	}
	policy_free(policy);
}

static void test_B1_deny_wins_wherever_it_stands(void **state)
{
	(void)state;
	static const char first[] = "resource \"a\" { address = {\"a:1\"} }\n"
				    "rule \"no\" { users = {\"u\"} resources = {\"a\"} deny = true }\n"
				    "rule \"yes\" { users = {\"*\"} resources = {\"a\"} }\n";
	static const char last[] = "resource \"a\" { address = {\"a:1\"} }\nresource \"b\" { address = {\"a:1\"} }\n"
				   "rule \"yes\" { users = {\"*\"} resources = {\"a\"} }\n"
				   "rule \"no\" { users = {\"u\"} resources = {\"b\"} deny = true }\n";
	static const char *const sources[] = {first, last};
	for (size_t i = 0; i < 2; i++) {
		struct policy *policy = parse(sources[i]);
		struct policy_facts denied = facts_of("u", "d", ""), other = facts_of("v", "d", "");
		assert_false(decide(policy, &denied, "a", 1).allowed);
		assert_string_equal(decide(policy, &denied, "a", 1).rule, "no");
		assert_true(decide(policy, &other, "a", 1).allowed);
		policy_free(policy);
	}
}

static void test_hours_and_fresh_login(void **state)
{
	(void)state;
	struct policy *policy = parse(text);
	struct policy_facts facts = facts_of("alice", "d", "");
	facts.login_age_ms = 900000;
	assert_true(decide(policy, &facts, "late", 1).allowed);
	facts.login_age_ms = 900001;
	assert_string_equal(decide(policy, &facts, "late", 1).code, "fresh_login_required");
	facts.times_s[0] = TUESDAY_10 + 4 * 86400; /* Saturday: what a fresh login would not mend is not asked for */
	assert_string_equal(decide(policy, &facts, "late", 1).code, "not_allowed");
	facts = facts_of("alice", "d", "");
	facts.times_s[0] = TUESDAY_10 - 3 * 3600;
	assert_true(decide(policy, &facts, "late", 1).allowed);
	facts.times_s[0] = TUESDAY_10 + 10 * 3600;
	assert_false(decide(policy, &facts, "late", 1).allowed);
	policy_free(policy);
}

static bool may_dial(const struct policy_resource *resource, const char *address)
{
	struct target own_target, target;
	assert_int_equal(target_parse(view_string("192.0.2.1"), 1, &own_target, NULL), 0);
	assert_int_equal(target_parse(view_string(address), 1, &target, NULL), 0);
	const struct policy_own_addresses own = {&own_target.address, 1};
	return policy_address_allowed(resource, (struct sockaddr *)&target.address, &own);
}

static void test_B2_special_addresses_only_by_their_literal_name(void **state)
{
	(void)state;
	static const char *const special[] = {"127.0.0.1", "127.9.9.9", "0.0.0.0", "0.1.2.3", "169.254.169.254", "169.254.1.1",
					      "224.0.0.1", "239.1.1.1", "255.255.255.255", "240.0.0.1", "::1", "::", "fe80::1",
					      "ff02::1", "fd00:ec2::254", "::127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::",
					      "::ffff:127.0.0.1", "192.0.2.1", "100.100.100.100"};
	struct policy *policy = parse(text);
	struct policy_facts alice = facts_of("alice", "laptop1", "");
	const struct policy_resource *db = decide(policy, &alice, "db1", 5432).matched;
	const struct policy_resource *local = decide(policy, &alice, "127.0.0.1", 9000).matched;
	const struct policy_resource *wide = decide(policy, &alice, "127.0.0.1", 9001).matched;
	assert_non_null(db);
	assert_non_null(local);
	assert_non_null(wide);
	for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++) {
		assert_false(may_dial(db, special[i]));
		assert_false(may_dial(wide, special[i])); /* a network is no literal address */
	}
	assert_true(may_dial(db, "10.1.2.3"));
	assert_true(may_dial(db, "2001:db8::1"));
	assert_true(may_dial(local, "127.0.0.1"));
	assert_true(may_dial(local, "::ffff:127.0.0.1"));
	assert_false(may_dial(local, "127.0.0.2"));
	policy_free(policy);
}

static void test_errors_name_file_line_and_what_to_do(void **state)
{
	(void)state;
	static const struct {
		const char *source, *where, *what;
	} rows[] = {
		{"resurce \"a\" { }\n", "p:1", "did you mean \"resource\""},
		{"# one\n\nresource \"a\" { adress = {\"h:1\"} }\n", "p:3", "did you mean \"address\""},
		{"resource \"a\" { address = {\"h:1\"} }\nrule \"r\" { users = {\"u\"} resources = {\"b\"} }\n", "p:2", "no resource \"b\""},
		{"resource \"a\" { address = {\"h:1\"} }\nresource \"a\" { address = {\"h:2\"} }\n", "p:2", "already"},
		{"resource \"a\" { address = {\"h:1\"} }\nrule \"r\" { resources = {\"a\"} }\n", "p:2", "users = {\"*\"}"},
		{"rule \"r\" { users = {\"u\"} }\n", "p:1", "resources = {\"*\"}"},
		{"resource \"a\" { }\n", "p:1", "no address"},
		{"resource \"a\" { address = {\"h\"} }\n", "p:1", "port"},
		{"resource \"a\" { address = {\"h:0\"} }\n", "p:1", "port"},
		{"resource \"a\" { address = {\"h:70000\"} }\n", "p:1", "port"},
		{"resource \"a\" { address = {\"h:9-2\"} }\n", "p:1", "port"},
		{"resource \"a\" { address = {\"10.0.0.0/33:1\"} }\n", "p:1", "ADDRESS/BITS"},
		{"resource \"a\" { address = {\"::1:22\"} }\n", "p:1", "brackets"},
		{"resource \"a\" { address = {\"*.com:22\"} }\n", "p:1", "two labels"},
		{"resource \"a\" { address = {\"*:22\"} }\n", "p:1", "\"*:22\""},
		{"resource \"a\" { address = {\"h:1\"} kind = magic }\n", "p:1", "kind"},
		{"resource \"a\" { address = {\"h:1\"} }\nrule \"r\" { users = {\"u\"} resources = {\"a\"} hours = {\"Mon 25:00-26:00\"} }\n", "p:2", "hours"},
		{"resource \"a\" { address = {\"h:1\"} }\nrule \"r\" { users = {\"u\"} resources = {\"a\"} fresh_login = \"15\" }\n", "p:2", "unit"},
		{"resource \"a\" { address = {\"h:1\"} }\nrule \"r\" { users = {\"u\"} resources = {\"a\"} approve = true }\n", "p:2", "approve"},
		{"\n\nresource \"a\" { address = {\"${HOME}:1\"} }\n", "p:3:27", "${HOME}"},
		{"resource \"a\" { address = {\"@b\"} }\nlist \"bb\" { members = {\"h:1\"} }\n", "p:1:27", "did you mean \"bb\""},
		{"list \"a\" { members = {\"@a\"} }\nresource \"r\" { address = {\"@a\"} }\n", "p:1", "deep"},
		{"list \"a\" { members = {\"@b\", \"@b\"} }\nlist \"b\" { members = {\"@c\", \"@c\"} }\nresource \"r\" { address = {\"@a\"} }\n", "p:2", "list \"c\""},
		{"calendar \"c\" { zone = \"Mars/Base\" }\n", "p:1:23", "time zone"},
		{"calendar \"c\" { holidays = {\"24.12.\"} }\n", "p:1:28", "2026-12-24"},
		{"resource \"a\" { address = {\"h:1\"} }\nrule \"r\" { users = {\"u\"} resources = {\"a\"} deny = true max_lease = 1h }\n", "p:2", "denies"},
		{"resource \"a\" { address = {\"h:1\"} }\nrule \"r\" { users = {\"u\"} resources = {\"a\"} from = {\"home\"} }\n", "p:2", "network"},
		{"resource \"a\" { address = {\"h:1\"} }\nrule \"r\" { users = {\"u\"} resources = {\"a\"} max_rate = 2000 }\n", "p:2:", "2MiB"},
		{"resource \"a\" { address = {\"h:1\"} }\nrule \"r\" { users = {\"u\"} resources = {\"a\"} max_rate = 1B/s }\n", "p:2:", "2MiB"},
		{"rule \"broken {\n", "p:", ""},
		{"resource \"a\" {\n", "p:", ""},
	};
	struct policy_errors *errors = calloc(1, sizeof(*errors));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct policy_file file = {"p", rows[i].source};
		struct policy *policy = NULL;
		assert_int_equal(policy_parse(&file, 1, &policy, errors), ERR_BAD_CONFIG);
		assert_null(policy);
		if (strncmp(errors->list[0].text, rows[i].where, strlen(rows[i].where)) || !strstr(errors->list[0].text, rows[i].what))
			fail_msg("row %zu: %s", i, errors->list[0].text);
	}
	free(errors);
}

static void test_all_errors_of_meaning_at_once(void **state)
{
	(void)state;
	const struct policy_file files[] = {
		{"one", "resource \"a\" { address = {\"h\"} }\nrule \"r\" { users = {\"u\"} resources = {\"x\"} }\n"},
		{"two", "rule \"s\" { users = {\"u\"} resources = {\"a\", \"y\"} }\n"}};
	struct policy_errors *errors = calloc(1, sizeof(*errors));
	struct policy *policy = NULL;
	assert_int_equal(policy_parse(files, 2, &policy, errors), ERR_BAD_CONFIG);
	assert_int_equal(errors->count, 3);
	free(errors);
}

static void test_explanation_names_the_rule_and_the_fact(void **state)
{
	(void)state;
	struct policy *policy = parse(text);
	struct policy_facts facts = facts_of("alice", "laptop2", "");
	struct target target;
	OWN_BUF struct buf out = BUF_INIT(65536);
	assert_int_equal(target_parse(view_string("db1"), 5432, &target, NULL), 0);
	assert_int_equal(policy_explain(policy, &facts, &target, &out), 0);
	assert_int_equal(buf_add(&out, view_of("", 1)), 0);
	assert_non_null(strstr((char *)out.data, "rule \"db people\": does not apply: the device"));
	assert_non_null(strstr((char *)out.data, "refused: not_allowed"));
	policy_free(policy);
}

static void test_lists_and_calendars(void **state)
{
	(void)state;
	/* Lists stand before or behind their use; 2026-11-25 is a holiday, so is every 24 December. */
	static const char source[] = "resource \"a\" { address = \"a:1\" }\n"
				     "rule \"r\" { users = {\"@team\"} resources = {\"a\"} hours = \"Mon-Fri 09:00-17:00\" calendar = berlin }\n"
				     "list \"team\" { members = {\"ann\", \"@more\"} }\n"
				     "list \"more\" { members = {\"bob\"} }\n"
				     "calendar \"berlin\" { zone = \"Europe/Berlin\" holidays = {\"2026-11-25\", \"12-24\"} }\n";
	static const struct {
		const char *user;
		int64_t time_s;
		bool allowed;
	} rows[] = {
		{"ann", TUESDAY_10, true},           {"bob", TUESDAY_10, true},
		{"cid", TUESDAY_10, false},          {"ann", TUESDAY_10 - 2 * 3600, true},
		{"ann", TUESDAY_10 - 2 * 3600 - 1, false}, {"ann", TUESDAY_10 + 6 * 3600 - 1, true},
		{"ann", TUESDAY_10 + 6 * 3600, false},  {"ann", TUESDAY_10 + 86400, false},
		{"ann", TUESDAY_10 + 30 * 86400, false}, {"ann", TUESDAY_10 + 394 * 86400, true},
		{"ann", TUESDAY_10 + 395 * 86400, false},
		/* 2027-06-01, summer time: 07:00 UTC is 09:00 there */
		{"ann", 1811833200, true},           {"ann", 1811833199, false},
	};
	struct policy *policy = parse(source);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct policy_facts facts = facts_of(rows[i].user, "d", "");
		facts.times_s[0] = rows[i].time_s;
		if (decide(policy, &facts, "a", 1).allowed != rows[i].allowed)
			fail_msg("row %zu", i);
	}
	policy_free(policy);
}

static bool foresee(const struct policy *policy, const struct policy_facts *facts, uint64_t hours, struct policy_end *out_end)
{
	struct target target;
	struct policy_verdict now;
	assert_int_equal(target_parse(view_string("h"), 1, &target, NULL), 0);
	policy_decide(policy, facts, &target, &now);
	return policy_foresee(policy, facts, &target, &now, hours * 3600 * 1000, out_end);
}

static void test_C1_what_will_end_is_foreseen(void **state)
{
	(void)state;
	const uint64_t hour_ms = 3600 * 1000;
	struct policy_end end;
	struct policy *policy = parse("calendar \"utc\" { zone = UTC holidays = {\"11-25\"} }\n"
				      "resource \"a\" { address = {\"h:1\"} }\n"
				      "rule \"fresh\" { users = {\"u\"} resources = {\"a\"} fresh_login = 1h }\n"
				      "rule \"lease\" { users = {\"u\"} resources = {\"a\"} max_lease = 2h }\n"
				      "rule \"open\" { users = {\"v\"} resources = {\"a\"} hours = {\"Tue 09:00-11:00\", \"Tue 10:30-17:00\"} calendar = utc }\n"
				      "rule \"day\" { users = {\"w\"} resources = {\"a\"} calendar = utc }\n"
				      "rule \"ever\" { users = {\"x\", \"y\"} resources = {\"a\"} }\n"
				      "resource \"b\" { address = {\"h:2\"} }\n"
				      "rule \"not b\" { users = {\"y\"} resources = {\"b\"} hours = \"Tue 11:00-12:00\" calendar = utc deny = true }\n"
				      "rule \"not late\" { users = {\"y\"} resources = {\"a\"} hours = \"Tue 20:00-21:00\" calendar = utc deny = true }\n");
	struct policy_facts facts = facts_of("u", "d", "");
	/* One rule takes over from the other: the last one's end counts, and the reason is what would help. */
	assert_true(foresee(policy, &facts, 24, &end));
	assert_string_equal(end.code, "fresh_login_required");
	assert_true(end.in_ms > 2 * hour_ms && end.in_ms <= 2 * hour_ms + 2);
	assert_false(foresee(policy, &facts, 1, &end));
	/* Hours that overlap are one; the holiday ends what has no other hours, at midnight. */
	facts.user = "v";
	assert_true(foresee(policy, &facts, 24, &end));
	assert_string_equal(end.code, "hours_over");
	assert_int_equal(end.in_ms, 7 * hour_ms);
	facts.user = "w";
	assert_true(foresee(policy, &facts, 24, &end));
	assert_int_equal(end.in_ms, 14 * hour_ms);
	facts.user = "x";
	assert_false(foresee(policy, &facts, 24, &end));
	/* A denial that begins is an end, by whichever clock comes there first. */
	facts.user = "y";
	assert_true(foresee(policy, &facts, 24, &end));
	assert_string_equal(end.code, "hours_over");
	assert_int_equal(end.in_ms, 10 * hour_ms);
	facts.times_s[1] = TUESDAY_10 + 5 * 3600;
	facts.time_count = 2;
	assert_true(foresee(policy, &facts, 24, &end));
	assert_int_equal(end.in_ms, 5 * hour_ms);
	/* The same for hours that end. */
	facts.user = "v";
	assert_true(foresee(policy, &facts, 24, &end));
	assert_int_equal(end.in_ms, 2 * hour_ms);
	facts.times_s[0] = TUESDAY_10 + 6 * 3600;
	assert_true(foresee(policy, &facts, 24, &end));
	assert_int_equal(end.in_ms, hour_ms);
	/* What is not allowed has no end to foresee. */
	facts.user = "nobody";
	assert_false(foresee(policy, &facts, 24, &end));
	policy_free(policy);
}

static void test_C1_hours_ask_for_both_clocks(void **state)
{
	(void)state;
	struct policy *policy = parse(text);
	struct policy_facts facts = facts_of("alice", "d", "");
	facts.time_count = 2;
	facts.times_s[1] = TUESDAY_10 + 3600;
	assert_true(decide(policy, &facts, "late", 1).allowed);
	facts.times_s[1] = TUESDAY_10 + 11 * 3600;
	assert_false(decide(policy, &facts, "late", 1).allowed);
	facts.time_count = 0;
	assert_false(decide(policy, &facts, "late", 1).allowed);
	policy_free(policy);
}

/* For a rule that denies, one open moment is enough; a clock that was set back opens nothing. */
static void test_C1_hours_of_a_deny_rule_ask_for_either_clock(void **state)
{
	(void)state;
	static const struct {
		int64_t times_s[2];
		unsigned time_count;
		bool allowed;
	} rows[] = {
		{{TUESDAY_10, TUESDAY_10}, 2, true},
		{{TUESDAY_10 + 7 * 3600, TUESDAY_10 + 7 * 3600}, 2, false},
		{{TUESDAY_10, TUESDAY_10 + 7 * 3600}, 2, false},
		{{TUESDAY_10 + 7 * 3600, TUESDAY_10}, 2, false},
		{{TUESDAY_10}, 1, true},
		{{TUESDAY_10 + 8 * 3600 - 1}, 1, false},
		{{0}, 0, false},
	};
	struct policy *policy = parse("calendar \"utc\" { zone = UTC }\n"
				      "resource \"a\" { address = {\"h:1\"} }\n"
				      "rule \"all\" { users = {\"*\"} resources = {\"a\"} }\n"
				      "rule \"not in the evening\" { users = {\"u\"} resources = {\"a\"} hours = \"Mon-Fri 17:00-18:00\" "
				      "calendar = utc deny = true }\n");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct policy_facts facts = facts_of("u", "d", "");
		memcpy(facts.times_s, rows[i].times_s, sizeof(facts.times_s));
		facts.time_count = rows[i].time_count;
		if (decide(policy, &facts, "h", 1).allowed != rows[i].allowed)
			fail_msg("row %zu", i);
	}
	policy_free(policy);
}

/* However many resources name a target, the verdict names the one that its rule names: its literal addresses count. */
static void test_B2_the_resource_of_the_verdict_is_the_rule_s(void **state)
{
	(void)state;
	enum { MANY = 200 };
	char *source = NULL, name[16];
	size_t size = 0;
	FILE *out = open_memstream(&source, &size);
	for (int i = 0; i < MANY; i++)
		fprintf(out, "resource \"s%d\" { address = {\"h:1\"} }\nrule \"r%d\" { users = {\"u%d\"} resources = {\"s%d\"} }\n", i, i, i, i);
	fclose(out);
	struct policy *policy = parse(source);
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "u%d", i);
		struct policy_facts facts = facts_of(name, "d", "");
		struct policy_verdict verdict = decide(policy, &facts, "h", 1);
		assert_true(verdict.allowed);
		snprintf(name, sizeof(name), "s%d", i);
		assert_string_equal(verdict.resource, name);
		assert_ptr_equal(verdict.matched, policy_resource_named(policy, name));
	}
	policy_free(policy);
	free(source);
}

static void test_an_error_points_at_its_word(void **state)
{
	(void)state;
	const struct policy_file file = {"p", "resource \"a\" {\n  address = {\"h:1\"}\n  kind = ssj\n}\n"
					      "rule \"r\" {\n  users = {\"u\"}  resourcs = {\"a\"}\n}\n"};
	struct policy_errors *errors = calloc(1, sizeof(*errors));
	struct policy *policy = NULL;
	assert_int_equal(policy_parse(&file, 1, &policy, errors), ERR_BAD_CONFIG);
	assert_int_equal(errors->count, 3);
	assert_int_equal(strncmp(errors->list[0].text, "p:3:10: ", 8), 0);
	assert_string_equal(errors->lines[0], "  kind = ssj");
	assert_int_equal(errors->columns[0], 10);
	assert_int_equal(strncmp(errors->list[1].text, "p:6:18: ", 8), 0);
	assert_non_null(strstr(errors->list[1].text, "did you mean \"resources\""));
	free(errors);
}

static void test_warnings_of_what_has_no_effect(void **state)
{
	(void)state;
	const struct policy_file file = {"p", "resource \"a\" { address = {\"h:1\"} }\nresource \"b\" { address = {\"h:2\"} }\n"
					      "rule \"no\" { users = {\"*\"} resources = {\"a\"} deny = true }\n"
					      "rule \"yes\" { users = {\"u\"} resources = {\"a\"} }\n"};
	struct policy_errors *errors = calloc(1, sizeof(*errors));
	struct policy *policy = NULL;
	assert_int_equal(policy_parse(&file, 1, &policy, errors), 0);
	assert_int_equal(errors->warning_count, 2);
	assert_non_null(strstr(errors->warnings[0].text, "p:2:1: no rule mentions resource \"b\""));
	assert_non_null(strstr(errors->warnings[1].text, "p:4:1: rule \"yes\" can never match"));
	policy_free(policy);
	free(errors);
}

static void test_kinds_of_keys_are_those_of_certificates(void **state)
{
	(void)state;
	static const struct {
		const char *written, *kind;
		bool allowed;
	} rows[] = {
		{"EC P-256", "ec-p256", true}, {"ec-p256", "ec-p256", true}, {"EC", "ec-p384", true},    {"rsa", "rsa-3072", true},
		{"RSA 3072", "rsa-3072", true}, {"rsa-3072", "rsa-2048", false}, {"ec", "ed25519", false}, {"ec-p256", "ec-p384", false},
		{"Ed25519", "ed25519", true},  {"*", "rsa-2048", true},      {"rsa-30", "rsa-3072", false}, {"ec", NULL, false},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char source[256];
		struct policy_facts facts = facts_of("u", "d", "");
		facts.key_kind = rows[i].kind;
		snprintf(source, sizeof(source), "resource \"a\" { address = {\"h:1\"} }\n"
			 "rule \"r\" { users = {\"u\"} resources = {\"a\"} key_kind = \"%s\" }\n", rows[i].written);
		struct policy *policy = parse(source);
		if (decide(policy, &facts, "h", 1).allowed != rows[i].allowed)
			fail_msg("row %zu", i);
		policy_free(policy);
	}
	const struct policy_file file = {"p", "resource \"a\" { address = {\"h:1\"} }\n"
					      "rule \"r\" { users = {\"u\"} resources = {\"a\"} key_kind = \"EC P-265\" }\n"};
	struct policy_errors *errors = calloc(1, sizeof(*errors));
	struct policy *none = NULL;
	assert_int_equal(policy_parse(&file, 1, &none, errors), ERR_BAD_CONFIG);
	assert_string_equal(errors->list[0].text, "p:2:55: there is no kind of key \"EC P-265\"; did you mean \"ec-p256\"?");
	free(errors);
}

/* An empty list would be no condition: the rule would be for everybody, everywhere, always. */
static void test_a_condition_of_nothing_is_refused(void **state)
{
	(void)state;
	static const char *const keys[] = {"devices", "device_tags", "key_kind", "realms", "from", "hours"};
	static const char *const values[] = {"{}", "{\"@none\"}", "\"@none\""};
	struct policy_errors *errors = calloc(1, sizeof(*errors));
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		for (size_t j = 0; j < sizeof(values) / sizeof(values[0]); j++) {
			char source[512], expected[128];
			struct policy *policy = NULL;
			const struct policy_file file = {"p", source};
			snprintf(source, sizeof(source), "list \"none\" { members = {} }\nresource \"a\" { address = {\"h:1\"} }\n"
				 "rule \"r\" { users = {\"u\"} resources = {\"a\"}\n%s = %s }\n", keys[i], values[j]);
			snprintf(expected, sizeof(expected), "p:4:1: %s is empty: name what it asks for, or leave it out", keys[i]);
			assert_int_equal(policy_parse(&file, 1, &policy, errors), ERR_BAD_CONFIG);
			assert_string_equal(errors->list[0].text, expected);
		}
	free(errors);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_B1_default_deny_and_who_is_let_through),
		cmocka_unit_test(test_B1_deny_wins_wherever_it_stands),
		cmocka_unit_test(test_hours_and_fresh_login),
		cmocka_unit_test(test_B2_special_addresses_only_by_their_literal_name),
		cmocka_unit_test(test_errors_name_file_line_and_what_to_do),
		cmocka_unit_test(test_B2_the_name_of_a_resource_is_its_one_address),
		cmocka_unit_test(test_all_errors_of_meaning_at_once),
		cmocka_unit_test(test_lists_and_calendars),
		cmocka_unit_test(test_C1_hours_ask_for_both_clocks),
		cmocka_unit_test(test_C1_hours_of_a_deny_rule_ask_for_either_clock),
		cmocka_unit_test(test_B2_the_resource_of_the_verdict_is_the_rule_s),
		cmocka_unit_test(test_C1_what_will_end_is_foreseen),
		cmocka_unit_test(test_an_error_points_at_its_word),
		cmocka_unit_test(test_warnings_of_what_has_no_effect),
		cmocka_unit_test(test_kinds_of_keys_are_those_of_certificates),
		cmocka_unit_test(test_a_condition_of_nothing_is_refused),
		cmocka_unit_test(test_explanation_names_the_rule_and_the_fact),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

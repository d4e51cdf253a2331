/* test_target.c: every spelling of a target comes to the same text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../gateway/broker/target.h"

static const struct {
	const char *typed, *canonical; /* NULL: refused */
	bool is_address;
} rows[] = {
	{"db1", "db1", false}, {"DB1.Corp.Example.", "db1.corp.example", false}, {"a_b.c-d", "a_b.c-d", false},
	{"127.0.0.1", "127.0.0.1", true}, {"127.0.0.1.", "127.0.0.1", true}, {"2130706433", "127.0.0.1", true},
	{"0x7f000001", "127.0.0.1", true}, {"0X7F.1", "127.0.0.1", true}, {"017700000001", "127.0.0.1", true},
	{"127.1", "127.0.0.1", true}, {"0", "0.0.0.0", true}, {"[::1]", "::1", true}, {"::1", "::1", true},
	{"[::FFFF:127.0.0.1]", "127.0.0.1", true}, {"::ffff:7f00:1", "127.0.0.1", true},
	{"2001:DB8:0:0:0:0:0:1", "2001:db8::1", true}, {"xn--mnchen-3ya.example", "xn--mnchen-3ya.example", false},
	{"", NULL, false}, {".", NULL, false}, {"a..b", NULL, false}, {"-a", NULL, false}, {"a-.b", NULL, false},
	{"alice@db1", NULL, false}, {"*", NULL, false}, {"*.corp", NULL, false}, {"db1/x", NULL, false},
	{"m\xc3\xbcnchen", NULL, false}, {"\xef\xbc\x91", NULL, false}, {"a b", NULL, false}, {"127.0.0.1%00", NULL, false},
	{"fe80::1%eth0", NULL, false}, {"[db1]", NULL, false}, {"[", NULL, false}, {"]", NULL, false}, {"[]", NULL, false},
	{"1.2.3.4.5", NULL, false}, {"256.1.1.1", NULL, false}, {"99999999999", NULL, false}, {"host.0x7f", NULL, false},
	{":::", NULL, false}, {"a\x01", NULL, false},
};

static void test_B2_every_spelling_has_one_canonical_form(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct target target;
		struct diag diag = {""};
		int result = target_parse(view_string(rows[i].typed), 22, &target, &diag);
		if (!rows[i].canonical) {
			assert_int_equal(result, ERR_BAD_INPUT);
			assert_true(diag.text[0]);
			continue;
		}
		assert_int_equal(result, 0);
		assert_string_equal(target.host, rows[i].canonical);
		assert_int_equal(target.is_address, rows[i].is_address);
		assert_int_equal(target.port, 22);
	}
}

static void test_ports_and_lengths(void **state)
{
	(void)state;
	struct target target;
	char name[300];
	memset(name, 'a', sizeof(name));
	assert_int_equal(target_parse(view_string("h"), 0, &target, NULL), ERR_BAD_INPUT);
	assert_int_equal(target_parse(view_string("h"), 65536, &target, NULL), ERR_BAD_INPUT);
	assert_int_equal(target_parse(view_string("h"), 65535, &target, NULL), 0);
	assert_int_equal(target_parse(view_of(name, 64), 1, &target, NULL), ERR_BAD_INPUT);
	assert_int_equal(target_parse(view_of(name, 63), 1, &target, NULL), 0);
	assert_int_equal(target_parse(view_of(name, 300), 1, &target, NULL), ERR_BAD_INPUT);
	assert_int_equal(target_parse(view_of("a\0b", 3), 1, &target, NULL), ERR_BAD_INPUT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_B2_every_spelling_has_one_canonical_form), cmocka_unit_test(test_ports_and_lengths)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_str.c: bounded text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sallyport/err.h"
#include "sallyport/str.h"

static void test_durations_carry_units(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int result;
		uint64_t ms;
	} rows[] = {
		{"10s", 0, 10000}, {"250ms", 0, 250}, {"15m", 0, 900000}, {"12h", 0, 43200000}, {"30d", 0, 2592000000},
		{"0", 0, 0}, {"10", ERR_BAD_INPUT, 0}, {"", ERR_BAD_INPUT, 0}, {"-1s", ERR_BAD_INPUT, 0},
		{"1 s", ERR_BAD_INPUT, 0}, {"10S", ERR_BAD_INPUT, 0}, {"99999999999999999999d", ERR_BAD_INPUT, 0},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t ms = 0;
		assert_int_equal(str_to_duration_ms(view_string(rows[i].text), &ms), rows[i].result);
		assert_int_equal(ms, rows[i].ms);
	}
	char text[32];
	str_from_duration_ms(5400000, text, sizeof(text));
	assert_string_equal(text, "90m");
}

static void test_authority(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int result;
		const char *host;
		unsigned port;
	} rows[] = {
		{"db1:5432", 0, "db1", 5432}, {"[::1]:22", 0, "::1", 22}, {"[", ERR_BAD_INPUT, "", 0},
		{"db1:0", ERR_BAD_INPUT, "", 0}, {"db1:70000", ERR_BAD_INPUT, "", 0}, {"db1", ERR_BAD_INPUT, "", 0},
		{":22", ERR_BAD_INPUT, "", 0}, {"::1:22", ERR_BAD_INPUT, "", 0}, {"[]:22", ERR_BAD_INPUT, "", 0},
		{"[db1]:22", ERR_BAD_INPUT, "", 0}, {"", ERR_BAD_INPUT, "", 0}, {"a:b:1", ERR_BAD_INPUT, "", 0},
		{"db1:22 ", ERR_BAD_INPUT, "", 0}, {"[::1]x:22", ERR_BAD_INPUT, "", 0}, {"db1:+22", ERR_BAD_INPUT, "", 0},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char host[256] = "";
		uint16_t port = 0;
		assert_int_equal(str_split_authority(view_string(rows[i].text), host, sizeof(host), &port), rows[i].result);
		assert_string_equal(host, rows[i].host);
		assert_int_equal(port, rows[i].port);
	}
}

static void test_host_with_a_port_or_without(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int result;
		const char *host;
		unsigned port;
	} rows[] = {
		{"wiki", 0, "wiki", 80}, {"wiki:8080", 0, "wiki", 8080}, {"[::1]", 0, "::1", 80}, {"[::1]:81", 0, "::1", 81},
		{"wiki:", ERR_BAD_INPUT, "", 0}, {"wiki:0", ERR_BAD_INPUT, "", 0}, {"wiki:70000", ERR_BAD_INPUT, "", 0},
		{"", ERR_BAD_INPUT, "", 0}, {":80", ERR_BAD_INPUT, "", 0}, {"[]", ERR_BAD_INPUT, "", 0}, {"[wiki]", ERR_BAD_INPUT, "", 0},
		{"::1", ERR_BAD_INPUT, "", 0}, {"wiki]", ERR_BAD_INPUT, "", 0},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char host[256] = "";
		uint16_t port = 0;
		assert_int_equal(str_split_host(view_string(rows[i].text), 80, host, sizeof(host), &port), rows[i].result);
		assert_string_equal(host, rows[i].host);
		assert_int_equal(port, rows[i].port);
	}
	char host[256], text[1001];
	uint16_t port;
	memset(text, 'a', sizeof(text));
	for (size_t size = 200; size < 1000; size++)
		assert_int_equal(str_split_host(view_of(text, size), 80, host, sizeof(host), &port), size < 256 ? 0 : ERR_BAD_INPUT);
}

static void test_nearest_word(void **state)
{
	(void)state;
	static const char *const words[] = {"login_grace", "listen", "lease", NULL};
	assert_string_equal(str_nearest("login_grase", words), "login_grace");
	assert_string_equal(str_nearest("leese", words), "lease");
	assert_null(str_nearest("completely_different", words));
}

static void test_printable_has_no_terminal_escapes(void **state)
{
	(void)state;
	char text[] = "a\x1b[2Jb\nc\xc2\x9b" "31m\xc3\xa4";
	str_make_printable(text);
	assert_string_equal(text, "a?[2Jb?c??31m\xc3\xa4");
}

static void test_comments_become_spaces_and_lines_stay(void **state)
{
	(void)state;
	char text[] = "# one\na = \"# no\" # yes\nb = 'it\\'s // no' // yes\n/* x\n # y */c = 1 /* open\n";
	str_blank_comments(text);
	assert_string_equal(text, "     \na = \"# no\"      \nb = 'it\\'s // no'       \n    \n       c = 1        \n");
}

static void test_utf8(void **state)
{
	(void)state;
	assert_true(view_is_utf8(view_string("gr\xc3\xbc\xc3\x9f")));
	assert_false(view_is_utf8(view_string("\xc0\x80")));
	assert_false(view_is_utf8(view_string("\xed\xa0\x80")));
	assert_false(view_is_utf8(view_string("\xc3")));
	assert_false(view_is_utf8(view_of("a\0b", 3)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_durations_carry_units), cmocka_unit_test(test_authority), cmocka_unit_test(test_host_with_a_port_or_without),
		cmocka_unit_test(test_nearest_word), cmocka_unit_test(test_printable_has_no_terminal_escapes),
		cmocka_unit_test(test_utf8), cmocka_unit_test(test_comments_become_spaces_and_lines_stay),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

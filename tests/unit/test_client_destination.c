/* test_client_destination.c: the spellings of -W and -L. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "destination.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

static void test_good_destinations(void **state)
{
	(void)state;
	static const struct {
		const char *text, *host;
		unsigned port;
		const char *spelled;
	} rows[] = {
		{"db1:22", "db1", 22, "db1:22"}, {"[2001:db8::1]:443", "2001:db8::1", 443, "[2001:db8::1]:443"},
		/* ssh hands over %h:%p as it is */
		{"::1:22", "::1", 22, "[::1]:22"}, {"10.0.0.1:65535", "10.0.0.1", 65535, "10.0.0.1:65535"},
		{"a_b.example.:1", "a_b.example.", 1, "a_b.example.:1"},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct destination destination;
		struct diag diag = {0};
		char spelled[DESTINATION_TEXT_MAX];
		assert_int_equal(destination_parse(rows[i].text, &destination, &diag), STATUS_OK);
		assert_string_equal(destination.host, rows[i].host);
		assert_int_equal(destination.port, rows[i].port);
		destination_text(&destination, spelled);
		assert_string_equal(spelled, rows[i].spelled);
	}
}

static void test_bad_destinations(void **state)
{
	(void)state;
	static const struct {
		const char *text, *words;
	} rows[] = {
		{"", "expected HOST:PORT"}, {"[", "expected HOST:PORT"}, {"[:22", "expected HOST:PORT"},
		{"db1", "expected HOST:PORT"}, {"db1:", "not a number from 1 to 65535"}, {"db1:0", "from 1 to 65535"},
		{"db1:70000", "from 1 to 65535"}, {"db1:-1", "from 1 to 65535"}, {":22", "host is missing"},
		{"[]:22", "host is missing"}, {"[db1]:22", "not an IPv6 address"}, {"a:b:1", "expected HOST:PORT"},
		{"[::1]x:22", "expected HOST:PORT"}, {"d b:22", "ASCII"}, {"b\xc3\xbc:22", "ASCII"}, {"a\r\nb:22", "ASCII"},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct destination destination = {.port = 7};
		struct diag diag = {0};
		assert_int_equal(destination_parse(rows[i].text, &destination, &diag), STATUS_USAGE);
		assert_non_null(strstr(diag.text, rows[i].words));
		assert_int_equal(destination.port, 7);
	}
	char huge[600];
	struct destination destination;
	struct diag diag = {0};
	memset(huge, 'a', sizeof(huge));
	memcpy(huge + sizeof(huge) - 4, ":22", 4);
	assert_int_equal(destination_parse(huge, &destination, &diag), STATUS_USAGE);
	assert_non_null(strstr(diag.text, "longer than"));
}

static void test_good_forwards(void **state)
{
	(void)state;
	static const struct {
		const char *text, *bind;
		unsigned port;
		const char *host;
		unsigned host_port;
	} rows[] = {
		{"5432:db:5433", "127.0.0.1", 5432, "db", 5433}, {"localhost:1:h:2", "127.0.0.1", 1, "h", 2},
		{"0.0.0.0:1:h:2", "0.0.0.0", 1, "h", 2}, {"[::1]:1:[2001:db8::5]:2", "::1", 1, "2001:db8::5", 2},
		{"1:[::1]:2", "127.0.0.1", 1, "::1", 2},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct forward forward;
		struct diag diag = {0};
		assert_int_equal(forward_parse(rows[i].text, &forward, &diag), STATUS_OK);
		assert_string_equal(forward.bind, rows[i].bind);
		assert_int_equal(forward.port, rows[i].port);
		assert_string_equal(forward.destination.host, rows[i].host);
		assert_int_equal(forward.destination.port, rows[i].host_port);
	}
}

static void test_bad_forwards(void **state)
{
	(void)state;
	static const struct {
		const char *text, *words;
	} rows[] = {
		{"", "a part is missing"}, {"[", "brackets do not fit"}, {"5432", "a part is missing"},
		{"5432:db", "a part is missing"}, {"0:db:1", "local port \"0\""}, {"70000:db:1", "local port \"70000\""},
		{"1:db:0", "remote port \"0\""}, {"1:db:70000", "remote port \"70000\""}, {"1:db:", "remote port \"\""},
		{"1::2", "host is missing"}, {":1:db:2", "address to listen on"}, {"a:b:c:d:e", "too many parts"},
		{"1:::1:2", "too many parts"}, {"host:1:db:2", "address to listen on"}, {"*:1:db:2", "address to listen on"},
		{"[127.0.0.1]:1:db:2", "address to listen on"}, {"1:[db]:2", "not an IPv6 address"},
		{"1:[::1:2", "brackets do not fit"}, {"1:d[b:2", "brackets do not fit"}, {"1:[::1]]:2", "brackets do not fit"},
		{"1:d b:2", "ASCII"}, {"999999999999999999999:db:1", "local port"},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct forward forward;
		struct diag diag = {0};
		assert_int_equal(forward_parse(rows[i].text, &forward, &diag), STATUS_USAGE);
		assert_non_null(strstr(diag.text, rows[i].words));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_destinations), cmocka_unit_test(test_bad_destinations),
		cmocka_unit_test(test_good_forwards), cmocka_unit_test(test_bad_forwards),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

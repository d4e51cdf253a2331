/* test_client_say.c: foreign text on the user's terminal, TLS refusals in words, the order of addresses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "dial.h"
#include "refusal.h"
#include "say.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

static void test_foreign_text_is_harmless(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum say_end end;
		const char *cleaned;
	} rows[] = {
		{"plain", SAY_TRIM_END, "plain"},
		{"Scan:\n\tX\nCode: ", SAY_KEEP_END, "Scan:\n\tX\nCode: "},
		{"two\nlines\n\n ", SAY_TRIM_END, "two\nlines"},
		{"\x1b]0;title\x07" "a\rb\x1b[31m", SAY_TRIM_END, "?]0;title?a?b?[31m"},
		{"c\xc2\x9b" "31m\xc3\xa4", SAY_TRIM_END, "c??31m\xc3\xa4"},
		/* A broken line does not spoil its neighbour. */
		{"\xff\n\xc3\xa4", SAY_TRIM_END, "?\n\xc3\xa4"},
		{"a\x7f\x08" "b", SAY_TRIM_END, "a??b"},
		{"", SAY_TRIM_END, ""}, {" \n", SAY_TRIM_END, ""},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		char *cleaned = say_cleaned(rows[i].text, rows[i].end);
		assert_string_equal(cleaned, rows[i].cleaned);
		free(cleaned);
	}
}

static void test_cells_are_one_line_and_padded(void **state)
{
	(void)state;
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	say_cell(out, "a\n\x1b[2J\xc3\xa4", 10);
	say_cell(out, "|", 0);
	fclose(out);
	assert_string_equal(text, "a??[2J\xc3\xa4   |");
	free(text);
}

static void test_alerts_about_our_certificate(void **state)
{
	(void)state;
	static const struct {
		enum tls_alert alert;
		int status;
		const char *words;
	} rows[] = {
		{TLS_ALERT_CERTIFICATE_REVOKED, STATUS_DEVICE_REFUSED, "is revoked"},
		{TLS_ALERT_CERTIFICATE_EXPIRED, STATUS_DEVICE_REFUSED, "has expired"},
		{TLS_ALERT_CERTIFICATE_UNKNOWN, STATUS_DEVICE_REFUSED, "is not known there"},
		{TLS_ALERT_ACCESS_DENIED, STATUS_DEVICE_REFUSED, "is locked there"},
		{TLS_ALERT_UNKNOWN_CA, STATUS_DEVICE_REFUSED, "not from its authority"},
		{TLS_ALERT_CERTIFICATE_REQUIRED, STATUS_DEVICE_REFUSED, "wants a device certificate"},
		{TLS_ALERT_INTERNAL_ERROR, STATUS_UNREACHABLE, "internal error"},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct diag diag = {0};
		assert_int_equal(refusal_for_alert(rows[i].alert, "gw:443", &diag), rows[i].status);
		assert_non_null(strstr(diag.text, rows[i].words));
		assert_non_null(strstr(diag.text, "gw:443"));
	}
	struct diag diag = {0};
	assert_int_equal(refusal_for_server("not_trusted", "x", "gw:443", &diag), STATUS_UNREACHABLE);
	assert_non_null(strstr(diag.text, "--ca"));
	assert_int_equal(refusal_for_server(NULL, "x", "gw:443", &diag), STATUS_UNREACHABLE);
}

static void test_families_take_turns(void **state)
{
	(void)state;
	enum { SIX = AF_INET6, FOUR = AF_INET };
	static const struct {
		int families[6];
		size_t count;
		size_t order[6];
	} rows[] = {
		{{SIX, SIX, SIX, FOUR, FOUR}, 5, {0, 3, 1, 4, 2}}, {{FOUR, FOUR, SIX}, 3, {0, 2, 1}}, {{FOUR, FOUR}, 2, {0, 1}},
		{{SIX}, 1, {0}}, {{0}, 0, {0}},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		size_t order[6] = {0};
		dial_interleave(rows[i].families, rows[i].count, order);
		assert_memory_equal(order, rows[i].order, rows[i].count * sizeof(order[0]));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_foreign_text_is_harmless), cmocka_unit_test(test_cells_are_one_line_and_padded),
		cmocka_unit_test(test_alerts_about_our_certificate), cmocka_unit_test(test_families_take_turns),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

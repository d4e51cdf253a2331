/* test_proxy_head.c: heads of the PROXY protocol, as tables: what they say, and what is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../gateway/worker/proxy_head.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define FOUR "\xc0\x00\x02\x07\xc6\x33\x64\x01\x9c\x40\x01\xbb"
#define SIX "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x9c\x40\x01\xbb"
#define MAPPED "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x07\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x08\x9c\x40\x01\xbb"
#define ROW(text) text, sizeof(text) - 1

/* As the worker reads: only what is asked for. Returns how much was read. */
static size_t read_head(const char *bytes, size_t size, int *out_result, struct proxy_head *out_head)
{
	struct diag diag;
	size_t have = 0, more = 0;
	while ((*out_result = proxy_head_parse(view_of(bytes, have), out_head, &more, &diag)) == ERR_AGAIN) {
		assert_true(more > 0);
		if (have + more > size)
			return have;
		have += more;
	}
	return have;
}

static void test_E3_what_a_head_says(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t size;
		const char *address;
		unsigned port;
	} rows[] = {
		{ROW("PROXY TCP4 192.0.2.7 198.51.100.1 40000 443\r\n"), "192.0.2.7", 40000},
		{ROW("PROXY TCP6 2001:db8::7 2001:db8::1 40000 443\r\n"), "2001:db8::7", 40000},
		{ROW("PROXY TCP6 ::ffff:192.0.2.7 ::1 1 2\r\n"), "192.0.2.7", 1},
		{ROW("PROXY UNKNOWN\r\n"), "", 0},
		{ROW("PROXY UNKNOWN whatever it says\r\n"), "", 0},
		{ROW(SIGNATURE "\x21\x11\x00\x0c" FOUR), "192.0.2.7", 40000},
		{ROW(SIGNATURE "\x21\x11\x00\x13" FOUR "\x03\x00\x04" "abcd"), "192.0.2.7", 40000},
		{ROW(SIGNATURE "\x21\x21\x00\x24" SIX), "2001:db8::7", 40000},
		{ROW(SIGNATURE "\x21\x21\x00\x24" MAPPED), "192.0.2.7", 40000},
		{ROW(SIGNATURE "\x20\x00\x00\x00"), "", 0},
		{ROW(SIGNATURE "\x21\x00\x00\x02xx"), "", 0},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char bytes[256];
		struct proxy_head head = {.port = 1};
		int result = 0;
		/* What follows belongs to TLS, and is not touched. */
		memcpy(bytes, rows[i].bytes, rows[i].size);
		memset(bytes + rows[i].size, 0x16, sizeof(bytes) - rows[i].size);
		assert_int_equal(read_head(bytes, sizeof(bytes), &result, &head), rows[i].size);
		assert_int_equal(result, 0);
		assert_string_equal(head.address, rows[i].address);
		assert_int_equal(head.port, rows[i].port);
		/* Half of it is none yet. */
		(void)read_head(rows[i].bytes, rows[i].size - 1, &result, &head);
		assert_int_equal(result, ERR_AGAIN);
	}
}

static void test_E5_what_is_no_head(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t size;
	} rows[] = {
		{ROW("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x00\x00\x00\x00")},
		{ROW("GET / HTTP/1.1\r\n\r\n")},
		{ROW("PROXY TCP4 192.0.2.7\r\n")},
		{ROW("PROXY TCP4 192.0.2.7 198.51.100.1 40000\r\n")},
		{ROW("PROXY TCP4 192.0.2.256 198.51.100.1 40000 443\r\n")},
		{ROW("PROXY TCP4 2001:db8::7 2001:db8::1 40000 443\r\n")},
		{ROW("PROXY TCP6 192.0.2.7 198.51.100.1 40000 443\r\n")},
		{ROW("PROXY TCP4 192.0.2.7  198.51.100.1 40000 443\r\n")},
		{ROW("PROXY TCP4 192.0.2.7 198.51.100.1 70000 443\r\n")},
		{ROW("PROXY TCP4 192.0.2.7 198.51.100.1 40000 443 \r\n")},
		{ROW("PROXY TCP4 192.0.2.7 198.51.100.1 40000 443\nxx")},
		{ROW("PROXY UDP4 192.0.2.7 198.51.100.1 40000 443\r\n")},
		{ROW("PROXY UNKNOWN 0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012")},
		{ROW(SIGNATURE "\x31\x11\x00\x0c" FOUR)},
		{ROW(SIGNATURE "\x22\x11\x00\x0c" FOUR)},
		{ROW(SIGNATURE "\x21\x12\x00\x0c" FOUR)},
		{ROW(SIGNATURE "\x21\x11\x00\x0b" FOUR)},
		{ROW(SIGNATURE "\x21\x21\x00\x0c" FOUR)},
		{ROW(SIGNATURE "\x21\x11\xff\xff" FOUR)},
		{ROW("\r\n\r\n\0\r\nQUIX\n\x21\x11\x00\x0c" FOUR)},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct proxy_head head;
		int result = 0;
		(void)read_head(rows[i].bytes, rows[i].size, &result, &head);
		if (result != ERR_BAD_INPUT)
			fail_msg("row %zu", i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_E3_what_a_head_says), cmocka_unit_test(test_E5_what_is_no_head)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_client_greeting.c: what SOCKS5 clients and clients of an HTTP proxy say, and the pauses of the uplink. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proxy_head.h"
#include "socks.h"
#include "uplink.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

/* Feeds all bytes as a socket would; returns the last step. */
static enum socks_step feed(const uint8_t *bytes, size_t size, struct destination *out_destination, size_t *out_taken)
{
	struct socks socks;
	struct view reply;
	enum socks_step step = SOCKS_MORE;
	size_t at = 0;
	socks_init(&socks);
	while ((step == SOCKS_MORE || step == SOCKS_WELCOMED) && at < size) {
		assert_true(socks.wanted <= SOCKS_BYTES_MAX);
		socks.bytes[socks.size++] = bytes[at++];
		if (socks.size == socks.wanted)
			step = socks_next(&socks, out_destination, &reply);
	}
	*out_taken = at;
	return step;
}

static void test_socks_requests(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t size;
		enum socks_step step;
		const char *host;
		unsigned port;
	} rows[] = {
		{"\5\1\0\5\1\0\3\3db1\0\26", 13, SOCKS_DESTINATION, "db1", 22},
		{"\5\2\2\0\5\1\0\1\12\0\0\1\1\273", 14, SOCKS_DESTINATION, "10.0.0.1", 443},
		{"\5\1\0\5\1\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\26", 25, SOCKS_DESTINATION, "::1", 22},
		{"\4\1\0\26\12\0\0\1\0", 9, SOCKS_REFUSED, NULL, 0},       /* SOCKS4 */
		{"\5\1\2", 3, SOCKS_REFUSED, NULL, 0},                     /* only with a password */
		{"\5\0", 2, SOCKS_REFUSED, NULL, 0},                       /* no method at all */
		{"\5\1\0\5\2\0\1\12\0\0\1\0\26", 13, SOCKS_REFUSED, NULL, 0}, /* BIND */
		{"\5\1\0\5\1\0\7\0\0\0", 10, SOCKS_REFUSED, NULL, 0},      /* an address of no known kind */
		{"\5\1\0\5\1\0\3\3d\n1\0\26", 13, SOCKS_REFUSED, NULL, 0},
		{"\5\1\0\5\1\0\3\0\0\26", 10, SOCKS_REFUSED, NULL, 0},     /* an empty name */
		{"\5\1\0\5\1\0\3\3db1\0\0", 13, SOCKS_REFUSED, NULL, 0},   /* port 0 */
		{"\5\1\0\5\1\0\3\3d@1\0\26", 13, SOCKS_REFUSED, NULL, 0},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct destination destination = {0};
		size_t taken;
		assert_int_equal(feed((const uint8_t *)rows[i].bytes, rows[i].size, &destination, &taken), rows[i].step);
		if (rows[i].step != SOCKS_DESTINATION)
			continue;
		assert_int_equal(taken, rows[i].size);
		assert_string_equal(destination.host, rows[i].host);
		assert_int_equal(destination.port, rows[i].port);
	}
}

static void test_proxy_heads(void **state)
{
	(void)state;
	static const struct {
		const char *head, *host;
		unsigned port;
		const char *rewritten; /* NULL: CONNECT */
	} rows[] = {
		{"CONNECT db1:22 HTTP/1.1\r\n\r\n", "db1", 22, NULL},
		{"CONNECT [2001:db8::1]:443 HTTP/1.0\r\nHost: x\r\n\r\n", "2001:db8::1", 443, NULL},
		{"GET http://wiki/a?b HTTP/1.1\r\nHost: wiki\r\nProxy-Connection: keep-alive\r\n\r\n", "wiki", 80,
		 "GET /a?b HTTP/1.1\r\nHost: wiki\r\nConnection: close\r\n\r\n"},
		{"GET http://wiki:8080 HTTP/1.1\r\nHost: wiki:8080\r\n\r\n", "wiki", 8080,
		 "GET / HTTP/1.1\r\nHost: wiki:8080\r\nConnection: close\r\n\r\n"},
		{"GET http://[::1]?q HTTP/1.1\r\nproxy-authorization: Basic x\r\nHost: a\r\n\r\n", "::1", 80,
		 "GET /?q HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"},
		{"GET http://chat/ HTTP/1.1\r\nHost: chat\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", "chat", 80,
		 "GET / HTTP/1.1\r\nHost: chat\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		OWN_BUF struct buf rewritten = BUF_INIT(4096);
		struct destination destination;
		bool is_connect = false;
		struct view head = view_string(rows[i].head);
		assert_int_equal(proxy_head_size(head), head.size);
		assert_int_equal(proxy_head_parse(head, &destination, &is_connect, &rewritten), 0);
		assert_string_equal(destination.host, rows[i].host);
		assert_int_equal(destination.port, rows[i].port);
		assert_int_equal(is_connect, !rows[i].rewritten);
		if (rows[i].rewritten)
			assert_true(view_is(buf_view(&rewritten), rows[i].rewritten));
	}
}

static void test_heads_that_are_none(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"GET / HTTP/1.1\r\n\r\n", "GET https://a/ HTTP/1.1\r\n\r\n", "CONNECT a HTTP/1.1\r\n\r\n",
		"CONNECT a:0 HTTP/1.1\r\n\r\n", "CONNECT u@a:1 HTTP/1.1\r\n\r\n", "GET http:// HTTP/1.1\r\n\r\n",
		"GET http://a:b/ HTTP/1.1\r\n\r\n", "GET http://a/ HTTP/2\r\n\r\n", "GET http://a/\r\n\r\n",
		" http://a/ HTTP/1.1\r\n\r\n", "GET http://a/ HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
		"GET http://a/ HTTP/1.1\nHost: a\r\n\r\n", "GET http://a/ HTTP/1.1\r\nA: b\rc\r\n\r\n\n",
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		OWN_BUF struct buf rewritten = BUF_INIT(4096);
		struct destination destination;
		bool is_connect;
		assert_int_equal(proxy_head_parse(view_string(rows[i]), &destination, &is_connect, &rewritten), ERR_BAD_INPUT);
	}
}

static void test_pauses_grow_to_a_bound(void **state)
{
	(void)state;
	assert_int_equal(uplink_pause_ms(1), 500);
	assert_int_equal(uplink_pause_ms(2), 1000);
	assert_int_equal(uplink_pause_ms(5), 8000);
	assert_int_equal(uplink_pause_ms(7), 30000);
	assert_int_equal(uplink_pause_ms(4000000000u), 30000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_socks_requests),
		cmocka_unit_test(test_proxy_heads),
		cmocka_unit_test(test_heads_that_are_none),
		cmocka_unit_test(test_pauses_grow_to_a_bound),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

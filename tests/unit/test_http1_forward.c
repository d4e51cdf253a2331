/* test_http1_forward.c: heads as they are carried on: what stays behind, what is written anew, what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sallyport/http1.h"
#include "sallyport/http1_forward.h"

enum { LIMIT = 65536 };

/* What a client's bytes become, for a target. */
static int carry(const char *text, const char *host, uint16_t port, struct buf *out_head, struct http1_refusal *out_refusal)
{
	OWN(own_http1) struct http1 *http1 = NULL;
	struct view input = view_string(text);
	struct http1_forward forward = {.host = host, .port = port, .received = "1.1", .own_cookie = "__Host-sallyport"};
	assert_int_equal(http1_new(LIMIT, LIMIT, &http1), 0);
	assert_int_equal(http1_next(http1, &input), HTTP1_REQUEST);
	return http1_forward_request(http1_request(http1), &forward, out_head, out_refusal);
}

static void test_heads_are_written_anew(void **state)
{
	(void)state;
	static const struct {
		const char *text, *host;
		uint16_t port;
		const char *head;
	} rows[] = {
		{"GET http://wiki/a?b HTTP/1.1\r\nHost: other\r\nAccept: */*\r\n\r\n", "wiki", 80,
		 "GET /a?b HTTP/1.1\r\nHost: wiki\r\nAccept: */*\r\nVia: 1.1 sallyport\r\nConnection: close\r\n\r\n"},
		{"GET http://wiki:8080 HTTP/1.1\r\nHost: x\r\n\r\n", "wiki", 8080,
		 "GET / HTTP/1.1\r\nHost: wiki:8080\r\nVia: 1.1 sallyport\r\nConnection: close\r\n\r\n"},
		{"GET http://[::1]?q HTTP/1.1\r\nHost: x\r\n\r\n", "::1", 80,
		 "GET /?q HTTP/1.1\r\nHost: [::1]\r\nVia: 1.1 sallyport\r\nConnection: close\r\n\r\n"},
		{"OPTIONS http://wiki HTTP/1.1\r\nHost: x\r\n\r\n", "wiki", 80,
		 "OPTIONS * HTTP/1.1\r\nHost: wiki\r\nVia: 1.1 sallyport\r\nConnection: close\r\n\r\n"},
		/* fields of this hop, those that Connection names, and what is written anew */
		{"POST http://wiki/ HTTP/1.1\r\nHost: x\r\nConnection: X-Hop, keep-alive,,host\r\nX-HOP: 1\r\nKeep-Alive: timeout=5\r\n"
		 "Proxy-Authorization: Basic eA==\r\nProxy-Connection: keep-alive, x-old\r\nX-Old: 1\r\nProxy-Foo: 1\r\nTE: trailers\r\n"
		 "Trailer: X\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\nAuthorization: Basic eQ==\r\n"
		 "Via: 1.0 fred\r\nForwarded: for=x\r\nMax-Forwards: 3\r\n\r\n", "wiki", 80,
		 "POST / HTTP/1.1\r\nHost: wiki\r\nAuthorization: Basic eQ==\r\nVia: 1.0 fred\r\nForwarded: for=x\r\nMax-Forwards: 3\r\n"
		 "Content-Length: 3\r\nVia: 1.1 sallyport\r\nConnection: close\r\n\r\n"},
		{"POST http://wiki/ HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", "wiki", 80,
		 "POST / HTTP/1.1\r\nHost: wiki\r\nContent-Length: 0\r\nVia: 1.1 sallyport\r\nConnection: close\r\n\r\n"},
		/* cookies: one line, and never ours */
		{"GET http://wiki/ HTTP/1.1\r\nHost: x\r\ncookie: a=1; __Host-sallyport=secret; b=\"2;; c\r\n\r\n", "wiki", 80,
		 "GET / HTTP/1.1\r\nHost: wiki\r\nCookie: a=1; b=\"2; c\r\nVia: 1.1 sallyport\r\nConnection: close\r\n\r\n"},
		{"GET http://wiki/ HTTP/1.1\r\nHost: x\r\nCookie:  __host-SALLYPORT =secret;\t;\r\n\r\n", "wiki", 80,
		 "GET / HTTP/1.1\r\nHost: wiki\r\nVia: 1.1 sallyport\r\nConnection: close\r\n\r\n"},
		{"GET http://wiki/ HTTP/1.1\r\nHost: x\r\nCookie: __Host-sallyport\r\nConnection: close\r\n\r\n", "wiki", 80,
		 "GET / HTTP/1.1\r\nHost: wiki\r\nVia: 1.1 sallyport\r\nConnection: close\r\n\r\n"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		OWN_BUF struct buf head = BUF_INIT(LIMIT);
		struct http1_refusal refusal = {0};
		if (carry(rows[i].text, rows[i].host, rows[i].port, &head, &refusal) < 0 || !view_is(buf_view(&head), rows[i].head))
			fail_msg("row %zu: %s\n%.*s", i, refusal.sentence, (int)head.size, (const char *)head.data);
	}
}

static void test_E5_what_is_not_carried_on(void **state)
{
	(void)state;
	const struct {
		struct http_request request;
		const char *host;
		unsigned status;
	} rows[] = {
#define GET .method = {(const uint8_t *)"GET", 3}
#define PATH(text) .path = {(const uint8_t *)text, sizeof(text) - 1}
		{{.method = {(const uint8_t *)"TRACE", 5}, PATH("/")}, "wiki", 405},
		{{.method = {(const uint8_t *)"CONNECT", 7}, PATH("/")}, "wiki", 400},
		{{.method = {(const uint8_t *)"GET /\r\n", 7}, PATH("/")}, "wiki", 400},
		{{.method = {(const uint8_t *)"", 0}, PATH("/")}, "wiki", 400},
		{{GET, PATH("*")}, "wiki", 400},
		{{GET, PATH("a")}, "wiki", 400},
		{{GET, PATH("/ HTTP/1.1")}, "wiki", 400},
		{{GET, PATH("/\r\nHost: x")}, "wiki", 400},
		{{GET, PATH("/a#b")}, "wiki", 400},
		{{GET, PATH("/\xc3\xa9")}, "wiki", 400},
		{{GET, PATH("/\0")}, "wiki", 400},
		{{GET, PATH("/")}, "alice@wiki", 400},
		{{GET, PATH("/")}, "wiki/..", 400},
		{{GET, PATH("/")}, "", 400},
		{{GET, PATH("/"), .has_body = true, .content_length = -1}, "wiki", 411},
		{{GET, PATH("/"), .headers = &HTTP_HEADER("x", "a\r\nb"), .header_count = 1}, "wiki", 400},
		{{GET, PATH("/"), .headers = &HTTP_HEADER("x y", "a"), .header_count = 1}, "wiki", 400},
		{{.method = {(const uint8_t *)"OPTIONS", 7}, PATH("*"), .headers = &HTTP_HEADER("max-forwards", "0"), .header_count = 1}, "wiki", 400},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		OWN_BUF struct buf head = BUF_INIT(LIMIT);
		struct http1_refusal refusal = {0};
		struct http1_forward forward = {.host = rows[i].host, .port = 80, .received = "2.0", .own_cookie = "x"};
		int result = http1_forward_request(&rows[i].request, &forward, &head, &refusal);
		if (result != ERR_BAD_INPUT || refusal.status != rows[i].status || !refusal.sentence || head.size)
			fail_msg("row %zu: %d %u %s", i, result, refusal.status, refusal.sentence);
	}
}

static void test_the_fields_of_an_answer(void **state)
{
	(void)state;
	const struct http_header fields[] = {
		HTTP_HEADER("content-type", "text/html"), HTTP_HEADER("connection", "x-hop"), HTTP_HEADER("x-hop", "1"),
		HTTP_HEADER("set-cookie", "a=1"), HTTP_HEADER("content-length", "5"), HTTP_HEADER("transfer-encoding", "chunked"),
		HTTP_HEADER("proxy-authenticate", "Basic realm=\"x\""), HTTP_HEADER("keep-alive", "timeout=5"), HTTP_HEADER("set-cookie", "b=2"),
		HTTP_HEADER("upgrade", "h2c"), HTTP_HEADER("trailer", "x"),
	};
	static const char *const kept[][2] = {{"content-type", "text/html"}, {"set-cookie", "a=1"}, {"set-cookie", "b=2"}};
	struct http_header out[sizeof(fields) / sizeof(fields[0])];
	assert_int_equal(http1_forward_fields(fields, sizeof(fields) / sizeof(fields[0]), out), 3);
	for (size_t i = 0; i < 3; i++) {
		assert_true(view_is(out[i].name, kept[i][0]));
		assert_true(view_is(out[i].value, kept[i][1]));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_heads_are_written_anew), cmocka_unit_test(test_E5_what_is_not_carried_on),
		cmocka_unit_test(test_the_fields_of_an_answer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_http1.c: request heads, bodies, pipelines; and everything that could be read in two ways. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sallyport/http1.h"

enum { HEAD_LIMIT = 1024, BODY_LIMIT = 100 };

static void test_E5_refusals(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		unsigned status;
	} rows[] = {
		{"GET / HTTP/1.1\r\n\r\n", 400},                                                       /* no Host */
		{"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
		{"GET / HTTP/1.1\nHost: a\n\n", 400},                                                  /* bare LF */
		{"GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", 400},                                      /* bare CR */
		{"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nHost: a\r\nX Y: b\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nHost: a\r\nnonsense\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nHost: a\x01\r\n\r\n", 400},
		{"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
		{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400},
		{"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		{"GET /  HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		{"GET /\tHTTP/1.1\r\nHost: a\r\n\r\n", 400},
		{" GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		{"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400},
		{"GET /\r\n\r\n", 505},                                                             /* HTTP/0.9 */
		{"NONSENSE / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		{"\x16\x03\x01", 400},
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", 400},
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\nx", 400},
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nx", 400},
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\nx", 400},
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
		{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", 400},
		{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 411},
		{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 411},
		{"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 101\r\n\r\n", 413},
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", 400},
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775808\r\n\r\n", 400},  /* 2^63 */
		{"POST http://wiki/ HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551604\r\n\r\n", 400},
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: miracles\r\n\r\n", 417},
		{"CONNECT db:5432 HTTP/1.1\r\nHost: db:5432\r\nContent-Length: 1\r\n\r\nx", 400},
		{"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n", 400},
		{"CONNECT a:1 HTTP/1.1\r\nHost: a\r\nProxy-Authorization: x\r\nproxy-authorization: x\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nHost: a\r\nOrigin: https://a\r\norigin: https://b\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nHost: a\r\nCookie: a=b\r\nCookie: c=d\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nHost: a\r\nSec-Fetch-Site: none\r\nSec-Fetch-Site: cross-site\r\n\r\n", 400},
		{"GET https://wiki/ HTTP/1.1\r\nHost: wiki\r\n\r\n", 400},
		{"GET ftp://wiki/ HTTP/1.1\r\nHost: wiki\r\n\r\n", 400},
		{"GET http:/// HTTP/1.1\r\nHost: wiki\r\n\r\n", 400},
		{"GET http://?x HTTP/1.1\r\nHost: wiki\r\n\r\n", 400},
		{"GET http:wiki HTTP/1.1\r\nHost: wiki\r\n\r\n", 400},
		{"GET wiki/ HTTP/1.1\r\nHost: wiki\r\n\r\n", 400},
		{"GET http://wiki/ HTTP/1.1\r\n\r\n", 400},                                          /* no Host, here as well */
		{"POST http://wiki/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		/* Whole, and byte by byte: the verdict is the same. */
		for (size_t step = strlen(rows[i].text); step; step = step > 1 ? 1 : 0) {
			OWN(own_http1) struct http1 *http1 = NULL;
			assert_int_equal(http1_new(HEAD_LIMIT, BODY_LIMIT, &http1), 0);
			enum http1_event event = HTTP1_MORE;
			for (size_t at = 0; at < strlen(rows[i].text) && event == HTTP1_MORE; at += step) {
				struct view input = view_of(rows[i].text + at, step);
				event = http1_next(http1, &input);
			}
			if (event != HTTP1_REFUSED || http1_request(http1)->refuse != rows[i].status)
				fail_msg("row %zu: event %d status %u %s", i, event, http1_request(http1)->refuse,
					 http1_request(http1)->refuse_sentence);
			assert_non_null(http1_request(http1)->refuse_sentence);
			assert_false(http1_keeps_alive(http1));
			struct view more = view_string("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
			assert_int_equal(http1_next(http1, &more), HTTP1_REFUSED);
		}
	}
}

static void test_E5_a_head_of_1_mib_is_refused_early(void **state)
{
	(void)state;
	OWN(own_http1) struct http1 *http1 = NULL;
	assert_int_equal(http1_new(HEAD_LIMIT, BODY_LIMIT, &http1), 0);
	struct view start = view_string("GET / HTTP/1.1\r\nX: ");
	assert_int_equal(http1_next(http1, &start), HTTP1_MORE);
	char more[512];
	memset(more, 'a', sizeof(more));
	struct view input = view_of(more, sizeof(more));
	assert_int_equal(http1_next(http1, &input), HTTP1_MORE);
	input = view_of(more, sizeof(more));
	assert_int_equal(http1_next(http1, &input), HTTP1_REFUSED);
	assert_int_equal(http1_request(http1)->refuse, 431);
}

static const char pipeline[] =
	"\r\nPOST /v1/login?x=1 HTTP/1.1\r\nHost: gate:443\r\nContent-Type: application/json\r\n"
	"Content-Length: 10\r\nAuthorization:  Bearer abc \t\r\n\r\n0123456789"
	"GET /v1/session HTTP/1.1\r\nhost: gate\r\nAccept: */*\r\nAccept: x/y\r\nX-Empty:\r\n\r\n"
	"CONNECT db1.corp:5432 HTTP/1.1\r\nHost: db1.corp:5432\r\nProxy-Authorization: Basic eA==\r\n\r\nSSH-2.0";

static void run_pipeline(size_t step)
{
	OWN(own_http1) struct http1 *http1 = NULL;
	OWN_BUF struct buf trace = BUF_INIT(4096);
	assert_int_equal(http1_new(HEAD_LIMIT, BODY_LIMIT, &http1), 0);
	for (size_t at = 0, end = 0; end < sizeof(pipeline) - 1;) {
		end = end + step < sizeof(pipeline) - 1 ? end + step : sizeof(pipeline) - 1;
		struct view input = view_of(pipeline + at, end - at);
		for (enum http1_event event = HTTP1_REQUEST; event != HTTP1_MORE && event != HTTP1_TUNNEL;) {
			event = http1_next(http1, &input);
			const struct http_request *request = http1_request(http1);
			struct view body = http1_body(http1);
			assert_int_not_equal(event, HTTP1_REFUSED);
			if (event == HTTP1_REQUEST)
				assert_int_equal(buf_add_format(&trace, "<%.*s|%.*s|%.*s|%.*s|%.*s|%.*s|%.*s|%d>", (int)request->method.size,
						request->method.data, (int)request->path.size, request->path.data,
						(int)request->authority.size, request->authority.data,
						(int)request->authorization.size, request->authorization.data,
						(int)request->proxy_authorization.size, request->proxy_authorization.data,
						(int)request->content_type.size, request->content_type.data,
						(int)request->accept.size, request->accept.data, (int)request->content_length), 0);
			if (event == HTTP1_BODY)
				assert_int_equal(buf_add(&trace, body), 0);
			if (event == HTTP1_WHOLE) {
				assert_true(http1_keeps_alive(http1));
				assert_int_equal(buf_add_string(&trace, "!"), 0);
				http1_again(http1);
			}
			if (event == HTTP1_TUNNEL && end == sizeof(pipeline) - 1)
				assert_true(view_is(input, "SSH-2.0"));
		}
		at = (size_t)((const char *)input.data - pipeline);
	}
	assert_true(view_is(buf_view(&trace),
			    "<POST|/v1/login?x=1|gate:443|Bearer abc||application/json||10>0123456789!"
			    "<GET|/v1/session|gate||||*/*|-1>!"
			    "<CONNECT||db1.corp:5432||Basic eA==|||-1>"));
}

static void test_a_pipeline_at_every_cut(void **state)
{
	(void)state;
	for (size_t step = 1; step < sizeof(pipeline); step++)
		run_pipeline(step);
}

static void test_keep_alive_and_continue(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool keeps, continues;
	} rows[] = {
		{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", true, false},
		{"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", false, false},
		{"GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n", false, false},
		{"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", false, false},
		{"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n", true, false},
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-Continue\r\n\r\n", true, true},
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nExpect: 100-continue\r\n\r\n", true, false},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		OWN(own_http1) struct http1 *http1 = NULL;
		struct view input = view_string(rows[i].text);
		assert_int_equal(http1_new(HEAD_LIMIT, BODY_LIMIT, &http1), 0);
		assert_int_equal(http1_next(http1, &input), HTTP1_REQUEST);
		assert_int_equal(http1_keeps_alive(http1), rows[i].keeps);
		assert_int_equal(http1_expects_continue(http1), rows[i].continues);
		assert_int_equal(http1_next(http1, &input), rows[i].continues ? HTTP1_MORE : HTTP1_WHOLE);
	}
}

static void test_whole_addresses(void **state)
{
	(void)state;
	static const struct {
		const char *target, *authority, *path;
	} rows[] = {
		{"http://wiki/", "wiki", "/"},
		{"HTTP://Wiki:8080/a?b=c", "Wiki:8080", "/a?b=c"},
		{"http://wiki", "wiki", ""},
		{"http://wiki?a/b", "wiki", "?a/b"},
		{"http://[::1]:81/a", "[::1]:81", "/a"},
		{"http://alice@wiki/", "alice@wiki", "/"}, /* whoever takes the authority apart refuses it */
		{"http://wiki:70000/", "wiki:70000", "/"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		OWN(own_http1) struct http1 *http1 = NULL;
		char text[256];
		snprintf(text, sizeof(text), "POST %s HTTP/1.1\r\nHost: other\r\nContent-Length: 20000\r\n\r\n", rows[i].target);
		struct view input = view_string(text);
		assert_int_equal(http1_new(HEAD_LIMIT, BODY_LIMIT, &http1), 0);
		assert_int_equal(http1_next(http1, &input), HTTP1_REQUEST);
		assert_true(view_is(http1_request(http1)->scheme, "http"));
		assert_true(view_is(http1_request(http1)->authority, rows[i].authority));
		assert_true(view_is(http1_request(http1)->path, rows[i].path));
		assert_int_equal(http1_request(http1)->content_length, 20000);
	}
}

static void test_all_fields_in_their_order(void **state)
{
	(void)state;
	OWN(own_http1) struct http1 *http1 = NULL;
	struct view input = view_string("GET / HTTP/1.1\r\nHost: a\r\nX-One:\t 1 \t\r\nx-empty:\r\nX-One: 2\r\n\r\n");
	static const struct {
		const char *name, *value;
	} rows[] = {{"Host", "a"}, {"X-One", "1"}, {"x-empty", ""}, {"X-One", "2"}};
	assert_int_equal(http1_new(HEAD_LIMIT, BODY_LIMIT, &http1), 0);
	assert_int_equal(http1_next(http1, &input), HTTP1_REQUEST);
	const struct http_request *request = http1_request(http1);
	assert_int_equal(request->scheme.size, 0);
	assert_int_equal(request->header_count, 4);
	for (size_t i = 0; i < 4; i++) {
		assert_true(view_is(request->headers[i].name, rows[i].name));
		assert_true(view_is(request->headers[i].value, rows[i].value));
	}
}

static void test_what_browsers_say(void **state)
{
	(void)state;
	OWN(own_http1) struct http1 *http1 = NULL;
	struct view input = view_string("GET / HTTP/1.1\r\nHost: gw\r\nCookie: a=b; c=d \r\nOrigin:https://gw\r\nSec-Fetch-Site: none\r\n"
					"Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n\r\n");
	assert_int_equal(http1_new(HEAD_LIMIT, BODY_LIMIT, &http1), 0);
	assert_int_equal(http1_next(http1, &input), HTTP1_REQUEST);
	const struct http_request *request = http1_request(http1);
	assert_true(view_is(request->cookie, "a=b; c=d") && view_is(request->origin, "https://gw"));
	assert_true(view_is(request->fetch_site, "none") && view_is(request->fetch_mode, "navigate"));
	assert_true(view_is(request->fetch_dest, "document"));
}

static void test_E5_more_fields_than_any_head_needs(void **state)
{
	(void)state;
	for (int more = 0; more < 2; more++) {
		OWN(own_http1) struct http1 *http1 = NULL;
		OWN_BUF struct buf text = BUF_INIT(1 << 16);
		assert_int_equal(buf_add_string(&text, "GET / HTTP/1.1\r\nHost: a\r\n"), 0);
		for (int i = 1; i < HTTP_FIELDS_MAX + more; i++)
			assert_int_equal(buf_add_string(&text, "x:\r\n"), 0);
		assert_int_equal(buf_add_string(&text, "\r\n"), 0);
		struct view input = buf_view(&text);
		assert_int_equal(http1_new(1 << 16, BODY_LIMIT, &http1), 0);
		assert_int_equal(http1_next(http1, &input), more ? HTTP1_REFUSED : HTTP1_REQUEST);
		assert_int_equal(http1_request(http1)->refuse, more ? 431 : 0);
	}
}

static void test_response_heads(void **state)
{
	(void)state;
	OWN_BUF struct buf out = BUF_INIT(1024);
	struct http_header headers[] = {HTTP_HEADER("content-type", "text/plain"), HTTP_HEADER("retry-after", "3")};
	assert_int_equal(http1_write_head(&out, 429, headers, 2, 5, HTTP1_CLOSE), 0);
	assert_true(view_is(buf_view(&out), "HTTP/1.1 429 Too Many Requests\r\ncontent-type: text/plain\r\nretry-after: 3\r\n"
					     "content-length: 5\r\nconnection: close\r\n\r\n"));
	buf_reset(&out);
	assert_int_equal(http1_write_head(&out, 200, NULL, 0, -1, HTTP1_KEEP), 0);
	assert_true(view_is(buf_view(&out), "HTTP/1.1 200 OK\r\n\r\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_E5_refusals), cmocka_unit_test(test_E5_a_head_of_1_mib_is_refused_early),
		cmocka_unit_test(test_a_pipeline_at_every_cut), cmocka_unit_test(test_keep_alive_and_continue),
		cmocka_unit_test(test_whole_addresses), cmocka_unit_test(test_all_fields_in_their_order),
		cmocka_unit_test(test_E5_more_fields_than_any_head_needs), cmocka_unit_test(test_what_browsers_say),
		cmocka_unit_test(test_response_heads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_browser.c: the portal's cookie, and which requests another page has caused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../../gateway/worker/browser.h"
#include "sallyport/edge/worker_broker.h"

#define OURS BROWSER_COOKIE "="

static void test_the_cookie_of_many(void **state)
{
	(void)state;
	static const struct {
		const char *cookie, *token; /* token NULL: `result` */
		int result;
	} rows[] = {
		{OURS "abc", "abc", 0}, {"a=b; " OURS "abc", "abc", 0}, {"a=b;" OURS "abc;c=d", "abc", 0}, {" " OURS "abc ; ", "abc", 0},
		{"x" OURS "1; " OURS "abc", "abc", 0}, {OURS "a=b", "a=b", 0}, {"", NULL, ERR_NOT_FOUND}, {"a=b", NULL, ERR_NOT_FOUND},
		{"__Host-sallyport", NULL, ERR_NOT_FOUND}, {"__host-sallyport=abc", NULL, ERR_NOT_FOUND},
		{"__Host-sallyport2=abc", NULL, ERR_NOT_FOUND}, {"a=" OURS "abc", NULL, ERR_NOT_FOUND}, {OURS, NULL, ERR_BAD_INPUT},
		{OURS ";", NULL, ERR_BAD_INPUT}, {OURS "a; " OURS "a", NULL, ERR_BAD_INPUT}, {OURS "a;" OURS, NULL, ERR_BAD_INPUT},
		{OURS "a b", NULL, ERR_BAD_INPUT}, {OURS "a\x7f", NULL, ERR_BAD_INPUT}, {OURS "\xc3\xa4", NULL, ERR_BAD_INPUT},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char token[WORKER_BROKER_TOKEN_MAX + 1] = "";
		assert_int_equal(browser_cookie_token(view_string(rows[i].cookie), token), rows[i].result);
		assert_string_equal(token, rows[i].token ? rows[i].token : "");
	}
	for (int more = 0; more < 2; more++) {
		char cookie[256], token[WORKER_BROKER_TOKEN_MAX + 1];
		snprintf(cookie, sizeof(cookie), OURS "%0*d", WORKER_BROKER_TOKEN_MAX + more, 0);
		assert_int_equal(browser_cookie_token(view_string(cookie), token), more ? ERR_BAD_INPUT : 0);
	}
}

static void test_what_set_cookie_says(void **state)
{
	(void)state;
	char text[256], longest[WORKER_BROKER_TOKEN_MAX + 1], token[WORKER_BROKER_TOKEN_MAX + 1];
	browser_cookie_set(view_of("abcd", 3), text, sizeof(text));
	assert_string_equal(text, "__Host-sallyport=abc; Path=/; Secure; HttpOnly; SameSite=Strict");
	browser_cookie_delete(text, sizeof(text));
	assert_string_equal(text, "__Host-sallyport=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0");
	snprintf(longest, sizeof(longest), "%0*d", WORKER_BROKER_TOKEN_MAX, 0);
	browser_cookie_set(view_string(longest), text, sizeof(text));
	assert_non_null(strstr(text, "; SameSite=Strict"));
	*strchr(text, ';') = 0;
	assert_int_equal(browser_cookie_token(view_string(text), token), 0);
	assert_string_equal(token, longest);
}

static void test_hosts(void **state)
{
	(void)state;
	static const struct {
		const char *authority, *host; /* host NULL: refused */
	} rows[] = {
		{"gw.example", "gw.example"}, {"gw.example:443", "gw.example"}, {"GW:8443", "GW"}, {"10.1.2.3:1", "10.1.2.3"},
		{"[::1]", "::1"}, {"[2001:db8::1]:443", "2001:db8::1"}, {"", NULL}, {":443", NULL}, {"gw:", NULL}, {"gw:a", NULL},
		{"gw:44:3", NULL}, {"[::1", NULL}, {"[]", NULL}, {"[::1]443", NULL}, {"[::1]:", NULL}, {"::1", NULL}, {"\xff", NULL},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char host[BROWSER_HOST_MAX + 1] = "";
		assert_int_equal(browser_host(view_string(rows[i].authority), host, sizeof(host)), rows[i].host ? 0 : ERR_BAD_INPUT);
		assert_string_equal(host, rows[i].host ? rows[i].host : "");
	}
}

static void test_origins(void **state)
{
	(void)state;
	static const struct {
		const char *authority, *origin;
		bool ours;
	} rows[] = {
		{"gw", "https://gw", true}, {"gw", "https://gw:443", true}, {"gw:443", "https://gw", true}, {"GW.Example", "https://gw.example", true},
		{"gw:8443", "https://gw:8443", true}, {"[::1]:1", "https://[::1]:1", true}, {"gw", "http://gw", false}, {"gw", "null", false},
		{"gw", "https://gw.evil", false}, {"gw", "https://gw:8443", false}, {"gw:8443", "https://gw", false}, {"gw", "https://", false},
		{"gw", "HTTPS://gw", false}, {"gw", "https://gw/", false}, {"gw", "https://gw https://evil", false}, {"", "https://", false},
		{"gw", "https://evil@gw", false}, {"g", "https://gw", false}, {"gw", "gw", false},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct http_request request = {.method = view_string("POST"), .path = view_string("/v1/login"),
						     .authority = view_string(rows[i].authority), .origin = view_string(rows[i].origin)};
		assert_true(browser_is_one(&request));
		assert_int_equal(browser_forbids(&request) == NULL, rows[i].ours);
	}
}

static void test_who_makes_it_ask(void **state)
{
	(void)state;
	static const struct {
		const char *method, *path, *site, *mode, *dest, *origin, *cookie, *authorization;
		bool browser, allowed;
	} rows[] = {
		{"POST", "/v1/login", "", "", "", "", "", "", false, true},
		{"POST", "/v1/login", "", "", "", "", "a=b", "", false, true},
		{"DELETE", "/v1/session", "", "", "", "", OURS "a", "", true, false},
		{"DELETE", "/v1/session", "", "", "", "https://gw", OURS "a", "", true, true},
		{"DELETE", "/v1/session", "", "", "", "", OURS "a", "Bearer b", false, true},
		{"GET", "/v1/session", "", "", "", "", OURS "a", "", true, true},
		{"GET", "/v1/session", "same-origin", "cors", "empty", "", OURS "a", "", true, true},
		{"GET", "/v1/session", "none", "navigate", "document", "", OURS "a", "", true, true},
		{"GET", "/v1/session", "cross-site", "navigate", "document", "", "", "", true, false},
		{"GET", "/v1/session", "same-site", "cors", "empty", "", "", "", true, false},
		{"GET", "/v1/session", "new-word", "cors", "empty", "", "", "", true, false},
		{"GET", "/", "cross-site", "navigate", "document", "", "", "", true, true},
		{"GET", "/", "same-site", "navigate", "document", "", "", "", true, true},
		{"GET", "/?a=b", "cross-site", "navigate", "document", "", "", "", true, false},
		{"GET", "/", "cross-site", "navigate", "iframe", "", "", "", true, false},
		{"GET", "/", "cross-site", "no-cors", "document", "", "", "", true, false},
		{"GET", "/", "cross-site", "", "", "", "", "", true, false},
		{"POST", "/", "cross-site", "navigate", "document", "https://gw", "", "", true, false},
		{"POST", "/v1/session/renew", "cross-site", "cors", "empty", "https://gw", OURS "a", "Bearer b", true, false},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct http_request request = {
			.method = view_string(rows[i].method), .path = view_string(rows[i].path), .authority = view_string("gw"),
			.fetch_site = view_string(rows[i].site), .fetch_mode = view_string(rows[i].mode),
			.fetch_dest = view_string(rows[i].dest), .origin = view_string(rows[i].origin),
			.cookie = view_string(rows[i].cookie), .authorization = view_string(rows[i].authorization)};
		assert_int_equal(browser_is_one(&request), rows[i].browser);
		assert_int_equal(browser_forbids(&request) == NULL, rows[i].allowed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_cookie_of_many), cmocka_unit_test(test_what_set_cookie_says), cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_origins), cmocka_unit_test(test_who_makes_it_ask),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

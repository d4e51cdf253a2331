/* test_request.c: what strangers write: bodies and authorization. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../../gateway/worker/request.h"

static void test_login_bodies(void **state)
{
	(void)state;
	static const struct {
		const char *body, *user; /* NULL: refused */
	} rows[] = {
		{"{\"user\":\"alice\"}", "alice"}, {"{\"user\":\"alice\",\"realm\":\"staff\"}", "alice"},
		{"{\"user\":\"alice\",\"portal\":true}", "alice"}, {"{\"user\":\"alice\",\"portal\":false}", "alice"},
		{"{\"user\":\"a\",\"portal\":1}", NULL}, {"{\"user\":\"a\",\"portal\":\"true\"}", NULL}, {"{\"portal\":true}", NULL},
		{"{\"user\":\"a\",\"realm\":\"\"}", NULL}, {"{\"user\":\"a\",\"realm\":1}", NULL}, {"{\"realm\":\"staff\"}", NULL},
		{"{\"user\":\"a\",\"realm\":\"012345678901234567890123456789012\"}", NULL}, {" { \"user\" : \"\\u00e4\" } ", "\xc3\xa4"}, {"", NULL}, {"{", NULL}, {"[]", NULL},
		{"null", NULL}, {"{}", NULL}, {"{\"user\":1}", NULL}, {"{\"user\":\"\"}", NULL}, {"{\"user\":\"a\",\"x\":1}", NULL},
		{"{\"user\":\"a\",\"user\":\"b\"}", NULL}, {"{\"user\":\"a\\u0000b\"}", NULL}, {"{\"user\":\"\xff\"}", NULL},
		{"{\"user\":\"a\"} x", NULL}, {"{\"user\":[\"a\"]}", NULL}, {"{\"User\":\"a\"}", NULL}, {"\"user\"", NULL},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct request_login login;
		struct diag diag = {""};
		int result = request_login(view_string(rows[i].body), &login, &diag);
		assert_int_equal(result, rows[i].user ? 0 : ERR_BAD_INPUT);
		if (result == 0)
			assert_string_equal(login.user, rows[i].user);
		if (result == 0)
			assert_string_equal(login.realm, strstr(rows[i].body, "realm") ? "staff" : "");
		if (result == 0)
			assert_int_equal(login.portal, strstr(rows[i].body, "true") != NULL);
		assert_int_equal(diag.text[0] != 0, rows[i].user == NULL);
	}
	char longest[300];
	struct request_login login;
	snprintf(longest, sizeof(longest), "{\"user\":\"%0256d\"}", 0);
	assert_int_equal(request_login(view_string(longest), &login, NULL), 0);
	snprintf(longest, sizeof(longest), "{\"user\":\"%0257d\"}", 0);
	assert_int_equal(request_login(view_string(longest), &login, NULL), ERR_BAD_INPUT);
}

static void test_a_body_with_one_text(void **state)
{
	(void)state;
	static const struct {
		const char *body, *text; /* NULL: refused */
	} rows[] = {{"{\"device\":\"laptop2\"}", "laptop2"}, {"{\"device\":\"12345678\"}", "12345678"}, {"{\"device\":\"123456789\"}", NULL},
		    {"{\"device\":\"\"}", NULL}, {"{\"device\":1}", NULL}, {"{\"device\":null}", NULL}, {"{\"device\":\"a\\u0000\"}", NULL},
		    {"{\"device\":\"a\",\"user\":\"bob\"}", NULL}, {"{\"device\":\"a\",\"device\":\"b\"}", NULL}, {"{}", NULL}, {"", NULL},
		    {"\"laptop2\"", NULL}, {"[\"device\"]", NULL}, {"{\"device\":\"\xff\"}", NULL}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[9] = "";
		struct diag diag = {""};
		int result = request_member(view_string(rows[i].body), "device", text, sizeof(text), &diag);
		assert_int_equal(result, rows[i].text ? 0 : ERR_BAD_INPUT);
		assert_string_equal(text, rows[i].text ? rows[i].text : "");
		assert_int_equal(diag.text[0] != 0, rows[i].text == NULL);
	}
}

static int count_answers(const char *body)
{
	struct request_answers answers;
	struct diag diag;
	int result = request_answers(view_string(body), &answers, &diag);
	if (result < 0)
		return result;
	result = (int)answers.count;
	request_answers_fini(&answers);
	return result;
}

static void test_answers(void **state)
{
	(void)state;
	assert_int_equal(count_answers("{\"answers\":[]}"), 0);
	assert_int_equal(count_answers("{\"answers\":[\"\"]}"), 1);
	assert_int_equal(count_answers("{\"answers\":[\"a\",\"b\"]}"), 2);
	assert_int_equal(count_answers("{\"answers\":[\"a\",1]}"), ERR_BAD_INPUT);
	assert_int_equal(count_answers("{\"answers\":\"a\"}"), ERR_BAD_INPUT);
	assert_int_equal(count_answers("{\"answers\":{}}"), ERR_BAD_INPUT);
	assert_int_equal(count_answers("{\"answers\":[\"good\\u0000bad\"]}"), ERR_BAD_INPUT);
	assert_int_equal(count_answers("{\"answers\":[\"\\u0000\"]}"), ERR_BAD_INPUT);
	assert_int_equal(count_answers("{\"answers\":[\"\\u00e4\\u20ac\"]}"), 1);
	OWN_BUF struct buf many = BUF_INIT(1 << 20);
	assert_int_equal(buf_add_string(&many, "{\"answers\":[\"\""), 0);
	for (int i = 0; i < CONVERSATION_MESSAGES_MAX; i++)
		assert_int_equal(buf_add_string(&many, ",\"\""), 0);
	assert_int_equal(buf_add(&many, view_of("]}", 3)), 0);
	assert_int_equal(count_answers((char *)many.data), ERR_BAD_INPUT);
}

/* F1: nor does what was typed come back in a sentence. */
static void test_sentences_about_answers(void **state)
{
	(void)state;
	struct request_answers answers;
	struct diag diag;
	assert_int_equal(request_answers(view_string("{\"answers\":[\"right\\u0000wrong\"]}"), &answers, &diag), ERR_BAD_INPUT);
	assert_string_equal(diag.text, "An answer holds a NUL, which PAM cannot take.");
	static const char *const broken[] = {"{\"answers\":[\"one\" s3cret]}", "{\"answers\":[\"s3cret]}", "{\"answers\":[\"s3cret\"", "s3cret",
					     "{\"answers\":[\"s3cret\\x\"]}", "{\"answers\":[\"one\"],\"s3cret\":1}"};
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		assert_int_equal(request_answers(view_string(broken[i]), &answers, &diag), ERR_BAD_INPUT);
		assert_null(strstr(diag.text, "s3cret"));
	}
}

static void test_an_answer_of_64_kib_and_one_byte_more(void **state)
{
	(void)state;
	for (size_t more = 0; more < 2; more++) {
		OWN_BUF struct buf body = BUF_INIT(1 << 20);
		assert_int_equal(buf_add_string(&body, "{\"answers\":[\""), 0);
		uint8_t *place = buf_reserve(&body, CONVERSATION_ANSWER_MAX + more);
		assert_non_null(place);
		memset(place, 'a', CONVERSATION_ANSWER_MAX + more);
		buf_grown(&body, CONVERSATION_ANSWER_MAX + more);
		assert_int_equal(buf_add(&body, view_of("\"]}", 4)), 0);
		assert_int_equal(count_answers((char *)body.data), more ? ERR_BAD_INPUT : 1);
	}
}

static void test_authorization(void **state)
{
	(void)state;
	static const struct {
		const char *header, *user, *token;
		int result;
	} rows[] = {
		{"Bearer abc", "", "abc", 0}, {"bearer   abc", "", "abc", 0}, {"Basic YWxpY2U6YWJj", "alice", "abc", 0},
		{"BASIC OmFiYw==", "", "abc", 0}, {"", "", "", ERR_NOT_FOUND}, {"Bearer", "", "", ERR_BAD_INPUT},
		{"Bearer ", "", "", ERR_BAD_INPUT}, {"Basic !!!!", "", "", ERR_BAD_INPUT}, {"Basic YWxpY2U=", "", "", ERR_BAD_INPUT},
		{"Basic YWxpY2U6", "", "", ERR_BAD_INPUT}, {"Digest x", "", "", ERR_BAD_INPUT}, {"Bearerabc", "", "", ERR_BAD_INPUT},
		{"Bearer \xff", "", "", ERR_BAD_INPUT},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char user[257], token[WORKER_BROKER_TOKEN_MAX + 1] = "";
		struct diag diag;
		assert_int_equal(request_authorization(view_string(rows[i].header), user, token, &diag), rows[i].result);
		if (rows[i].result < 0)
			continue;
		assert_string_equal(user, rows[i].user);
		assert_string_equal(token, rows[i].token);
	}
	char longest[200], user[257], token[WORKER_BROKER_TOKEN_MAX + 1];
	snprintf(longest, sizeof(longest), "Bearer %0129d", 0);
	assert_int_equal(request_authorization(view_string(longest), user, token, NULL), ERR_BAD_INPUT);
}

static void test_who_wants_a_page(void **state)
{
	(void)state;
	static const struct {
		const char *accept;
		bool page;
	} rows[] = {
		{"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true}, /* Firefox, Chromium */
		{"text/html", true}, {" text/html ; level=1 ; q=0.3 ", true}, {"*/*, text/html;q=0.1", true}, {"text/html;q=1.000", true},
		{"text/html;q=0.5, application/json;q=0.5", true}, {"application/json;q=0.4,text/html;q=0.45", true},
		{"", false}, {"*/*", false}, {"text/*", false}, {"application/json", false}, {"text/html;q=0", false}, {"text/html;q=0.000", false},
		{"application/json, text/html;q=0.9", false}, {"text/html;q=0.45,application/json;q=0.5", false}, {"text/htmlx", false},
		{"x-text/html", false}, {"text/plain;a=text/html", false}, {",,;;,", false}, {"text/html;q=0,", false},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (request_wants_page(view_string(rows[i].accept)) != rows[i].page)
			fail_msg("%s", rows[i].accept);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_wants_a_page),
		cmocka_unit_test(test_login_bodies), cmocka_unit_test(test_a_body_with_one_text), cmocka_unit_test(test_answers),
		cmocka_unit_test(test_sentences_about_answers),
		cmocka_unit_test(test_an_answer_of_64_kib_and_one_byte_more), cmocka_unit_test(test_authorization),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

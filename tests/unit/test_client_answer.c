/* test_client_answer.c: the gateway's JSON, and what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "answer.h"
#include "problem.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))
#define TOKEN "9f31c2a4b7d09f31c2a4b7d09f31c2a4b7d09f31c2a4b7d09f31c2a4b7d01234"

static void test_prompt(void **state)
{
	(void)state;
	struct answer_step step;
	struct diag diag = {0};
	struct view body = view_string("{\"conversation\":\"ab12\",\"state\":\"prompt\",\"messages\":["
				       "{\"style\":\"info\",\"text\":\"Hello\"},{\"style\":\"secret\",\"text\":\"Password: \"},"
				       "{\"style\":\"text\",\"text\":\"Code: \"},{\"style\":\"error\",\"text\":\"\"}],\"more\":1}");
	assert_int_equal(answer_parse_step(body, &step, &diag), STATUS_OK);
	assert_int_equal(step.state, ANSWER_PROMPT);
	assert_string_equal(step.conversation, "ab12");
	assert_int_equal(step.message_count, 4);
	assert_int_equal(step.message[0].style, ANSWER_INFO);
	assert_int_equal(step.message[1].style, ANSWER_SECRET);
	assert_string_equal(step.message[1].text, "Password: ");
	assert_int_equal(step.message[2].style, ANSWER_TEXT);
	answer_step_fini(&step);
}

static void test_info_and_empty_rounds(void **state)
{
	(void)state;
	static const char *const bodies[] = {
		"{\"conversation\":\"a\",\"state\":\"info\",\"messages\":[]}",
		"{\"conversation\":\"a\",\"state\":\"info\"}",
		"{\"conversation\":\"a\",\"state\":\"prompt\",\"messages\":[{\"style\":\"info\",\"text\":\"x\"}]}",
	};
	for (size_t i = 0; i < COUNT(bodies); i++) {
		struct answer_step step;
		struct diag diag = {0};
		assert_int_equal(answer_parse_step(view_string(bodies[i]), &step, &diag), STATUS_OK);
		assert_int_equal(step.state, ANSWER_SHOW);
		answer_step_fini(&step);
	}
}

static void test_granted(void **state)
{
	(void)state;
	struct answer_step step;
	struct diag diag = {0};
	struct view body = view_string("{\"state\":\"granted\",\"user\":\"alice\",\"session\":\"" TOKEN "\","
				       "\"expires_at\":\"2026-11-23T21:16:05Z\",\"resources\":[{\"name\":\"wiki\","
				       "\"addresses\":[\"a:1\",\"b:2\"],\"allowed\":true},{\"name\":\"db\",\"allowed\":false,"
				       "\"missing\":\"group dba\"}]}");
	assert_int_equal(answer_parse_step(body, &step, &diag), STATUS_OK);
	assert_int_equal(step.state, ANSWER_GRANTED);
	assert_string_equal(step.token, TOKEN);
	assert_string_equal(step.user, "alice");
	assert_int_equal(step.resources.count, 2);
	assert_string_equal(step.resources.item[0].addresses, "a:1, b:2");
	assert_true(step.resources.item[0].allowed);
	assert_string_equal(step.resources.item[1].missing, "group dba");
	answer_step_fini(&step);
	assert_int_equal(step.token[0], 0);
}

static void test_bad_steps(void **state)
{
	(void)state;
	static const char *const bodies[] = {
		"", "null", "[]", "{", "{}", "{\"state\":1}", "{\"state\":\"dance\"}",
		"{\"state\":\"prompt\",\"messages\":[]}",
		"{\"state\":\"prompt\",\"conversation\":\"../x\",\"messages\":[]}",
		"{\"state\":\"prompt\",\"conversation\":\"a b\",\"messages\":[]}",
		"{\"state\":\"prompt\",\"conversation\":\"a\",\"messages\":{}}",
		"{\"state\":\"prompt\",\"conversation\":\"a\",\"messages\":[1]}",
		"{\"state\":\"prompt\",\"conversation\":\"a\",\"messages\":[{\"style\":\"loud\",\"text\":\"x\"}]}",
		"{\"state\":\"prompt\",\"conversation\":\"a\",\"messages\":[{\"style\":\"text\"}]}",
		"{\"state\":\"prompt\",\"conversation\":\"a\",\"messages\":[{\"style\":\"text\",\"text\":\"\\u0000\"}]}",
		"{\"state\":\"info\",\"conversation\":\"a\",\"messages\":[{\"style\":\"text\",\"text\":\"x\"}]}",
		"{\"state\":\"granted\",\"user\":\"a\",\"expires_at\":\"2026-11-23T21:16:05Z\"}",
		"{\"state\":\"granted\",\"user\":\"a\",\"session\":\"a b\",\"expires_at\":\"2026-11-23T21:16:05Z\"}",
		"{\"state\":\"granted\",\"user\":\"a\",\"session\":\"a\\r\\nb: c\",\"expires_at\":\"2026-11-23T21:16:05Z\"}",
		"{\"state\":\"granted\",\"user\":\"a\",\"session\":\"abc\",\"expires_at\":\"\\u001b[2J\"}",
		"{\"state\":\"granted\",\"user\":\"a\",\"session\":\"abc\",\"expires_at\":\"2026-11-23T21:16:05Z\",\"resources\":7}",
		"{\"state\":\"prompt\",\"state\":\"info\",\"conversation\":\"a\"}",
	};
	for (size_t i = 0; i < COUNT(bodies); i++) {
		struct answer_step step;
		struct diag diag = {0};
		assert_int_equal(answer_parse_step(view_string(bodies[i]), &step, &diag), STATUS_FAILED);
		assert_non_null(strstr(diag.text, "makes no sense"));
	}
}

static void test_session(void **state)
{
	(void)state;
	struct answer_session session;
	struct diag diag = {0};
	assert_int_equal(answer_parse_session(view_string("{\"session\":\"s1\",\"user\":\"u\",\"device\":\"d\",\"created_at\":"
				"\"2026-11-23T21:16:05Z\",\"expires_at\":\"2026-11-24T21:16:05Z\",\"tunnels\":3}"), &session, &diag),
			 STATUS_OK);
	assert_int_equal(session.tunnels, 3);
	assert_string_equal(session.device, "d");
	answer_session_fini(&session);
	assert_int_equal(answer_parse_session(view_string("{\"user\":\"u\",\"created_at\":\"1\",\"expires_at\":\"2\","
							  "\"tunnels\":-1}"), &session, &diag), STATUS_FAILED);
	uint64_t closed = 0;
	assert_int_equal(answer_parse_logout(view_string("{\"tunnels_closed\":2}"), &closed, &diag), STATUS_OK);
	assert_int_equal(closed, 2);
	assert_int_equal(answer_parse_logout(view_string("{\"tunnels_closed\":\"2\"}"), &closed, &diag), STATUS_FAILED);
}

static void test_resources(void **state)
{
	(void)state;
	struct answer_resources resources;
	struct diag diag = {0};
	assert_int_equal(answer_parse_resources(view_string("{\"resources\":[]}"), &resources, &diag), STATUS_OK);
	assert_int_equal(resources.count, 0);
	answer_resources_fini(&resources);
	static const char *const bad[] = {
		"{}", "{\"resources\":[1]}", "{\"resources\":[{}]}", "{\"resources\":[{\"name\":\"a\",\"addresses\":[1]}]}",
		"{\"resources\":[{\"name\":\"a\"},{\"name\":\"\"}]}",
	};
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(answer_parse_resources(view_string(bad[i]), &resources, &diag), STATUS_FAILED);
}

static void test_requests(void **state)
{
	(void)state;
	struct buf answers[3] = {BUF_INIT(100), BUF_INIT(100), BUF_INIT(100)};
	OWN_BUF struct buf body = BUF_INIT(1000);
	struct diag diag = {0};
	assert_int_equal(buf_add_string(&answers[0], "p\"\\\xc3\xa4"), 0);
	assert_int_equal(buf_add_string(&answers[2], "\xff"), 0);
	assert_int_equal(answer_make_answers(answers, 2, &body, &diag), STATUS_OK);
	assert_true(view_is(buf_view(&body), "{\"answers\":[\"p\\\"\\\\\xc3\xa4\",\"\"]}"));
	buf_reset(&body);
	assert_int_equal(answer_make_answers(NULL, 0, &body, &diag), STATUS_OK);
	assert_true(view_is(buf_view(&body), "{\"answers\":[]}"));
	assert_int_equal(answer_make_answers(answers, 3, &body, &diag), STATUS_FAILED);
	assert_non_null(strstr(diag.text, "not UTF-8"));
	buf_reset(&body);
	assert_int_equal(answer_make_login("al\"ice", NULL, &body, &diag), STATUS_OK);
	assert_true(view_is(buf_view(&body), "{\"user\":\"al\\\"ice\"}"));
	buf_reset(&body);
	assert_int_equal(answer_make_login("alice", "staff", &body, &diag), STATUS_OK);
	assert_true(view_is(buf_view(&body), "{\"user\":\"alice\",\"realm\":\"staff\"}"));
	assert_int_equal(answer_make_login("\xff", NULL, &body, &diag), STATUS_USAGE);
	for (size_t i = 0; i < COUNT(answers); i++)
		buf_wipe(&answers[i]);
}

static void test_json_for_programs_has_no_escapes(void **state)
{
	(void)state;
	OWN_BUF struct buf text = BUF_INIT(1000);
	struct diag diag = {0};
	assert_int_equal(answer_indent(view_string("{\"a\":\"\xc2\x9b" "2J\xc3\xa4\"}"), &text, &diag), STATUS_OK);
	assert_true(view_is(buf_view(&text), "{\n  \"a\": \"\\u009B2J\\u00E4\"\n}\n"));
	assert_int_equal(answer_indent(view_string("nonsense"), &text, &diag), STATUS_FAILED);
}

static void test_problems(void **state)
{
	(void)state;
	static const struct {
		const char *body;
		unsigned http_status;
		const char *retry_after;
		int status;
		bool ends_session;
		const char *sentence;
	} rows[] = {
		{"{\"code\":\"no_session\",\"detail\":\"x\",\"request_id\":\"9f-3\"}", 407, "", STATUS_LOGIN_NEEDED, true,
		 "db1:1: You are not logged in; run: sallyport login (no_session, request 9f-3)"},
		{"{\"code\":\"not_allowed\",\"detail\":\"No rule allows it.\",\"request_id\":\"9f-4\"}", 403, "", STATUS_NOT_ALLOWED,
		 false, "db1:1: No rule allows it; see what you may reach with: sallyport ls; or ask your administrator (not_allowed, request 9f-4)"},
		{"{\"code\":\"rate_limited\",\"detail\":\"Too many attempts.\"}", 429, "30", STATUS_FAILED, false,
		 "db1:1: Too many attempts; try again in 30 s"},
		{"{\"code\":\"new_code\",\"detail\":\"Something new\"}", 403, "soon", STATUS_NOT_ALLOWED, false, "db1:1: Something new; ask your administrator"},
		{"<html>", 502, "", STATUS_FAILED, false, "db1:1: The gateway refused with status 502 and gave no reason; ask your administrator"},
		{"", 407, "", STATUS_LOGIN_NEEDED, true, "db1:1: You are not logged in; run: sallyport login"},
		{"{\"code\":7,\"detail\":[],\"request_id\":\"\\u001b\"}", 500, "", STATUS_FAILED, false,
		 "db1:1: The gateway refused with status 500 and gave no reason; ask your administrator"},
		{"{\"code\":\"fresh_login_required\",\"detail\":\"This needs a fresh login.\"}", 403, "", STATUS_LOGIN_NEEDED, false,
		 "db1:1: This needs a fresh login; run: sallyport login --fresh"},
		{"{\"code\":\"unreachable\",\"detail\":\"a\\u001b[2Jb\\nc\"}", 502, "", STATUS_FAILED, false, "db1:1: a?[2Jb?c; it may be down: try again later, or tell who runs it"},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct refused refused;
		struct diag diag = {0};
		problem_read(view_string(rows[i].body), rows[i].http_status, view_string(rows[i].retry_after), &refused);
		assert_int_equal(problem_explain(&refused, "db1:1", &diag), rows[i].status);
		assert_string_equal(diag.text, rows[i].sentence);
		assert_int_equal(problem_ends_session(&refused), rows[i].ends_session);
	}
}

static void test_events(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"", "{}", "[]", "{\"event\":\"begin\"}", "{\"event\":\"other\",\"what\":\"session\"}",
		"{\"event\":\"ended\",\"what\":\"tunnel\",\"tunnel\":1,\"host\":\"\",\"port\":1}",
		"{\"event\":\"ended\",\"what\":\"tunnel\",\"tunnel\":1,\"host\":\"h\",\"port\":65536}",
		"{\"event\":\"ended\",\"what\":\"session\",\"at\":\"\\u001b[2J\"}",
		"{\"event\":\"ended\",\"what\":\"session\",\"reason\":\"0123456789012345678901234567890123456789\"}",
	};
	struct answer_event event;
	struct diag diag = {0};
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(answer_parse_event(view_string(bad[i]), &event, &diag), STATUS_FAILED);
	struct view line = view_string("{\"event\":\"ending\",\"what\":\"tunnel\",\"at\":\"2026-11-24T10:15:00.000Z\","
				       "\"reason\":\"idle\",\"tunnel\":7,\"host\":\"db1\",\"port\":5432,\"new\":1}");
	assert_int_equal(answer_parse_event(line, &event, &diag), STATUS_OK);
	assert_int_equal(event.kind, ANSWER_EVENT_ENDING);
	assert_true(event.of_tunnel && event.tunnel == 7 && event.port == 5432);
	assert_string_equal(event.host, "db1");
	assert_string_equal(event.reason, "idle");
	line = view_string("{\"event\":\"extended\",\"what\":\"session\",\"at\":null}");
	assert_int_equal(answer_parse_event(line, &event, &diag), STATUS_OK);
	assert_true(!event.of_tunnel && !event.at[0]);
}

static void test_own_devices(void **state)
{
	(void)state;
#define DEVICE(name, more) "{\"name\":\"" name "\",\"state\":\"active\",\"this\":true,\"last_address\":\"192.0.2.7\"," more "}"
#define TIMES "\"last_seen_at\":\"2026-11-24T22:00:00Z\",\"expires_at\":null"
	static const struct {
		const char *body;
		int count; /* -1: makes no sense */
	} rows[] = {
		{"{\"devices\":[]}", 0}, {"{\"devices\":[" DEVICE("a", TIMES ",\"sessions\":2,\"places\":[]") "],\"self_service\":true}", 1},
		{"{}", -1}, {"{\"devices\":{}}", -1}, {"[]", -1}, {"{\"devices\":[1]}", -1}, {"{\"devices\":[{}]}", -1},
		{"{\"devices\":[" DEVICE("", TIMES ",\"sessions\":2") "]}", -1}, {"{\"devices\":[" DEVICE("a", TIMES ",\"sessions\":-1") "]}", -1},
		{"{\"devices\":[" DEVICE("a", TIMES ",\"sessions\":\"2\"") "]}", -1},
		{"{\"devices\":[" DEVICE("a", "\"last_seen_at\":\"\\u001b[2J\",\"expires_at\":null,\"sessions\":2") "]}", -1},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct answer_devices devices;
		struct diag diag = {0};
		int status = answer_parse_devices(view_string(rows[i].body), &devices, &diag);
		assert_int_equal(status, rows[i].count < 0 ? STATUS_FAILED : STATUS_OK);
		if (status != STATUS_OK)
			continue;
		assert_int_equal(devices.count, rows[i].count);
		if (devices.count) {
			assert_string_equal(devices.item[0].name, "a");
			assert_string_equal(devices.item[0].last_seen_at, "2026-11-24T22:00:00Z");
			assert_string_equal(devices.item[0].expires_at, "");
			assert_true(devices.item[0].is_this && devices.item[0].sessions == 2);
		}
		answer_devices_fini(&devices);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_own_devices),
		cmocka_unit_test(test_prompt), cmocka_unit_test(test_info_and_empty_rounds), cmocka_unit_test(test_granted),
		cmocka_unit_test(test_bad_steps), cmocka_unit_test(test_session), cmocka_unit_test(test_resources),
		cmocka_unit_test(test_requests), cmocka_unit_test(test_json_for_programs_has_no_escapes),
		cmocka_unit_test(test_problems), cmocka_unit_test(test_events),
	};
	answer_wipe_memory();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

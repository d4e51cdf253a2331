/* test_alert.c: alert sections (src/base/alert.c) and what alerts look like (gateway/courier/message.c). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"
#include "sallyport/alert.h"
#include "sallyport/own.h"

static struct alert make(const char *events, const char *to)
{
	return (struct alert){.name = view_string("a"), .events = view_string(events), .to = view_string(to)};
}

static void test_a_section_survives_its_line(void **state)
{
	(void)state;
	OWN_BUF struct buf list = BUF_INIT(256), text = BUF_INIT(ALERT_BYTES_MAX);
	struct alert alert, read;
	struct diag diag;
	size_t position = 0;
	assert_int_equal(alert_add_word(&list, "lock-out"), 0);
	assert_int_equal(alert_add_word(&list, "breach"), 0);
	alert = make("", "https://hook.example/x");
	alert.events = buf_view(&list);
	alert.shape = view_string("slack");
	alert.at_most = view_string("3/2h");
	assert_int_equal(alert_write(&alert, &text, &diag), 0);
	assert_int_equal(buf_add(&text, view_of("", 1)), 0);
	assert_int_equal(alerts_check((const char *)text.data, &diag), 0);
	assert_true(alert_next((const char *)text.data, &position, &read));
	assert_true(view_is(read.to, "https://hook.example/x") && view_is(read.shape, "slack") && read.from.size == 0);
	assert_true(alert_wants(&read, ALERT_BREACH) && alert_wants(&read, ALERT_LOCK_OUT) && !alert_wants(&read, ALERT_COPIED_KEY));
	uint64_t count, period;
	assert_int_equal(alert_rate(&read, &count, &period), 0);
	assert_true(count == 3 && period == 7200000);
	assert_false(alert_next((const char *)text.data, &position, &read));
}

static void test_all_is_everything_but_checkpoints(void **state)
{
	(void)state;
	struct alert alert = make("all", "syslog:");
	for (int event = 0; event < ALERT_EVENT_COUNT; event++)
		assert_int_equal(alert_wants(&alert, (enum alert_event)event), event != ALERT_CHECKPOINT);
}

static void test_hours(void **state)
{
	(void)state;
	const struct {
		const char *hours;
		unsigned minute;
		bool held;
	} rows[] = {{"22:00-07:00", 22 * 60, true}, {"22:00-07:00", 7 * 60, false}, {"22:00-07:00", 0, true}, {"22:00-07:00", 12 * 60, false},
		    {"06:00-21:00", 6 * 60, true},  {"06:00-21:00", 21 * 60, false}, {"00:00-24:00", 1439, true}, {"", 0, false}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(alert_hours_hold(view_string(rows[i].hours), rows[i].minute), rows[i].held);
}

static void test_what_is_no_section(void **state)
{
	(void)state;
	const struct alert wrong[] = {
		make("all", "ftp://x"), make("all", ""), make("al", "syslog:"), make("", "syslog:"), make("all", "syslog:log"),
		make("all", "syslog+udp://host"), make("all", "https://x y/"), make("all", "mailto:a@b"),
		{.name = view_string("a b"), .events = view_string("all"), .to = view_string("syslog:")},
		{.name = view_string("a"), .events = view_string("all"), .to = view_string("mailto:a@b>,c@d"), .from = view_string("e@f"),
		 .server = view_string("smtp://m:25")},
		{.name = view_string("a"), .events = view_string("all"), .to = view_string("mailto:a@b"), .from = view_string("e@f"),
		 .server = view_string("smtp://m:25"), .user = view_string("u"), .secret_file = view_string("/s"), .tls = view_string("never")},
		{.name = view_string("a"), .events = view_string("all"), .to = view_string("syslog:"), .quiet_hours = view_string("25:00-07:00")},
		{.name = view_string("a"), .events = view_string("all"), .to = view_string("syslog:"), .at_most = view_string("0/1h")},
		{.name = view_string("a"), .events = view_string("all"), .to = view_string("https://x"), .shape = view_string("pagerduty")},
	};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		OWN_BUF struct buf text = BUF_INIT(ALERT_BYTES_MAX);
		struct diag diag = {""};
		assert_int_equal(alert_write(&wrong[i], &text, &diag), ERR_BAD_CONFIG);
		assert_true(diag.text[0] && text.size == 0);
	}
}

/* ---- messages ---- */

static struct message_item item = {.id = 7, .at_ms = 1764000000123, .sequence = 42, .event = "lock-out", .user = "a]b\"c\\<&>\xc3\xa4",
				   .device = "laptop", .detail = "some detail"};

static char *text_of(struct buf *buf)
{
	assert_int_equal(buf_add(buf, view_of("", 1)), 0);
	return (char *)buf->data;
}

static void test_mail_has_one_head_and_long_lines_are_broken(void **state)
{
	(void)state;
	static struct message_item items[2];
	items[0] = items[1] = item;
	memset(items[1].detail, 'x', 1023);
	const struct message message = {.gateway = "gw.example", .alert = "mail", .items = items, .count = 2, .more = 3};
	OWN_BUF struct buf buf = BUF_INIT(100000);
	assert_int_equal(message_mail(&message, "a@b", "c@d,e@f", &buf), 0);
	char *text = text_of(&buf);
	assert_non_null(strstr(text, "\r\nTo: c@d,\r\n e@f\r\n"));
	assert_non_null(strstr(text, "\r\nSubject: [gw.example] 2 alerts: lock-out\r\n"));
	assert_non_null(strstr(text, "\r\n3 more wait.\r\n"));
	for (char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		assert_true(strcspn(line, "\r") < 998);
		assert_true(line[strcspn(line, "\r\n")] != '\n');
	}
}

static void test_a_subject_is_plain(void **state)
{
	(void)state;
	const struct message message = {.gateway = "g", .alert = "a", .items = &item, .count = 1};
	OWN_BUF struct buf buf = BUF_INIT(1000);
	assert_int_equal(message_subject(&message, &buf), 0);
	assert_string_equal(text_of(&buf), "lock-out: a]b\"c\\<&>?? on laptop");
}

static void test_syslog_escapes_its_parameters(void **state)
{
	(void)state;
	const struct message message = {.gateway = "g", .alert = "a", .items = &item, .count = 1};
	OWN_BUF struct buf buf = BUF_INIT(4000);
	assert_int_equal(message_syslog(&message, &item, &buf), 0);
	assert_string_equal(text_of(&buf), "<84>1 2025-11-24T16:00:00.123Z g sallyport-gateway - lock-out [sallyport@32473 id=\"7\" "
					   "sequence=\"42\" device=\"laptop\" user=\"a\\]b\\\"c\\\\<&>\xc3\xa4\"] some detail");
}

static void test_slack_markup_is_not_made_by_names(void **state)
{
	(void)state;
	const struct message message = {.gateway = "g", .alert = "a", .items = &item, .count = 1};
	OWN_BUF struct buf buf = BUF_INIT(4000);
	assert_int_equal(message_json(&message, MESSAGE_SLACK, "", &buf), 0);
	char *text = text_of(&buf);
	assert_non_null(strstr(text, "&lt;&amp;&gt;"));
	assert_null(strstr(text, "<"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_section_survives_its_line),
		cmocka_unit_test(test_all_is_everything_but_checkpoints),
		cmocka_unit_test(test_hours),
		cmocka_unit_test(test_what_is_no_section),
		cmocka_unit_test(test_mail_has_one_head_and_long_lines_are_broken),
		cmocka_unit_test(test_a_subject_is_plain),
		cmocka_unit_test(test_syslog_escapes_its_parameters),
		cmocka_unit_test(test_slack_markup_is_not_made_by_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_alert_note.c: which rows of the record are alerts, and for whom; in the commit of the row or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alert_note.h"
#include "refusal_watch.h"
#include "sallyport/alert.h"
#include "sallyport/clock.h"
#include "sallyport/own.h"
#include "sallyport/str.h"

static char folder[] = "/tmp/sallyport-unit-alert.XXXXXX";
static struct store *store;
static uint64_t while_ms;

struct step {
	struct store_operation operation;
	const char *alerts; /* a plan, or */
	uint64_t refusals;
	struct audit_entry entry; /* a row */
	bool fails;               /* afterwards, so that all is undone */
	bool ends;                /* what refusal_watch.c is asked for when a while is over */
	char found[4096];         /* the spool: "alert event code user" a line */
};

static int take_line(void *self, const struct store_row *row, struct diag *diag)
{
	struct step *step = self;
	size_t used = strlen(step->found);
	(void)diag;
	snprintf(step->found + used, sizeof(step->found) - used, "%s %s %s %s\n", store_row_text(row, 1), store_row_text(row, 2),
		 store_row_text(row, 5), store_row_text(row, 7));
	return 0;
}

static int work(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	struct step *step = operation->context;
	if (step->alerts)
		return alert_note_plan(&(struct alert_plan){.alerts = step->alerts, .refusals = step->refusals, .refusals_ms = while_ms}, diag);
	if (step->ends)
		return refusal_watch_end(db, diag);
	if (!step->entry.event)
		return STORE_QUERY(db, diag, spool_page, take_line, step, NUMBER(0), NUMBER(1000));
	int result = audit_append(db, &step->entry, diag);
	return result < 0 ? result : step->fails ? diag_set(diag, ERR_DENIED, "on purpose") : 0;
}

static void run(struct step *step)
{
	struct diag diag;
	step->operation = (struct store_operation){.work = work, .context = step};
	assert_int_equal(store_now(store, &step->operation, &diag), step->fails ? ERR_DENIED : 0);
}

static void record(const char *event, const char *code, const char *user, const char *device, const char *address)
{
	struct step step = {.alerts = NULL};
	str_copy(step.entry.code, sizeof(step.entry.code), code);
	str_copy(step.entry.user, sizeof(step.entry.user), user);
	str_copy(step.entry.device, sizeof(step.entry.device), device);
	str_copy(step.entry.address, sizeof(step.entry.address), address);
	audit_fill(&step.entry, event, "what happened");
	run(&step);
}

static void expect(const char *spool)
{
	struct step step = {.alerts = NULL};
	run(&step);
	assert_string_equal(step.found, spool);
}

static int set_up(void **state)
{
	char path[64];
	struct diag diag;
	(void)state;
	while_ms = 60000;
	refusal_watch_set(0, while_ms);
	memcpy(folder + strlen(folder) - 6, "XXXXXX", 6);
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/db", folder);
	return store_open(path, &store, &diag);
}

static int tear_down(void **state)
{
	static const char *const names[] = {"db", "db-wal", "db-shm", "db.lock"};
	char path[64];
	(void)state;
	store_close(store);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		unlink(path);
	}
	return rmdir(folder);
}

static void plan(const char *const *sections, uint64_t refusals)
{
	OWN_BUF struct buf text = BUF_INIT(ALERT_BYTES_MAX);
	struct diag diag;
	for (; *sections; sections += 2) {
		OWN_BUF struct buf list = BUF_INIT(1000);
		struct alert alert = {.name = view_string(sections[0]), .to = view_string("syslog:")};
		assert_int_equal(alert_add_word(&list, sections[1]), 0);
		alert.events = buf_view(&list);
		assert_int_equal(alert_write(&alert, &text, &diag), 0);
	}
	assert_int_equal(buf_add(&text, view_of("", 1)), 0);
	struct step step = {.alerts = (const char *)text.data, .refusals = refusals};
	run(&step);
	(void)alert_noted();
}

static void test_each_row_goes_to_whoever_wants_it(void **state)
{
	(void)state;
	plan((const char *const[]){"a", "all", "b", "break-glass", "c", "checkpoint", NULL}, 0);
	record("alarm", "break_glass", "alice", "laptop", "192.0.2.1");
	record("alarm", "copied_key", "", "laptop", "192.0.2.1");
	record("door_one", "device_locked", "", "laptop", "192.0.2.1");
	record("door_one", "", "", "laptop", "192.0.2.1");
	record("tunnel", "not_allowed", "alice", "laptop", "192.0.2.1");
	record("certificate_ends_soon", "", "", "laptop", "");
	record("two_networks", "", "", "laptop", "192.0.2.1");
	record("enrolment_pending", "", "", "new", "192.0.2.1");
	record("renewal_pending", "", "", "late", "192.0.2.1");
	record("device_pending", "", "", "", "192.0.2.1");
	record("breach", "breach", "", "", "");
	record("gateway_changed", "", "", "", "");
	record("checkpoint", "", "", "", "");
	assert_true(alert_noted() && !alert_noted());
	expect("a break-glass break_glass alice\nb break-glass break_glass alice\na copied-key copied_key \n"
	       "a barred-device device_locked \na certificate-ending  \na two-networks  \n"
	       "a waiting  \na waiting  \na waiting  \na breach breach \na gateway-changed  \nc checkpoint  \n");
}

static void test_what_is_undone_is_not_told(void **state)
{
	(void)state;
	plan((const char *const[]){"a", "all", NULL}, 0);
	struct step step = {.entry = {.code = "copied_key"}, .fails = true};
	audit_fill(&step.entry, "alarm", "undone");
	run(&step);
	expect("");
}

static void test_unusual_logins(void **state)
{
	(void)state;
	plan((const char *const[]){"a", "all", NULL}, 0);
	record("login", "", "alice", "laptop", "192.0.2.1");
	expect("a first-login  alice\n");
	record("login", "", "alice", "laptop", "192.0.2.99");
	record("login", "", "alice", "laptop", "2001:db8:1::5");
	record("login", "", "alice", "laptop", "2001:db8:1:ffff::7");
	record("login", "", "alice", "laptop", "198.51.100.1");
	record("login", "", "bob", "laptop", "203.0.113.1");
	expect("a first-login  alice\na new-network  alice\na new-network  alice\na first-login  bob\n");
}

static void test_places_are_learned_while_nobody_listens(void **state)
{
	(void)state;
	plan((const char *const[]){NULL}, 0);
	record("login", "", "alice", "laptop", "192.0.2.1");
	plan((const char *const[]){"a", "all", NULL}, 0);
	record("login", "", "alice", "laptop", "192.0.2.1");
	expect("");
}

static void test_many_refusals_are_told_once_in_a_while(void **state)
{
	(void)state;
	plan((const char *const[]){"a", "many-refusals", NULL}, 5);
	for (int i = 0; i < 4; i++)
		record(i % 2 ? "login" : "door_one", "login_failed", "", "", "192.0.2.1");
	record("tunnel", "not_allowed", "", "", "");
	expect("");
	for (int i = 0; i < 20; i++)
		record("enrolment", "invitation_invalid", "", "", "192.0.2.1");
	expect("a many-refusals many_refusals \n");
}

static void test_an_alarm_that_was_undone_is_raised_again(void **state)
{
	(void)state;
	plan((const char *const[]){"a", "many-refusals", NULL}, 3);
	record("login", "login_failed", "", "", "192.0.2.1");
	record("login", "login_failed", "", "", "192.0.2.2");
	struct step step = {.entry = {.code = "login_failed"}, .fails = true};
	audit_fill(&step.entry, "login", "undone, and the alarm that it raised with it");
	run(&step);
	expect("");
	record("login", "login_failed", "", "", "192.0.2.3");
	expect("a many-refusals many_refusals \n");
}

static void run_end(void)
{
	struct step step = {.ends = true};
	run(&step);
}

static void test_what_they_were_is_told_at_the_end(void **state)
{
	(void)state;
	while_ms = 150;
	plan((const char *const[]){"a", "many-refusals", NULL}, 3);
	assert_false(refusal_watch_is_over(clock_monotonic_ms()));
	for (int i = 0; i < 9; i++)
		record("login", "login_failed", "alice", "", "192.0.2.1");
	run_end();
	expect("a many-refusals many_refusals \n");
	usleep(160000);
	assert_true(refusal_watch_is_over(clock_monotonic_ms()));
	run_end();
	assert_false(refusal_watch_is_over(clock_monotonic_ms()));
	expect("a many-refusals many_refusals \na many-refusals many_refusals_sum \n");
	/* A while with fewer is none of many; the next many are news. */
	record("login", "login_failed", "alice", "", "192.0.2.1");
	usleep(160000);
	for (int i = 0; i < 3; i++)
		record("login", "login_failed", "alice", "", "192.0.2.1");
	expect("a many-refusals many_refusals \na many-refusals many_refusals_sum \na many-refusals many_refusals \n");
	/* And while they go on there is a sum, and no other alarm. */
	usleep(160000);
	for (int i = 0; i < 5; i++)
		record("login", "login_failed", "alice", "", "192.0.2.1");
	expect("a many-refusals many_refusals \na many-refusals many_refusals_sum \na many-refusals many_refusals \n"
	       "a many-refusals many_refusals_sum \n");
}

static void test_a_flood_of_the_same_buries_nothing(void **state)
{
	(void)state;
	plan((const char *const[]){"a", "all", NULL}, 0);
	for (int i = 0; i < 50; i++)
		record("door_one", "device_revoked", "", "stolen", "192.0.2.1");
	record("login", "not_bound", "alice", "laptop", "192.0.2.1");
	expect("a barred-device device_revoked \na barred-device device_revoked \na barred-device device_revoked \n"
	       "a barred-device device_revoked \na barred-device device_revoked \na barred-device device_revoked \n"
	       "a barred-device device_revoked \na barred-device device_revoked \na barred-device device_revoked \n"
	       "a barred-device device_revoked \na wrong-device not_bound alice\n");
}

static void test_networks(void **state)
{
	(void)state;
	static const char *const rows[][2] = {{"192.0.2.77", "192.0.2.0/24"}, {"2001:db8:1:2::3", "2001:db8:1::/48"}, {"admin", ""}, {"", ""}};
	char network[64];
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		alert_network(rows[i][0], network);
		assert_string_equal(network, rows[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_each_row_goes_to_whoever_wants_it, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_is_undone_is_not_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_unusual_logins, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_places_are_learned_while_nobody_listens, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_many_refusals_are_told_once_in_a_while, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_an_alarm_that_was_undone_is_raised_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_they_were_is_told_at_the_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_flood_of_the_same_buries_nothing, set_up, tear_down),
		cmocka_unit_test(test_networks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

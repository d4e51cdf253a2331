/* test_store.c: the record: groups, savepoints, order, migrations, trouble. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "store.h"

static char folder[64];
static char path[96];

static int set_up(void **state)
{
	(void)state;
	strncpy(folder, "/tmp/sallyport-store.XXXXXX", sizeof(folder) - 1);
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/store.db", folder);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	static const char *const endings[] = {"", "-wal", "-shm", ".lock"};
	for (size_t i = 0; i < 4; i++) {
		char name[128];
		snprintf(name, sizeof(name), "%s%s", path, endings[i]);
		unlink(name);
	}
	return rmdir(folder);
}

static void run_sql(const char *text)
{
	sqlite3 *database;
	assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
	assert_int_equal(sqlite3_exec(database, text, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(database);
}

static long long ask(const char *text)
{
	sqlite3 *database;
	sqlite3_stmt *statement;
	assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(database, text, -1, &statement, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	long long number = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	sqlite3_close(database);
	return number;
}

struct insert {
	struct store_operation operation;
	const char *name;
	int fails; /* after the write */
	int *order, place;
	int done, result;
	uv_loop_t *stop;
};

static int insert(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	struct insert *self = operation->context;
	int result = STORE_RUN(db, diag, device_insert, TEXT(self->name), TEXT(self->name), TEXT(""), NUMBER(1), NUMBER(2), TEXT("device"));
	return result == 0 && self->fails ? diag_set(diag, ERR_LIMIT, "it changed its mind") : result;
}

static void on_inserted(struct store_operation *operation, int result, const struct diag *diag)
{
	struct insert *self = operation->context;
	(void)diag;
	self->done++;
	self->result = result;
	self->place = ++*self->order;
	if (self->stop)
		uv_stop(self->stop);
}

static void on_too_late(uv_timer_t *timer)
{
	uv_stop(timer->loop);
}

static void test_a_group_keeps_what_is_good_and_its_order(void **state)
{
	(void)state;
	struct store *store;
	struct diag diag;
	uv_loop_t loop;
	int order = 0;
	struct insert inserts[] = {{.name = "a"}, {.name = "b", .fails = 1}, {.name = "a"}, {.name = "c", .stop = &loop}};
	uv_loop_init(&loop);
	assert_int_equal(store_open(path, &store, &diag), 0);
	for (size_t i = 0; i < 4; i++) {
		inserts[i].order = &order;
		inserts[i].operation = (struct store_operation){.work = insert, .done = on_inserted, .context = &inserts[i]};
		store_submit(store, &inserts[i].operation);
	}
	assert_int_equal(store_start(store, &loop, &diag), 0);
	uv_timer_t keep;
	uv_timer_init(&loop, &keep);
	uv_timer_start(&keep, on_too_late, 10000, 0);
	uv_run(&loop, UV_RUN_DEFAULT);
	const int expected[] = {0, ERR_LIMIT, ERR_DENIED, 0};
	for (int i = 0; i < 4; i++) {
		assert_int_equal(inserts[i].done, 1);
		assert_int_equal(inserts[i].result, expected[i]);
		assert_int_equal(inserts[i].place, i + 1);
	}
	assert_int_equal(ask("SELECT count(*) FROM device"), 2);
	store_close(store);
	uv_close((uv_handle_t *)&keep, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
}

static void test_close_writes_what_is_queued(void **state)
{
	(void)state;
	struct store *store;
	struct diag diag;
	int order = 0;
	struct insert late = {.name = "late", .order = &order};
	late.operation = (struct store_operation){.work = insert, .done = on_inserted, .context = &late};
	assert_int_equal(store_open(path, &store, &diag), 0);
	store_submit(store, &late.operation);
	store_close(store);
	assert_int_equal(late.done, 1);
	assert_int_equal(ask("SELECT count(*) FROM device"), 1);
}

static void refuses(const char *part)
{
	struct store *store = NULL;
	struct diag diag;
	assert_true(store_open(path, &store, &diag) < 0);
	assert_non_null(strstr(diag.text, part));
}

static void make(void)
{
	struct store *store;
	struct diag diag;
	assert_int_equal(store_open(path, &store, &diag), 0);
	store_close(store);
}

static void test_D3_a_newer_schema_is_refused(void **state)
{
	(void)state;
	make();
	run_sql("PRAGMA user_version = 2000");
	refuses("newer");
}

static void test_D3_another_database_is_refused(void **state)
{
	(void)state;
	make();
	run_sql("PRAGMA user_version = 0");
	refuses("not a Sallyport store");
}

static void test_F4_the_file_is_private(void **state)
{
	(void)state;
	struct stat status;
	make();
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	assert_int_equal(chmod(path, 0640), 0);
	refuses("chmod 600");
}

static void test_one_gateway_per_store(void **state)
{
	(void)state;
	struct store *store;
	struct diag diag;
	assert_int_equal(store_open(path, &store, &diag), 0);
	refuses("in use");
	store_close(store);
	make();
}

/* D2: the file is damaged under the running store; nothing is acknowledged; it heals when the file does. */
static void test_D2_trouble_fails_every_operation_and_passes(void **state)
{
	(void)state;
	struct store *store;
	struct diag diag;
	struct store_health health;
	int order = 0;
	struct insert one = {.name = "one", .order = &order};
	one.operation = (struct store_operation){.work = insert, .context = &one};
	assert_int_equal(store_open(path, &store, &diag), 0);
	run_sql("ALTER TABLE device RENAME TO hidden");
	assert_int_equal(store_now(store, &one.operation, &diag), ERR_SYSTEM);
	store_health(store, &health);
	assert_false(health.good);
	assert_non_null(strstr(health.trouble, "device"));
	assert_int_equal(health.troubles, 1);
	/* What writes nothing proves nothing. */
	struct store_operation nothing = {.work = NULL};
	assert_int_equal(store_now(store, &nothing, &diag), 0);
	store_health(store, &health);
	assert_false(health.good);
	run_sql("ALTER TABLE hidden RENAME TO device");
	assert_int_equal(store_now(store, &one.operation, &diag), 0);
	store_health(store, &health);
	assert_true(health.good);
	/* Who looks only now still learns of it. */
	assert_int_equal(health.troubles, 1);
	assert_non_null(strstr(health.first_trouble, "device"));
	assert_string_equal(health.trouble, "");
	store_close(store);
}

static int ask_too_much(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	(void)db, (void)operation;
	return diag_set(diag, ERR_SYSTEM, "there is no memory for that");
}

/* It is the trouble of one who asked, and not the record's. */
static void test_what_fails_beside_the_store_is_no_trouble_of_it(void **state)
{
	(void)state;
	struct store *store;
	struct diag diag;
	struct store_health health;
	struct store_operation operation = {.work = ask_too_much};
	assert_int_equal(store_open(path, &store, &diag), 0);
	assert_int_equal(store_now(store, &operation, &diag), ERR_SYSTEM);
	store_health(store, &health);
	assert_true(health.good);
	assert_int_equal(health.troubles, 0);
	store_close(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_group_keeps_what_is_good_and_its_order, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_close_writes_what_is_queued, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_D3_a_newer_schema_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_D3_another_database_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_F4_the_file_is_private, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_one_gateway_per_store, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_fails_beside_the_store_is_no_trouble_of_it, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_D2_trouble_fails_every_operation_and_passes, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_other_pages.c: how many rows of the record pages of others can have a device's browser fill. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../gateway/broker/other_pages.h"

enum { BEGAN_MS = 1000000 };

static unsigned rows_of(struct other_pages *pages, unsigned count, uint64_t now_ms)
{
	uint64_t left_out;
	unsigned rows = 0;
	for (unsigned i = 0; i < count; i++)
		rows += other_pages_take(pages, now_ms, &left_out);
	return rows;
}

static void many_at_once_have_few_rows(void **state)
{
	struct other_pages pages = {0};
	(void)state;
	assert_int_equal(rows_of(&pages, OTHER_PAGES_ROWS, BEGAN_MS), OTHER_PAGES_ROWS);
	assert_int_equal(rows_of(&pages, 5000, BEGAN_MS), 0);
	assert_int_equal(rows_of(&pages, 5000, BEGAN_MS + OTHER_PAGES_EACH_MS), 1);
	assert_int_equal(rows_of(&pages, 5000, BEGAN_MS + 4 * OTHER_PAGES_EACH_MS), 3);
}

static void a_row_says_how_many_before_it_had_none(void **state)
{
	struct other_pages pages = {0};
	uint64_t left_out = 9;
	(void)state;
	assert_true(other_pages_take(&pages, BEGAN_MS, &left_out));
	assert_int_equal(left_out, 0);
	assert_int_equal(rows_of(&pages, OTHER_PAGES_ROWS - 1 + 42, BEGAN_MS), OTHER_PAGES_ROWS - 1);
	assert_true(other_pages_take(&pages, BEGAN_MS + OTHER_PAGES_EACH_MS, &left_out));
	assert_int_equal(left_out, 42);
	assert_true(other_pages_take(&pages, BEGAN_MS + 2 * OTHER_PAGES_EACH_MS, &left_out));
	assert_int_equal(left_out, 0);
}

static void after_a_rest_the_bucket_is_full(void **state)
{
	struct other_pages pages = {0};
	uint64_t rest_ms = (uint64_t)OTHER_PAGES_ROWS * OTHER_PAGES_EACH_MS;
	(void)state;
	assert_int_equal(rows_of(&pages, 1000, BEGAN_MS), OTHER_PAGES_ROWS);
	assert_int_equal(rows_of(&pages, 1000, BEGAN_MS + 3 * rest_ms), OTHER_PAGES_ROWS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(many_at_once_have_few_rows),
		cmocka_unit_test(a_row_says_how_many_before_it_had_none),
		cmocka_unit_test(after_a_rest_the_bucket_is_full),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

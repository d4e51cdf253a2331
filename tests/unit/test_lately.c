/* test_lately.c: what happened within the last hour, and not what was before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../gateway/broker/lately.h"

enum { MINUTE_MS = 60000 };

static void test_an_hour_and_no_more(void **state)
{
	struct lately lately = {0};
	(void)state;
	assert_int_equal(lately_count(&lately, 3, 0), 0);
	for (uint64_t minute = 0; minute < 600; minute++) {
		lately_add(&lately, 3, minute * MINUTE_MS);
		lately_add(&lately, minute % 2 ? 4 : 5, minute * MINUTE_MS);
	}
	uint64_t now_ms = 599 * MINUTE_MS;
	assert_int_equal(lately_count(&lately, 3, now_ms), 60);
	assert_int_equal(lately_count(&lately, 4, now_ms), 30);
	assert_int_equal(lately_count(&lately, 3, now_ms + 30 * MINUTE_MS), 30);
	assert_int_equal(lately_count(&lately, 3, now_ms + 60 * MINUTE_MS), 0);
}

static void test_a_pause_brings_nothing_back(void **state)
{
	struct lately lately = {0};
	(void)state;
	lately_add(&lately, 0, 1);
	lately_add(&lately, 0, 60 * MINUTE_MS + 1);
	assert_int_equal(lately_count(&lately, 0, 60 * MINUTE_MS + 1), 1);
	lately_add(&lately, LATELY_KINDS, 1);
	assert_int_equal(lately_count(&lately, LATELY_KINDS, 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_hour_and_no_more),
		cmocka_unit_test(test_a_pause_brings_nothing_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

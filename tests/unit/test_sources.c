/* test_sources.c: random early drop before door one, and the bucket of tokens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../gateway/monitor/sources.h"

static unsigned dropped_of_hundred(uint64_t unauthenticated)
{
	unsigned dropped = 0;
	for (uint32_t dice = 0; dice < 100; dice++)
		dropped += sources_drop(unauthenticated, 100, 400, dice);
	return dropped;
}

static void test_E3_drop_grows_from_none_to_all(void **state)
{
	(void)state;
	assert_int_equal(dropped_of_hundred(0), 0);
	assert_int_equal(dropped_of_hundred(99), 0);
	assert_int_equal(dropped_of_hundred(100), 30);
	assert_int_equal(dropped_of_hundred(250), 65);
	assert_int_equal(dropped_of_hundred(400), 100);
	assert_int_equal(dropped_of_hundred(100000), 100);
	for (uint64_t n = 100; n < 400; n++)
		assert_true(dropped_of_hundred(n) <= dropped_of_hundred(n + 1));
}

static void test_equal_bounds_are_a_plain_limit(void **state)
{
	(void)state;
	assert_false(sources_drop(9, 10, 10, 0));
	assert_true(sources_drop(10, 10, 10, 99));
}

static void test_a_bucket_gives_so_many_at_once_and_so_many_a_second(void **state)
{
	(void)state;
	struct sources_bucket bucket = {0};
	for (int i = 0; i < 50; i++)
		assert_true(sources_take(&bucket, 50, 100, 5000));
	assert_false(sources_take(&bucket, 50, 100, 5000));
	assert_false(sources_take(&bucket, 50, 100, 4000));
	unsigned taken = 0;
	for (uint64_t now = 5001; now <= 7000; now++)
		taken += sources_take(&bucket, 50, 100, now);
	assert_in_range(taken, 199, 201);
	taken = 0;
	while (sources_take(&bucket, 50, 100, 1000000))
		taken++;
	assert_int_equal(taken, 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_E3_drop_grows_from_none_to_all), cmocka_unit_test(test_equal_bounds_are_a_plain_limit),
		cmocka_unit_test(test_a_bucket_gives_so_many_at_once_and_so_many_a_second)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

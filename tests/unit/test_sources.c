/* test_sources.c: random early drop before door one. */
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_E3_drop_grows_from_none_to_all), cmocka_unit_test(test_equal_bounds_are_a_plain_limit)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_window.c: windows follow the way, and share what they grow by. */
#include "sallyport/window.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { FIRST = 256 * 1024, FAR_US = 100000 };

/* One half of the window leaves for the near side, `after_ms` later. */
static uint32_t half(struct window *window, uint64_t *now_ms, uint64_t after_ms, uint64_t *spare)
{
	*now_ms += after_ms;
	assert_false(window_consumed(window, window->size / 2 - 1));
	assert_true(window_consumed(window, 1));
	return window_judge(window, *now_ms, FAR_US, spare);
}

static void test_grows_while_a_half_takes_less_than_the_way(void **state)
{
	(void)state;
	struct window window;
	uint64_t now = 1000, spare = 1 << 30;
	window_init(&window, FIRST, now);
	assert_int_equal(half(&window, &now, 50, &spare), 2 * FIRST);
	assert_int_equal(half(&window, &now, 100, &spare), 0);
	assert_int_equal(half(&window, &now, 99, &spare), 4 * FIRST);
	for (int i = 0; i < 20; i++)
		(void)half(&window, &now, 1, &spare);
	assert_int_equal(window.size, WINDOW_LARGEST_BYTES);
	assert_int_equal(spare, (1 << 30) - WINDOW_LARGEST_BYTES + FIRST);
}

static void test_E6_a_slow_target_grows_nothing(void **state)
{
	(void)state;
	struct window window;
	uint64_t now = 1000, spare = 1 << 30;
	window_init(&window, FIRST, now);
	for (int i = 0; i < 100; i++)
		assert_int_equal(half(&window, &now, 500, &spare), 0);
	assert_int_equal(spare, 1 << 30);
}

static void test_E6_all_grow_out_of_one_spare(void **state)
{
	(void)state;
	struct window first, second;
	uint64_t now = 1000, spare = 3 * FIRST;
	window_init(&first, FIRST, now);
	window_init(&second, FIRST, now);
	assert_int_equal(half(&first, &now, 1, &spare), 2 * FIRST);
	assert_int_equal(half(&second, &now, 1, &spare), 2 * FIRST);
	assert_int_equal(half(&first, &now, 1, &spare), 0);
	window_fini(&second, &spare);
	window_fini(&second, &spare);
	assert_int_equal(spare, 2 * FIRST);
	assert_int_equal(half(&first, &now, 1, &spare), 4 * FIRST);
	assert_int_equal(spare, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grows_while_a_half_takes_less_than_the_way),
		cmocka_unit_test(test_E6_a_slow_target_grows_nothing),
		cmocka_unit_test(test_E6_all_grow_out_of_one_spare),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

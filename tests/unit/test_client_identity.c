/* When a certificate is to be renewed, and by whose clock its time is over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "identity.h"
#include "refusal.h"

enum { LIFE_S = 30 * 86400, BEGIN_S = 1700000000 };

static struct identity_dates dates_of(uint32_t seed)
{
	return (struct identity_dates){.not_before_s = BEGIN_S, .not_after_s = BEGIN_S + LIFE_S, .seed = seed};
}

static void test_renewals_of_a_fleet_are_spread(void **state)
{
	(void)state;
	int64_t last_s = 0;
	for (uint64_t seed = 0; seed <= UINT32_MAX; seed += UINT32_MAX / 10) {
		struct identity_dates dates = dates_of((uint32_t)seed);
		int64_t due_s = identity_due_s(&dates);
		assert_int_equal(due_s, identity_due_s(&dates));
		assert_true(due_s >= BEGIN_S + LIFE_S / 3 * 2 && due_s < BEGIN_S + LIFE_S / 3 * 2 + LIFE_S / 20);
		assert_true(due_s > last_s);
		last_s = due_s;
	}
	assert_true(last_s > BEGIN_S + LIFE_S / 3 * 2 + LIFE_S / 25);
}

static void test_overdue_comes_well_after_due(void **state)
{
	(void)state;
	struct identity_dates dates = dates_of(UINT32_MAX);
	assert_false(identity_is_overdue(&dates, identity_due_s(&dates)));
	assert_false(identity_is_overdue(&dates, BEGIN_S + LIFE_S / 6 * 5 - 1));
	assert_true(identity_is_overdue(&dates, BEGIN_S + LIFE_S / 6 * 5));
	assert_true(identity_is_overdue(&dates, BEGIN_S + 2 * LIFE_S));
	dates.not_after_s = BEGIN_S + 800LL * 86400;
	assert_false(identity_is_overdue(&dates, dates.not_after_s - 8 * 86400));
	assert_true(identity_is_overdue(&dates, dates.not_after_s - 6 * 86400));
}

static void test_two_clocks(void **state)
{
	(void)state;
	struct diag diag;
	struct refusal_times times = {BEGIN_S, BEGIN_S + LIFE_S, BEGIN_S + 86400};
	assert_int_equal(refusal_for_time(&times, "gw:443", &diag), STATUS_DEVICE_REFUSED);
	assert_non_null(strstr(diag.text, "this device's clock says 2023-11-15T22:13:20"));
	assert_non_null(strstr(diag.text, "from 2023-11-14T22:13:20"));
	assert_null(strstr(diag.text, "new one"));
	times.now_s = BEGIN_S + LIFE_S;
	assert_int_equal(refusal_for_time(&times, "gw:443", &diag), STATUS_DEVICE_REFUSED);
	assert_non_null(strstr(diag.text, "has expired"));
	times = (struct refusal_times){.now_s = BEGIN_S};
	assert_int_equal(refusal_for_time(&times, "gw:443", &diag), STATUS_DEVICE_REFUSED);
	assert_non_null(strstr(diag.text, "has expired"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_renewals_of_a_fleet_are_spread),
		cmocka_unit_test(test_overdue_comes_well_after_due),
		cmocka_unit_test(test_two_clocks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

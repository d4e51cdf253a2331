/* test_conf.c: the table of configuration keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sallyport/conf.h"

static void test_every_default_is_valid(void **state)
{
	(void)state;
	struct conf conf;
	assert_int_equal(conf_init(&conf), 0);
	assert_int_equal(conf.login_grace_ms, 10000);
	assert_int_equal(conf.stream_window, 262144);
	conf_fini(&conf);
}

static void test_spelling_is_what_set_takes(void **state)
{
	(void)state;
	struct conf conf, copy;
	assert_int_equal(conf_init(&conf), 0);
	assert_int_equal(conf_init(&copy), 0);
	assert_int_equal(conf_set(&conf, "lease", view_string("90m"), NULL), 0);
	assert_int_equal(conf_set(&conf, "listen", view_string("127.0.0.1:1\n127.0.0.1:2\n"), NULL), 0);
	for (size_t i = 0; i < conf_key_count; i++) {
		OWN_BUF struct buf text = BUF_INIT(65536);
		assert_int_equal(conf_spell(&conf, &conf_keys[i], &text), 0);
		if (text.size)
			assert_int_equal(conf_set(&copy, conf_keys[i].name, buf_view(&text), NULL), 0);
	}
	assert_int_equal(copy.lease_ms, 5400000);
	assert_string_equal(copy.listen, conf.listen);
	conf_fini(&conf);
	conf_fini(&copy);
}

static void test_bad_values_are_named(void **state)
{
	(void)state;
	struct conf conf;
	struct diag diag;
	assert_int_equal(conf_init(&conf), 0);
	assert_int_equal(conf_set(&conf, "login_grase", view_string("1s"), &diag), ERR_NOT_FOUND);
	assert_non_null(strstr(diag.text, "did you mean \"login_grace\"?"));
	assert_int_equal(conf_set(&conf, "login_grace", view_string("10"), &diag), ERR_BAD_CONFIG);
	assert_non_null(strstr(diag.text, "unit"));
	assert_int_equal(conf_set(&conf, "login_grace", view_string("10h"), &diag), ERR_BAD_CONFIG);
	assert_non_null(strstr(diag.text, "between 1s and 10m"));
	assert_int_equal(conf_set(&conf, "store", view_string("store.db"), &diag), ERR_BAD_CONFIG);
	assert_int_equal(conf.login_grace_ms, 10000);
	conf_fini(&conf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_default_is_valid), cmocka_unit_test(test_spelling_is_what_set_takes),
		cmocka_unit_test(test_bad_values_are_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

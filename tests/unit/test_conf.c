/* test_conf.c: the table of configuration keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sallyport/conf.h"
#include "sallyport/realm.h"

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

#define STAFF "staff\x1fpam-staff\x1f\x1fstaff\x1e""admins\x1fmanaged\n"
#define DESK "desk\x1fpam-desk\x1fw\x1f\x1fkiosk\n"
#define GLASS "glass\x1fpam-glass\x1f""b\x1f\x1f\n"

static void test_realms(void **state)
{
	(void)state;
	static const char all[] = STAFF DESK GLASS;
	const char *const staff[] = {"users", "admins"}, *const nobody[] = {"users"};
	struct realm realm;
	assert_int_equal(realms_check(all, NULL), 0);
	assert_true(realm_choose(all, "x\nmanaged\n", staff, 2, &realm));
	assert_true(view_is(realm.name, "staff") && view_is(realm.pam_service, "pam-staff"));
	assert_false(realm_choose(all, "managed\n", nobody, 1, &realm));
	assert_false(realm_choose(all, "manage\n", staff, 2, &realm));
	assert_true(realm_choose(all, "managed\nkiosk", nobody, 1, &realm));
	assert_true(view_is(realm.name, "desk") && realm.browser && !realm.on_request);
	assert_true(realm_choice_needs_groups(all, "managed\n"));
	assert_false(realm_choice_needs_groups(all, "kiosk\n"));
	assert_false(realm_choice_needs_groups(all, ""));
	/* What is only for the asking is never chosen; what is not may not be asked into. */
	assert_true(realm_find(all, view_string("glass"), &realm) && realm.on_request && realm.break_glass);
	assert_true(realm_is_right(all, view_string("glass"), "", nobody, 1));
	assert_true(realm_is_right(all, view_string("staff"), "managed\n", staff, 2));
	assert_false(realm_is_right(all, view_string("staff"), "managed\n", nobody, 1));
	assert_false(realm_is_right(all, view_string("default"), "managed\n", staff, 2));
	assert_true(realm_is_right(all, view_string("default"), "", staff, 2));
	assert_false(realm_is_right(all, view_string("gone"), "", staff, 2));
	/* The name services are asked only where it matters: not for emergencies. */
	assert_false(realm_right_needs_groups(all, view_string("glass"), "managed\n"));
	assert_true(realm_right_needs_groups(all, view_string("staff"), "managed\n"));
	assert_true(realm_right_needs_groups(all, view_string("default"), "managed\n"));
	assert_false(realm_right_needs_groups(all, view_string("desk"), "kiosk\n"));
	assert_false(realm_right_needs_groups("", view_string("default"), ""));
	assert_true(realm_is_right("", view_string("default"), "", NULL, 0));
}

static void test_bad_realms(void **state)
{
	(void)state;
	static const char *const bad[] = {"staff", "staff\x1f\x1f\x1f\x1f", "default\x1fx\x1f\x1f\x1f", "a\x1fx/y\x1f\x1f\x1f",
					  "a b\x1fx\x1f\x1f\x1f", GLASS GLASS, "a\x1fx\x1f\x1f\x1f\x1f", "a\x1f..\x1f\x1f\x1f"};
	struct conf conf;
	struct diag diag;
	assert_int_equal(conf_init(&conf), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(conf_set(&conf, "realm", view_string(bad[i]), &diag), ERR_BAD_CONFIG);
	assert_int_equal(conf_set(&conf, "realm", view_string(STAFF GLASS), &diag), 0);
	OWN_BUF struct buf text = BUF_INIT(1 << 20);
	assert_int_equal(conf_sample(&conf, &text), 0);
	assert_int_equal(buf_add(&text, view_of("", 1)), 0);
	assert_non_null(strstr((const char *)text.data, "\nrealm \"staff\" {  pam_service = \"pam-staff\"  groups = {\"staff\", "
							"\"admins\"}  device_tags = {\"managed\"}  }\nrealm \"glass\""));
	conf_fini(&conf);
}

static void test_the_portal_has_a_port_when_it_is_an_odd_one(void **state)
{
	(void)state;
	static struct {
		char name[32], listen[32], configured[32], url[48];
	} cases[] = {
		{"gw.example.com", "0.0.0.0:443", "", "https://gw.example.com/"},
		{"gw.example.com", "0.0.0.0:8443", "", "https://gw.example.com:8443/"},
		{"gw.example.com", "0.0.0.0:8443", "vpn.example.com:443", "https://vpn.example.com/"},
		{"2001:db8::1", "[::]:443", "", "https://[2001:db8::1]/"},
		{"gw.example.com", "", "", "https://gw.example.com/"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct conf conf = {.name = cases[i].name, .listen = cases[i].listen, .public_address = cases[i].configured};
		char url[300];
		conf_portal(&conf, url, sizeof(url));
		assert_string_equal(url, cases[i].url);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_default_is_valid), cmocka_unit_test(test_spelling_is_what_set_takes),
		cmocka_unit_test(test_bad_values_are_named), cmocka_unit_test(test_realms), cmocka_unit_test(test_bad_realms),
		cmocka_unit_test(test_the_portal_has_a_port_when_it_is_an_odd_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

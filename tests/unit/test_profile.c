/* test_profile.c: the profile file, and the order in which settings win. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "profile.h"
#include "remove_folder.h"
#include "sallyport/fd.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

static int parse(const char *text, struct settings *settings, struct diag *diag)
{
	*settings = (struct settings){0};
	return profile_parse(view_string(text), "/p", "/home/me", settings, diag);
}

static void test_good_profile(void **state)
{
	(void)state;
	struct settings settings;
	struct diag diag = {0};
	assert_int_equal(parse("# comment\n\n  gateway=https://gw:1 \r\ncert = ~/a b.crt\nkey\t=\t\"/k#1\"\nuser = a=b", &settings,
			       &diag), STATUS_OK);
	assert_string_equal(settings.value[SETTING_gateway], "https://gw:1");
	assert_string_equal(settings.value[SETTING_cert], "/home/me/a b.crt");
	assert_string_equal(settings.value[SETTING_key], "/k#1");
	assert_string_equal(settings.value[SETTING_user], "a=b");
	assert_null(settings.value[SETTING_ca]);
	settings_fini(&settings);
	assert_int_equal(parse("key = pkcs11:token=tpm;object=a", &settings, &diag), STATUS_OK);
	assert_string_equal(settings.value[SETTING_key], "pkcs11:token=tpm;object=a");
	settings_fini(&settings);
}

static void test_bad_profiles_name_file_and_line(void **state)
{
	(void)state;
	static const struct {
		const char *text, *words;
	} rows[] = {
		{"gateway https://gw", "/p:1: expected KEY = VALUE"}, {"\n= x", "/p:2: expected KEY = VALUE"},
		{"gatewy = x", "did you mean \"gateway\"?"}, {"user = a\nuser = b", "/p:2: \"user\" stands here for the second"},
		{"user =", "has no value"}, {"user = \"\"", "has no value"}, {"key = relative", "must begin with / or ~/"},
		{"key = tpmkey:uuid=1", "must begin with / or ~/"},
		{"cert = ~other/x", "must begin with / or ~/"}, {"zzzzzzzzzz = 1", "unknown key \"zzzzzzzzzz\""},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct settings settings;
		struct diag diag = {0};
		assert_int_equal(parse(rows[i].text, &settings, &diag), STATUS_USAGE);
		assert_non_null(strstr(diag.text, rows[i].words));
		settings_fini(&settings);
	}
	struct settings settings = {0};
	struct diag diag = {0};
	assert_int_equal(profile_parse(view_of("user = a\0b", 10), "/p", NULL, &settings, &diag), STATUS_USAGE);
	settings_fini(&settings);
}

static void write_profile(const char *folder, const char *text, mode_t mode)
{
	char path[256];
	struct diag diag;
	snprintf(path, sizeof(path), "%s/sallyport", folder);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/sallyport/profile", folder);
	assert_int_equal(fd_write_file(path, mode, 1, view_string(text), &diag), 0);
}

static void test_option_wins_over_environment_over_profile(void **state)
{
	(void)state;
	char folder[] = "/tmp/test_profile.XXXXXX";
	struct settings settings = {0};
	struct diag diag = {0};
	assert_non_null(mkdtemp(folder));
	for (size_t i = 0; i < SETTING_COUNT; i++)
		unsetenv(setting_rows[i].environment);
	setenv("XDG_CONFIG_HOME", folder, 1);
	setenv("SALLYPORT_USER", "environment", 1);
	setenv("SALLYPORT_CA", "/environment", 1);
	setenv("SALLYPORT_KEY", "", 1);
	write_profile(folder, "user = profile\nca = /profile\nkey = /profile\n", 0600);
	assert_int_equal(settings_offer(&settings, SETTING_user, "option", &diag), STATUS_OK);
	assert_int_equal(settings_complete(&settings, &diag), STATUS_OK);
	assert_string_equal(settings.value[SETTING_user], "option");
	assert_string_equal(settings.value[SETTING_ca], "/environment");
	assert_string_equal(settings.value[SETTING_key], "/profile");
	assert_int_equal(settings_check(&settings, &diag), STATUS_USAGE);
	assert_non_null(strstr(diag.text, "SALLYPORT_URL"));
	settings_fini(&settings);

	write_profile(folder, "user = profile\n", 0666);
	assert_int_equal(settings_complete(&settings, &diag), STATUS_USAGE);
	assert_non_null(strstr(diag.text, "chmod go-w"));
	settings_fini(&settings);

	setenv("XDG_CONFIG_HOME", "/nonexistent", 1);
	assert_int_equal(settings_complete(&settings, &diag), STATUS_OK);
	settings_fini(&settings);
	assert_int_equal(remove_folder(folder), 0);
}

static void test_gateway_urls(void **state)
{
	(void)state;
	static const struct {
		const char *url, *host;
		unsigned port; /* 0: refused */
	} rows[] = {
		{"https://gw.example", "gw.example", 443}, {"https://gw.example/", "gw.example", 443},
		{"https://gw:8443", "gw", 8443}, {"https://[::1]:8443/", "::1", 8443}, {"https://[::1]", "::1", 443},
		{"http://gw", "", 0}, {"gw:443", "", 0}, {"https://", "", 0}, {"https:///", "", 0}, {"https://gw:0", "", 0},
		{"https://gw:99999", "", 0}, {"https://gw/path", "", 0}, {"https://me@gw", "", 0}, {"https://gw?x", "", 0},
		{"https://[", "", 0}, {"https://::1:443", "", 0}, {"https://gw:", "", 0},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		char host[256] = "";
		uint16_t port = 0;
		struct diag diag = {0};
		int status = settings_parse_url(rows[i].url, host, sizeof(host), &port, &diag);
		assert_int_equal(status, rows[i].port ? STATUS_OK : STATUS_USAGE);
		assert_int_equal(port, rows[i].port);
		if (rows[i].port)
			assert_string_equal(host, rows[i].host);
		else
			assert_non_null(strstr(diag.text, "https://HOST"));
	}
}

static void test_user_names(void **state)
{
	(void)state;
	struct settings settings = {0};
	struct diag diag = {0};
	char user[257];
	assert_int_equal(settings_user(&settings, "al\x1b[2Jice", user, sizeof(user), &diag), STATUS_USAGE);
	assert_null(strchr(diag.text, '\x1b'));
	assert_int_equal(settings_user(&settings, "", user, sizeof(user), &diag), STATUS_USAGE);
	assert_int_equal(settings_user(&settings, "alice", user, sizeof(user), &diag), STATUS_OK);
	assert_int_equal(settings_offer(&settings, SETTING_user, "bob", &diag), STATUS_OK);
	assert_int_equal(settings_user(&settings, NULL, user, sizeof(user), &diag), STATUS_OK);
	assert_string_equal(user, "bob");
	settings_fini(&settings);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_profile), cmocka_unit_test(test_bad_profiles_name_file_and_line),
		cmocka_unit_test(test_option_wins_over_environment_over_profile), cmocka_unit_test(test_gateway_urls),
		cmocka_unit_test(test_user_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

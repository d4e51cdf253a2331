/* test_client_token.c: where the session is kept, and who may see it (promises F1, F4). */
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

#include "remove_folder.h"
#include "token.h"

static char folder[64];

static int make_folder(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/test_token.XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	setenv("XDG_RUNTIME_DIR", folder, 1);
	return 0;
}

static int drop_folder(void **state)
{
	(void)state;
	return remove_folder(folder);
}

static void path_of(const char *gateway, const char *device, char path[4096])
{
	struct diag diag = {0};
	assert_int_equal(token_path(gateway, view_string(device), path, 4096, &diag), STATUS_OK);
}

static mode_t mode_of(const char *path)
{
	struct stat file;
	assert_int_equal(stat(path, &file), 0);
	return file.st_mode & 07777;
}

static void test_F1_stored_for_its_owner_only(void **state)
{
	(void)state;
	char path[4096], sub[4096];
	struct diag diag = {0};
	struct token token;
	path_of("gw:443", "device", path);
	assert_int_equal(token_load(path, &token, &diag), STATUS_LOGIN_NEEDED);
	assert_string_equal(diag.text, "You are not logged in; run: sallyport login");
	umask(0);
	assert_int_equal(token_store(path, "abc", &diag), STATUS_OK);
	snprintf(sub, sizeof(sub), "%s/sallyport", folder);
	assert_int_equal(mode_of(path), 0600);
	assert_int_equal(mode_of(sub), 0700);
	assert_int_equal(token_load(path, &token, &diag), STATUS_OK);
	assert_string_equal(token.text, "abc");
	assert_int_equal(token_store(path, "second", &diag), STATUS_OK);
	assert_int_equal(token_load(path, &token, &diag), STATUS_OK);
	assert_string_equal(token.text, "second");
	assert_int_equal(token_remove(path, &diag), STATUS_OK);
	assert_int_equal(token_remove(path, &diag), STATUS_OK);
	assert_int_equal(token_load(path, &token, &diag), STATUS_LOGIN_NEEDED);
}

static void test_F4_open_files_and_folders_are_refused(void **state)
{
	(void)state;
	char path[4096], sub[4096];
	struct diag diag = {0};
	struct token token;
	path_of("gw:443", "device", path);
	snprintf(sub, sizeof(sub), "%s/sallyport", folder);
	assert_int_equal(token_store(path, "abc", &diag), STATUS_OK);
	chmod(path, 0640);
	assert_int_equal(token_load(path, &token, &diag), STATUS_FAILED);
	assert_non_null(strstr(diag.text, "chmod go-rwx"));
	chmod(path, 0600);
	chmod(sub, 0755);
	assert_int_equal(token_load(path, &token, &diag), STATUS_FAILED);
	assert_int_equal(token_store(path, "abc", &diag), STATUS_FAILED);
	assert_non_null(strstr(diag.text, "chmod go-rwx"));
	chmod(sub, 0700);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_int_equal(token_load(path, &token, &diag), STATUS_FAILED);
	assert_int_equal(unlink(path), 0);
}

static void test_damaged_file_is_no_session(void **state)
{
	(void)state;
	char path[4096];
	struct diag diag = {0};
	struct token token;
	path_of("gw:443", "device", path);
	static const char *const texts[] = {"", "a b", "a\r\nx: y"};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_int_equal(token_store(path, texts[i], &diag), STATUS_OK);
		assert_int_equal(token_load(path, &token, &diag), STATUS_LOGIN_NEEDED);
		assert_int_equal(token.text[0], 0);
	}
}

static void test_one_per_gateway_and_device(void **state)
{
	(void)state;
	char a[4096], b[4096], c[4096];
	path_of("gw:443", "device", a);
	path_of("gw:8443", "device", b);
	path_of("gw:443", "other", c);
	assert_string_not_equal(a, b);
	assert_string_not_equal(a, c);
	assert_string_not_equal(b, c);
}

static void test_place_without_runtime_folder(void **state)
{
	(void)state;
	char path[4096], expected[128];
	struct diag diag = {0};
	char nowhere[160];
	snprintf(nowhere, sizeof(nowhere), "%s/nowhere", folder);
	setenv("XDG_RUNTIME_DIR", nowhere, 1);
	unsetenv("XDG_STATE_HOME");
	setenv("HOME", folder, 1);
	path_of("gw:443", "device", path);
	snprintf(expected, sizeof(expected), "%s/.local/state/sallyport/", folder);
	assert_memory_equal(path, expected, strlen(expected));
	assert_int_equal(token_store(path, "abc", &diag), STATUS_OK);
	unsetenv("HOME");
	assert_int_equal(token_path("gw:443", view_string("d"), path, sizeof(path), &diag), STATUS_FAILED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_F1_stored_for_its_owner_only, make_folder, drop_folder),
		cmocka_unit_test_setup_teardown(test_F4_open_files_and_folders_are_refused, make_folder, drop_folder),
		cmocka_unit_test_setup_teardown(test_damaged_file_is_no_session, make_folder, drop_folder),
		cmocka_unit_test_setup_teardown(test_one_per_gateway_and_device, make_folder, drop_folder),
		cmocka_unit_test_setup_teardown(test_place_without_runtime_folder, make_folder, drop_folder),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

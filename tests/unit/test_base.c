/* test_base.c: bytes, whole files, printable lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "sallyport/clock.h"
#include "sallyport/fd.h"
#include "sallyport/own.h"

static void test_buf_keeps_its_limit(void **state)
{
	(void)state;
	OWN_BUF struct buf buf = BUF_INIT(10);
	assert_int_equal(buf_add_string(&buf, "12345678"), 0);
	assert_int_equal(buf_add_string(&buf, "123"), ERR_LIMIT);
	assert_int_equal(buf.size, 8);
	assert_int_equal(buf_add_format(&buf, "%d", 99), 0);
	assert_true(view_is(buf_view(&buf), "1234567899"));
	buf_consume(&buf, 8);
	assert_true(view_is(buf_view(&buf), "99"));
	assert_null(buf_reserve(&buf, SIZE_MAX));
	buf_consume(&buf, 100);
	assert_int_equal(buf.size, 0);
}

static void test_a_view_is_trimmed_at_both_ends(void **state)
{
	(void)state;
	assert_true(view_is(view_trim(view_string(" \ta b\t "), " \t"), "a b"));
	assert_true(view_is(view_trim(view_string("a"), " \t"), "a"));
	assert_int_equal(view_trim(view_string("   "), " ").size, 0);
	assert_int_equal(view_trim(view_of(NULL, 0), " ").size, 0);
	assert_int_equal(view_trim(view_of("\0 ", 2), " ").size, 1);
}

static void test_view_to_string_refuses_nul_and_overlength(void **state)
{
	(void)state;
	char text[4];
	assert_int_equal(view_to_string(view_string("abc"), text, sizeof(text)), 0);
	assert_int_equal(view_to_string(view_string("abcd"), text, sizeof(text)), ERR_LIMIT);
	assert_int_equal(view_to_string(view_of("a\0b", 3), text, sizeof(text)), ERR_BAD_INPUT);
}

static void test_secret_comparison(void **state)
{
	(void)state;
	assert_true(view_equal_secret(view_string("same"), view_string("same")));
	assert_false(view_equal_secret(view_string("same"), view_string("sane")));
	assert_false(view_equal_secret(view_string("same"), view_string("sam")));
}

static void test_F4_files_are_made_with_their_final_mode_and_not_overwritten(void **state)
{
	(void)state;
	char folder[] = "/tmp/test_base.XXXXXX", path[64];
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/key", folder);
	struct diag diag;
	assert_int_equal(fd_write_file(path, 0600, 0, view_string("one"), &diag), 0);
	struct stat status;
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	assert_int_equal(fd_write_file(path, 0600, 0, view_string("two"), &diag), ERR_DENIED);
	assert_non_null(strstr(diag.text, path));
	OWN_BUF struct buf content = BUF_INIT(100);
	assert_int_equal(fd_read_file(path, &content, &diag), 0);
	assert_true(view_is(buf_view(&content), "one"));
	assert_int_equal(fd_write_file(path, 0644, 1, view_string("three"), &diag), 0);
	OWN_BUF struct buf small = BUF_INIT(3);
	assert_int_equal(fd_read_file(path, &small, &diag), ERR_LIMIT);
	unlink(path);
	assert_int_equal(rmdir(folder), 0);
}

static void test_times_of_http(void **state)
{
	(void)state;
	char text[32];
	clock_format_http(1795468565000, text, sizeof(text));
	assert_string_equal(text, "Mon, 23 Nov 2026 21:16:05 GMT");
	clock_format_http(951782400999, text, sizeof(text));
	assert_string_equal(text, "Tue, 29 Feb 2000 00:00:00 GMT");
}

static void test_times_are_rfc3339(void **state)
{
	(void)state;
	char text[32];
	clock_format(1795468565000, text, sizeof(text));
	assert_string_equal(text, "2026-11-23T21:16:05Z");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_buf_keeps_its_limit), cmocka_unit_test(test_a_view_is_trimmed_at_both_ends),
		cmocka_unit_test(test_view_to_string_refuses_nul_and_overlength),
		cmocka_unit_test(test_secret_comparison),
		cmocka_unit_test(test_F4_files_are_made_with_their_final_mode_and_not_overwritten),
		cmocka_unit_test(test_times_of_http), cmocka_unit_test(test_times_are_rfc3339),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_filter.c: verdicts, checks of arguments, and lists that cannot be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "filter.h"

/* Calls without effect here, so that what comes back is the filter's word. */
static long call_close(long fd)
{
	errno = 0;
	return syscall(SYS_close, fd);
}

static int run(const struct filter_list *list, int (*inside)(void))
{
	struct filter filter;
	struct diag diag;
	int status = 0;
	assert_int_equal(filter_compile(list, &filter, &diag), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || filter_load(&filter, &diag) < 0)
			_exit(99);
		_exit(inside());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	filter_fini(&filter);
	return status;
}

static const struct filter_row close_some[] = {
	FILTER_CALL(close, FILTER_IS(0, 1000)),
	FILTER_CALL(close, FILTER_MASKED(0, 0xff00, 0x2200)),
	FILTER_END,
};
static const struct filter_row only_exit[] = {FILTER_CALL(exit_group), FILTER_END};
static const struct filter_row get_parent[] = {FILTER_CALL(getppid), FILTER_END};

static int close_both(void)
{
	return call_close(1000) < 0 && errno == EBADF && call_close(0x2255) < 0 && errno == EBADF ? 0 : 1;
}
static int close_other(void)
{
	call_close(1001);
	return 0;
}
/* The upper half of a 32-bit argument is anybody's: the kernel does not look at it, nor does the check. */
static int close_upper_half(void)
{
	return call_close(1000 | 1L << 40) < 0 && errno == EBADF ? 0 : 1;
}
static int get_refused(void)
{
	errno = 0;
	return syscall(SYS_getppid) < 0 ? errno : 0;
}

static void test_any_fitting_row_allows_and_the_rest_kills(void **state)
{
	(void)state;
	const struct filter_list list = {.name = "test",
					 .rest = FILTER_KILL,
					 .parts = {{FILTER_ALLOW, close_some}, {FILTER_ALLOW, filter_basics}}};
	const struct filter_list narrow = {
		.name = "test", .rest = FILTER_KILL, .parts = {{FILTER_ALLOW, close_some}, {FILTER_ALLOW, only_exit}}};
	assert_int_equal(run(&narrow, close_both), 0);
	assert_int_equal(run(&narrow, close_upper_half), 0);
	int status = run(&narrow, close_other);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
	assert_true(WIFSIGNALED(run(&list, get_refused)));
}

static void test_verdicts(void **state)
{
	(void)state;
	const struct filter_list refuse = {
		.name = "test", .rest = FILTER_ALLOW, .parts = {{FILTER_REFUSE, get_parent}}};
	const struct filter_list absent = {
		.name = "test", .rest = FILTER_ALLOW, .parts = {{FILTER_ABSENT, get_parent}}};
	const struct filter_list kill_it = {.name = "test", .rest = FILTER_ALLOW, .parts = {{FILTER_KILL, get_parent}}};
	const struct filter_list allow = {.name = "test", .rest = FILTER_ALLOW, .parts = {{FILTER_ALLOW, get_parent}}};
	assert_int_equal(WEXITSTATUS(run(&refuse, get_refused)), EPERM);
	assert_int_equal(WEXITSTATUS(run(&absent, get_refused)), ENOSYS);
	assert_int_equal(WEXITSTATUS(run(&allow, get_refused)), 0);
	assert_true(WIFSIGNALED(run(&kill_it, get_refused)));
}

static int make_executable(void)
{
	return syscall(SYS_mprotect, 0x1000, 4096, 7 /* read, write, execute */) < 0 ? 0 : 1;
}
static int use_basics(void)
{
	free(malloc(1 << 20));
	return getpid() > 0 && write(-1, "", 0) < 0 ? 0 : 1;
}

static void test_E1_basics_work_and_never_execute(void **state)
{
	(void)state;
	const struct filter_list list = {.name = "test", .rest = FILTER_KILL, .parts = {{FILTER_ALLOW, filter_basics}}};
	assert_int_equal(run(&list, use_basics), 0);
	assert_true(WIFSIGNALED(run(&list, make_executable)));
}

/* Filters only ever add up: a second one cannot give back what the first took. */
static int load_a_wider_one(void)
{
	static const struct filter_list wide = {
		.name = "wide", .rest = FILTER_ALLOW, .parts = {{FILTER_REFUSE, only_exit}}};
	struct filter filter;
	struct diag diag;
	if (filter_compile(&wide, &filter, &diag) < 0 || filter_load(&filter, &diag) < 0)
		return 98;
	int result = get_refused();
	syscall(SYS_exit, result);
	return 97;
}

static void test_a_second_filter_widens_nothing(void **state)
{
	(void)state;
	const struct filter_list first = {.name = "test", .rest = FILTER_ALLOW, .parts = {{FILTER_REFUSE, get_parent}}};
	assert_int_equal(WEXITSTATUS(run(&first, load_a_wider_one)), EPERM);
}

static void test_a_check_that_cannot_be_is_our_bug(void **state)
{
	(void)state;
	static const struct filter_row rows[] = {FILTER_CALL(close, FILTER_IS(9, 1)), FILTER_END};
	const struct filter_list list = {.name = "test", .rest = FILTER_KILL, .parts = {{FILTER_ALLOW, rows}}};
	struct filter filter;
	struct diag diag;
	assert_int_equal(filter_compile(&list, &filter, &diag), ERR_BUG);
	assert_non_null(strstr(diag.text, "close"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_fitting_row_allows_and_the_rest_kills),
		cmocka_unit_test(test_verdicts),
		cmocka_unit_test(test_E1_basics_work_and_never_execute),
		cmocka_unit_test(test_a_second_filter_widens_nothing),
		cmocka_unit_test(test_a_check_that_cannot_be_is_our_bug),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_pam_module.c: pam_sallyport.so as a host program meets it: arguments, no gateway, loading again and again.
 *
 * The module's path is the first argument. The tests run it by real PAM, with a service file of their own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <security/pam_appl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../pam_module/arguments.h"

static const char *module;
static char folder[] = "/tmp/sallyport-pam.XXXXXX";

/* Small: what is released must not count as growth. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "quarantine_size_mb=1:detect_leaks=0";
}

static int converse(int count, const struct pam_message **messages, struct pam_response **out_responses, void *data)
{
	struct pam_response *responses = calloc((size_t)count, sizeof(*responses));
	unsigned *asked = data;
	for (int i = 0; i < count; i++) {
		responses[i].resp = strdup("123456");
		if (messages[i]->msg_style == PAM_PROMPT_ECHO_OFF)
			(*asked)++;
	}
	*out_responses = responses;
	return PAM_SUCCESS;
}

static void write_service(const char *name, const char *arguments)
{
	char path[200];
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file, "auth required %s %s\n", module, arguments);
	fclose(file);
}

static int authenticate(const char *service, unsigned *asked)
{
	pam_handle_t *pam = NULL;
	const struct pam_conv conversation = {.conv = converse, .appdata_ptr = asked};
	assert_int_equal(pam_start_confdir(service, "alice", &conversation, folder, &pam), PAM_SUCCESS);
	int code = pam_authenticate(pam, 0);
	pam_end(pam, code);
	return code;
}

static void test_without_a_gateway_nobody_is_let_in(void **state)
{
	(void)state;
	unsigned asked = 0;
	write_service("nobody", "factor socket=/nowhere/factor.sock timeout=1s");
	assert_int_equal(authenticate("nobody", &asked), PAM_AUTHINFO_UNAVAIL);
	assert_int_equal(asked, 0);
}

static void test_unknown_arguments_are_refused(void **state)
{
	(void)state;
	static const char *const wrong[] = {"", "presence", "factor nullok", "factor socket=relative", "factor timeout=5",
					    "factor timeout=0s", "factor timeout=2h", "socket=/x factor"};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		unsigned asked = 0;
		write_service("wrong", wrong[i]);
		assert_int_equal(authenticate("wrong", &asked), PAM_SERVICE_ERR);
		assert_int_equal(asked, 0);
	}
}

static void test_arguments(void **state)
{
	(void)state;
	struct arguments arguments;
	struct diag diag;
	const char *const words[] = {"factor", "socket=/run/x.sock", "timeout=1500ms"};
	assert_int_equal(arguments_read(3, words, &arguments, &diag), 0);
	assert_string_equal(arguments.socket, "/run/x.sock");
	assert_int_equal(arguments.time_limit_ms, 1500);
	const char *const wrong[] = {"factor", "secret=1"};
	assert_true(arguments_read(2, wrong, &arguments, &diag) < 0);
	assert_non_null(strstr(diag.text, "secret=1"));
}

static void test_nothing_but_the_functions_of_pam_is_shown(void **state)
{
	(void)state;
	void *library = dlopen(module, RTLD_NOW | RTLD_LOCAL);
	assert_non_null(library);
	assert_non_null(dlsym(library, "pam_sm_authenticate"));
	assert_non_null(dlsym(library, "pam_sm_setcred"));
	assert_null(dlsym(library, "arguments_read"));
	assert_null(dlsym(library, "buf_add"));
	dlclose(library);
}

static long resident_kib(void)
{
	long pages = 0, ignored = 0;
	FILE *file = fopen("/proc/self/statm", "r");
	assert_non_null(file);
	assert_int_equal(fscanf(file, "%ld %ld", &ignored, &pages), 2);
	fclose(file);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void load(int times)
{
	for (int i = 0; i < times; i++) {
		void *library = dlopen(module, RTLD_NOW | RTLD_LOCAL);
		assert_non_null(library);
		dlclose(library);
	}
}

static void test_loading_ten_thousand_times_does_not_grow(void **state)
{
	(void)state;
	load(1000);
	long before = resident_kib();
	load(10000);
	assert_in_range(resident_kib() - before + 1024, 0, 3072);
}

static void *run_thread(void *unused)
{
	unsigned asked = 0;
	(void)unused;
	for (int i = 0; i < 20; i++)
		if (authenticate("nobody", &asked) != PAM_AUTHINFO_UNAVAIL)
			return "another answer";
	return NULL;
}

/* Eight at once, in a program that has its own handlers and output: they stay as they are. */
static void test_threads_signals_and_output_of_the_host(void **state)
{
	(void)state;
	pthread_t threads[8];
	struct sigaction before, after;
	int ends[2], kept = dup(STDOUT_FILENO);
	fflush(stdout);
	assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
	dup2(ends[1], STDOUT_FILENO);
	sigaction(SIGPIPE, NULL, &before);
	write_service("nobody", "factor socket=/nowhere/factor.sock timeout=1s");
	for (int i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, run_thread, NULL), 0);
	const char *trouble = NULL;
	for (int i = 0; i < 8; i++) {
		void *result = NULL;
		pthread_join(threads[i], &result);
		trouble = result ? result : trouble;
	}
	char byte;
	ssize_t written = read(ends[0], &byte, 1);
	dup2(kept, STDOUT_FILENO);
	close(kept), close(ends[0]), close(ends[1]);
	sigaction(SIGPIPE, NULL, &after);
	assert_null(trouble);
	assert_int_equal(written, -1);
	assert_ptr_equal(before.sa_handler, after.sa_handler);
}

int main(int count, char **arguments)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_a_gateway_nobody_is_let_in),
		cmocka_unit_test(test_unknown_arguments_are_refused),
		cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_nothing_but_the_functions_of_pam_is_shown),
		cmocka_unit_test(test_loading_ten_thousand_times_does_not_grow),
		cmocka_unit_test(test_threads_signals_and_output_of_the_host),
	};
	if (count != 2 || !mkdtemp(folder))
		return EXIT_FAILURE;
	/* PAM looks for a relative path in a folder of its own. */
	module = realpath(arguments[1], NULL);
	if (!module)
		return EXIT_FAILURE;
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	char path[200];
	static const char *const names[] = {"nobody", "wrong"};
	for (size_t i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		unlink(path);
	}
	rmdir(folder);
	return failed;
}

/* test_pam_module.c: pam_sallyport.so as a host program meets it: arguments, no gateway, loading again and again.
 *
 * The module's path is the first argument. The tests run it by real PAM, with a service file of their own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <security/pam_appl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../pam_module/arguments.h"
#include "../../pam_module/profile.h"
#include "../../pam_module/way.h"

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

/* libpam's way to syslog(3) ends here. */
static char last_report[1024];

void __syslog_chk(int priority, int flag, const char *format, ...);
void __syslog_chk(int priority, int flag, const char *format, ...)
{
	va_list arguments;
	(void)flag;
	va_start(arguments, format);
	int length = snprintf(last_report, sizeof(last_report), "<%d> ", priority & LOG_PRIMASK);
	vsnprintf(last_report + length, sizeof(last_report) - (size_t)length, format, arguments);
	va_end(arguments);
}

static void test_unknown_arguments_are_refused(void **state)
{
	(void)state;
	static const char *const wrong[] = {"", "nothing", "presence via=vpn", "presence fresh=10", "presence fallback=yes",
					    "presence socket=/x", "presence profile=x", "presence debug", "factor fresh=10m", "factor nullok", "factor socket=relative", "factor timeout=5",
					    "factor timeout=0s", "factor timeout=2h", "socket=/x factor"};
	enum { LAST_WRONG = sizeof(wrong) / sizeof(wrong[0]) - 1 };
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		unsigned asked = 0;
		const char *space = strrchr(wrong[i], ' ');
		last_report[0] = 0;
		write_service("wrong", wrong[i]);
		assert_int_equal(authenticate("wrong", &asked), PAM_SERVICE_ERR);
		assert_int_equal(asked, 0);
		/* Who may look into it finds the very word, and what would be right. */
		assert_ptr_equal(strstr(last_report, "<3> pam_sallyport(wrong:auth): "), last_report);
		assert_non_null(strstr(last_report, i == LAST_WRONG ? "socket=/x" : space ? space + 1 : wrong[i]));
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

static void test_arguments_of_presence(void **state)
{
	(void)state;
	struct arguments arguments;
	struct diag diag;
	const char *const words[] = {"presence", "fresh=10m", "via=gateway", "fallback=ignore", "profile=/etc/x", "timeout=2s"};
	assert_int_equal(arguments_read(1, words, &arguments, &diag), 0);
	assert_string_equal(arguments.profile, "/etc/sallyport/profile");
	assert_false(arguments.via_gateway || arguments.ignores_silence || arguments.fresh_ms);
	assert_int_equal(arguments_read(6, words, &arguments, &diag), 0);
	assert_int_equal(arguments.fresh_ms, 600000);
	assert_int_equal(arguments.time_limit_ms, 2000);
	assert_string_equal(arguments.profile, "/etc/x");
	assert_true(arguments.via_gateway && arguments.ignores_silence);
	const char *const deny[] = {"presence", "fallback=deny"};
	assert_int_equal(arguments_read(2, deny, &arguments, &diag), 0);
	assert_false(arguments.ignores_silence);
}

static void test_profiles(void **state)
{
	(void)state;
	struct profile profile;
	struct diag diag;
	char url[PROFILE_TEXT_MAX];
	size_t position = 0;
	static const char good[] = "# Written by: sallyport enroll\ngateway = https://a:1, https://b/\r\ncert=\"/x y\"\n key = /k \nuser = root";
	assert_int_equal(profile_parse(view_string(good), &profile, &diag), 0);
	assert_string_equal(profile.cert, "/x y");
	assert_string_equal(profile.key, "/k");
	assert_string_equal(profile.ca, "");
	assert_true(profile_gateway(&profile, &position, url));
	assert_string_equal(url, "https://a:1");
	assert_true(profile_gateway(&profile, &position, url));
	assert_string_equal(url, "https://b/");
	assert_false(profile_gateway(&profile, &position, url));
	static const char *const bad[] = {"", "gateway = https://a\ncert = /c\n", "gateway = http://a\ncert = /c\nkey = /k\n",
					  "gateway = https://a\ncert = pkcs11:x\nkey = /k\n", "gateway = https://a\ncert = /c\nkey = /k\nca = x"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(profile_parse(view_string(bad[i]), &profile, &diag), ERR_BAD_CONFIG);
	assert_int_equal(profile_read("/nowhere/profile", &profile, &diag), ERR_SYSTEM);
}

static void test_rows_of_the_kernel(void **state)
{
	(void)state;
	struct way_row row;
	static const char four[] = "   1: 0100007F:1F90 0200007F:0050 01 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 20\n";
	assert_true(way_read_row(four, &row));
	assert_true(row.is_established && !row.is_listening && row.inode == 4711 && row.local_port == 8080);
	assert_string_equal(row.way.target, "127.0.0.1:8080");
	assert_string_equal(row.way.source, "127.0.0.2:80");
	static const char six[] = "0: 0000000000000000FFFF00000100007F:0016 B80D0120000000000000000001000000:C000 0A 0:0 0:0 0 0 0 12 1";
	assert_true(way_read_row(six, &row));
	assert_true(row.is_listening && !row.is_established && row.inode == 12);
	assert_string_equal(row.way.target, "127.0.0.1:22");
	assert_string_equal(row.way.source, "[2001:db8::1]:49152");
	static const char *const bad[] = {"", "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode",
					  "0: 0100007:1F90 0200007F:0050 01 0:0 0:0 0 0 0 1", "0: 0100007F:1F90 0200007F:0050 01 0:0 0:0 0 0 0",
					  "0: 0100007F 0200007F 01 0:0 0:0 0 0 0 1"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(way_read_row(bad[i], &row));
}

/* A connection that this process itself has accepted, and that it holds as root: as sshd does. */
static void test_the_way_of_this_process(void **state)
{
	(void)state;
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	struct way way;
	struct diag diag;
	char source[WAY_TEXT_MAX];
	if (geteuid() != 0)
		skip();
	int listener = socket(AF_INET, SOCK_STREAM, 0), near = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
	assert_int_equal(connect(near, (struct sockaddr *)&address, size), 0);
	assert_int_equal(getsockname(near, (struct sockaddr *)&address, &size), 0);
	snprintf(source, sizeof(source), "127.0.0.1:%u", ntohs(address.sin_port));
	int accepted = accept(listener, NULL, NULL);
	assert_int_equal(way_find(&way, &diag), 0);
	assert_string_equal(way.source, source);
	/* A child finds it by its ancestors. Where nobody listens any more, it was not accepted here. */
	pid_t child = fork();
	if (child == 0) {
		close(listener), close(accepted), close(near);
		_exit(way_find(&way, &diag) == 0 && strcmp(way.source, source) == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
	}
	int status = 0;
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
	close(listener);
	assert_true(way_find(&way, &diag) < 0 || strcmp(way.source, source) != 0);
	close(near);
	close(accepted);
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

/* ---- a gateway that takes every code ---- */

static void answer_one(int client)
{
	char request[2048];
	size_t size = 0;
	const char *end;
	for (;;) {
		ssize_t got = read(client, request + size, sizeof(request) - 1 - size);
		if (got <= 0)
			return;
		size += (size_t)got;
		request[size] = 0;
		end = strstr(request, "\r\n\r\n");
		const char *length = strcasestr(request, "content-length: ");
		if (end && length && size == (size_t)(end + 4 - request) + (size_t)atol(length + 16))
			break;
	}
	bool checks = strncmp(request, "POST /v1/factor/check ", 22) == 0;
	dprintf(client, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", checks ? 13 : 18,
		checks ? "{\"good\":true}" : "{\"state\":\"active\"}");
}

static void *serve(void *listener)
{
	int client;
	while ((client = accept(*(int *)listener, NULL, NULL)) >= 0) {
		answer_one(client);
		close(client);
	}
	return NULL;
}

size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

static long allocated_bytes(void)
{
	return (long)(__sanitizer_get_current_allocated_bytes ? __sanitizer_get_current_allocated_bytes()
							     : mallinfo2().uordblks);
}

static void log_in(int times)
{
	for (int i = 0; i < times; i++) {
		unsigned asked = 0;
		assert_int_equal(authenticate("here", &asked), PAM_SUCCESS);
		assert_int_equal(asked, 1);
	}
}

/* What a host program does with the module, whole: PAM loads it, it asks the gateway twice, PAM lets it go. */
static void test_ten_thousand_logins_do_not_grow(void **state)
{
	(void)state;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char arguments[200];
	pthread_t thread;
	int listener = socket(AF_UNIX, SOCK_STREAM, 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/factor.sock", folder);
	snprintf(arguments, sizeof(arguments), "factor socket=%s", address.sun_path);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 8), 0);
	assert_int_equal(pthread_create(&thread, NULL, serve, &listener), 0);
	write_service("here", arguments);
	log_in(200);
	long before = allocated_bytes();
	log_in(10000);
	long grown = allocated_bytes() - before;
	shutdown(listener, SHUT_RDWR);
	pthread_join(thread, NULL);
	close(listener);
	assert_in_range(grown + 65536, 0, 2 * 65536);
}

/* A profile whose gateway is not there. */
static void write_away(void)
{
	char path[200], arguments[300];
	snprintf(path, sizeof(path), "%s/profile", folder);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file, "gateway = https://127.0.0.1:1\ncert = /nowhere/c\nkey = /nowhere/k\n");
	fclose(file);
	snprintf(arguments, sizeof(arguments), "presence profile=%s timeout=1s", path);
	write_service("away", arguments);
}

static void test_presence_without_a_gateway(void **state)
{
	(void)state;
	unsigned asked = 0;
	write_away();
	assert_int_equal(authenticate("away", &asked), PAM_AUTHINFO_UNAVAIL);
	write_service("away", "presence profile=/nowhere/profile fallback=ignore");
	assert_int_equal(authenticate("away", &asked), PAM_AUTHINFO_UNAVAIL);
	long before = 0;
	write_away();
	for (int i = 0; i < 400; i++) {
		assert_int_equal(authenticate("away", &asked), PAM_AUTHINFO_UNAVAIL);
		before = i == 100 ? resident_kib() : before;
	}
	assert_in_range(resident_kib() - before + 1024, 0, 3072);
}

static void *run_thread(void *service)
{
	unsigned asked = 0;
	for (int i = 0; i < 20; i++)
		if (authenticate(service, &asked) != PAM_AUTHINFO_UNAVAIL)
			return "another answer";
	return NULL;
}

struct signals {
	struct sigaction all[NSIG];
	sigset_t mask;
};

static void take_signals(struct signals *out_signals)
{
	for (int number = 1; number < NSIG; number++)
		sigaction(number, NULL, &out_signals->all[number]);
	pthread_sigmask(SIG_SETMASK, NULL, &out_signals->mask);
}

static void assert_same_mask(const sigset_t *before, const sigset_t *after)
{
	for (int number = 1; number < NSIG; number++)
		assert_int_equal(sigismember(before, number), sigismember(after, number));
}

static void assert_same_signals(const struct signals *before, const struct signals *after)
{
	assert_same_mask(&before->mask, &after->mask);
	for (int number = 1; number < NSIG; number++) {
		assert_ptr_equal(before->all[number].sa_handler, after->all[number].sa_handler);
		assert_int_equal(before->all[number].sa_flags, after->all[number].sa_flags);
		assert_same_mask(&before->all[number].sa_mask, &after->all[number].sa_mask);
	}
}

static void on_signal(int number)
{
	(void)number;
}

/* Handlers of the host's own, so that a reset to the default shows as well. */
static void set_signals(void)
{
	sigset_t mask;
	signal(SIGPIPE, on_signal);
	signal(SIGALRM, on_signal);
	signal(SIGCHLD, on_signal);
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &mask, NULL);
}

/* Eight at once, in a program that has its own handlers and output: they stay as they are. */
static void test_threads_signals_and_output_of_the_host(void **state)
{
	(void)state;
	pthread_t threads[8];
	static struct signals before, after;
	unsigned asked = 0;
	int ends[2], kept = dup(STDOUT_FILENO);
	fflush(stdout);
	assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
	dup2(ends[1], STDOUT_FILENO);
	set_signals();
	take_signals(&before);
	write_service("nobody", "factor socket=/nowhere/factor.sock timeout=1s");
	write_away();
	for (int i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, run_thread, i % 2 ? "away" : "nobody"), 0);
	const char *trouble = NULL;
	for (int i = 0; i < 8; i++) {
		void *result = NULL;
		pthread_join(threads[i], &result);
		trouble = result ? result : trouble;
	}
	/* The mask is a thread's own. */
	int code = authenticate("away", &asked);
	take_signals(&after);
	char byte;
	ssize_t written = read(ends[0], &byte, 1);
	dup2(kept, STDOUT_FILENO);
	close(kept), close(ends[0]), close(ends[1]);
	assert_null(trouble);
	assert_int_equal(code, PAM_AUTHINFO_UNAVAIL);
	assert_int_equal(written, -1);
	assert_same_signals(&before, &after);
}

int main(int count, char **arguments)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_a_gateway_nobody_is_let_in),
		cmocka_unit_test(test_unknown_arguments_are_refused),
		cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_arguments_of_presence),
		cmocka_unit_test(test_profiles),
		cmocka_unit_test(test_rows_of_the_kernel),
		cmocka_unit_test(test_the_way_of_this_process),
		cmocka_unit_test(test_nothing_but_the_functions_of_pam_is_shown),
		cmocka_unit_test(test_loading_ten_thousand_times_does_not_grow),
		cmocka_unit_test(test_ten_thousand_logins_do_not_grow),
		cmocka_unit_test(test_presence_without_a_gateway),
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
	static const char *const names[] = {"nobody", "wrong", "away", "profile", "here", "factor.sock"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		unlink(path);
	}
	rmdir(folder);
	return failed;
}

/* test_prompt.c: the conversation on a real (pseudo) terminal, from a descriptor, by a helper, with nobody.
 *
 * Each terminal test runs prompt_ask in a child that has the terminal as its controlling one; the test is the
 * person in front of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#include "prompt.h"
#include "signals.h"

struct person {
	int terminal; /* the master's side */
	int report;   /* what the child says about its answers */
	pid_t child;
	char seen[4096];
};

/* What the child asks: one question per row, then it reports "STATUS:ANSWER\n" for each. */
struct question {
	enum terminal_echo echo;
	const char *text;
};

static void be_asked(const struct question *questions, size_t count, int report)
{
	struct prompt prompt;
	struct diag diag = {0};
	if (signals_open(&diag) != STATUS_OK)
		_exit(99);
	prompt_open(&prompt, -1);
	for (size_t i = 0; i < count; i++) {
		struct buf answer = BUF_INIT(LINE_BYTES_MAX);
		int status = prompt_ask(&prompt, questions[i].echo, questions[i].text, &answer, &diag);
		dprintf(report, "%d:%.*s\n", status, (int)answer.size, answer.data ? (char *)answer.data : "");
		buf_wipe(&answer);
	}
	prompt_close(&prompt);
	if (signals_caught())
		signals_die(signals_caught());
	_exit(0);
}

static void sit_down(struct person *person, const struct question *questions, size_t count)
{
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	person->seen[0] = 0;
	person->child = forkpty(&person->terminal, NULL, NULL, NULL);
	if (person->child == 0) {
		close(ends[0]);
		be_asked(questions, count, ends[1]);
	}
	close(ends[1]);
	person->report = ends[0];
}

/* Reads the terminal until `words` have been shown. */
static void see(struct person *person, const char *words)
{
	size_t used = strlen(person->seen);
	while (!strstr(person->seen, words)) {
		struct pollfd wait = {.fd = person->terminal, .events = POLLIN};
		assert_int_equal(poll(&wait, 1, 5000), 1);
		ssize_t count = read(person->terminal, person->seen + used, sizeof(person->seen) - 1 - used);
		assert_true(count > 0);
		used += (size_t)count;
		person->seen[used] = 0;
	}
}

static void type(struct person *person, const char *keys)
{
	assert_int_equal(write(person->terminal, keys, strlen(keys)), strlen(keys));
}

static bool has_echo(const struct person *person)
{
	struct termios modes;
	assert_int_equal(tcgetattr(person->terminal, &modes), 0);
	return modes.c_lflag & ECHO;
}

static void wait_for_echo(const struct person *person, bool wanted)
{
	for (int i = 0; i < 500 && has_echo(person) != wanted; i++)
		usleep(10000);
	assert_int_equal(has_echo(person), wanted);
}

static void hear_report(struct person *person, const char *expected)
{
	char report[1024];
	size_t used = 0, wanted = strlen(expected);
	while (used < wanted) {
		ssize_t count = read(person->report, report + used, wanted - used);
		assert_true(count > 0);
		used += (size_t)count;
	}
	report[used] = 0;
	assert_string_equal(report, expected);
}

static int stand_up(struct person *person)
{
	int how = 0;
	assert_int_equal(waitpid(person->child, &how, 0), person->child);
	close(person->terminal);
	close(person->report);
	return how;
}

static void test_secret_is_not_echoed_and_echo_comes_back(void **state)
{
	(void)state;
	struct person person;
	static const struct question questions[] = {{TERMINAL_ECHO_OFF, "Pass\x1b[2J: "}, {TERMINAL_ECHO_ON, "Code: "}};
	sit_down(&person, questions, 2);
	see(&person, "Pass?[2J: ");
	assert_false(has_echo(&person));
	type(&person, "hunter2\n");
	see(&person, "Code: ");
	assert_null(strstr(person.seen, "hunter2"));
	wait_for_echo(&person, true);
	type(&person, "123456\n");
	hear_report(&person, "0:hunter2\n0:123456\n");
	see(&person, "123456");
	assert_int_equal(stand_up(&person), 0);
}

static void test_answers_pasted_at_once(void **state)
{
	(void)state;
	struct person person;
	static const struct question questions[] = {{TERMINAL_ECHO_OFF, "A: "}, {TERMINAL_ECHO_OFF, "B: "}, {TERMINAL_ECHO_ON, "C: "}};
	sit_down(&person, questions, 3);
	see(&person, "A: ");
	type(&person, "one\ntwo\n\n");
	hear_report(&person, "0:one\n0:two\n0:\n");
	assert_int_equal(stand_up(&person), 0);
}

static void test_ctrl_c_restores_the_terminal_and_ends_by_the_signal(void **state)
{
	(void)state;
	static const struct {
		const char *key; /* typed, or else */
		int signal;
	} rows[] = {{"\x03", SIGINT}, {NULL, SIGTERM}, {NULL, SIGHUP}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct person person;
		static const struct question questions[] = {{TERMINAL_ECHO_OFF, "Password: "}};
		sit_down(&person, questions, 1);
		see(&person, "Password: ");
		type(&person, "half");
		if (rows[i].key)
			type(&person, rows[i].key);
		else
			kill(person.child, rows[i].signal);
		hear_report(&person, "128:\n");
		wait_for_echo(&person, true);
		int how = stand_up(&person);
		assert_true(WIFSIGNALED(how));
		assert_int_equal(WTERMSIG(how), rows[i].signal);
	}
}

static void test_ctrl_d_gives_up(void **state)
{
	(void)state;
	struct person person;
	static const struct question questions[] = {{TERMINAL_ECHO_OFF, "Password: "}};
	sit_down(&person, questions, 1);
	see(&person, "Password: ");
	type(&person, "\x04");
	hear_report(&person, "4:\n");
	wait_for_echo(&person, true);
	assert_int_equal(stand_up(&person), 0);
}

static void test_ctrl_z_gives_the_terminal_back_meanwhile(void **state)
{
	(void)state;
	struct person person;
	int how = 0;
	static const struct question questions[] = {{TERMINAL_ECHO_OFF, "Password: "}};
	sit_down(&person, questions, 1);
	see(&person, "Password: ");
	kill(person.child, SIGTSTP);
	assert_int_equal(waitpid(person.child, &how, WUNTRACED), person.child);
	assert_true(WIFSTOPPED(how));
	assert_true(has_echo(&person));
	person.seen[0] = 0;
	kill(person.child, SIGCONT);
	see(&person, "Password: ");
	wait_for_echo(&person, false);
	type(&person, "secret\n");
	hear_report(&person, "0:secret\n");
	wait_for_echo(&person, true);
	assert_int_equal(stand_up(&person), 0);
}

/* Runs in a child without a terminal. Returns its exit status: that of the last question. */
static int ask_without_terminal(int answers_fd, size_t questions, const char *expected)
{
	pid_t child = fork();
	if (child == 0) {
		struct prompt prompt;
		struct diag diag = {0};
		struct buf answer = BUF_INIT(LINE_BYTES_MAX);
		int status = STATUS_OK;
		setsid();
		prompt_open(&prompt, answers_fd);
		for (size_t i = 0; i < questions && status == STATUS_OK; i++) {
			buf_reset(&answer);
			status = prompt_ask(&prompt, TERMINAL_ECHO_OFF, "Hello\nCode\x1b: ", &answer, &diag);
		}
		bool as_expected = expected ? view_is(buf_view(&answer), expected) : strstr(diag.text, "\"Code?: \"") != NULL;
		_exit(as_expected ? status : 99);
	}
	int how = 0;
	assert_int_equal(waitpid(child, &how, 0), child);
	return WEXITSTATUS(how);
}

static int pipe_with(const char *text)
{
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], text, strlen(text)), strlen(text));
	close(ends[1]);
	return ends[0];
}

static void test_answers_from_a_descriptor(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		size_t questions;
		int status;
		const char *last;
	} rows[] = {
		{"one\ntwo\n", 1, STATUS_OK, "one"}, {"one\ntwo\n", 2, STATUS_OK, "two"}, {"one\ntwo", 2, STATUS_OK, "two"},
		{"\n\n", 2, STATUS_OK, ""}, {"a b \t\r\n", 1, STATUS_OK, "a b \t\r"}, {"one\n", 2, STATUS_NOBODY, NULL},
		{"", 1, STATUS_NOBODY, NULL},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int fd = pipe_with(rows[i].text);
		assert_int_equal(ask_without_terminal(fd, rows[i].questions, rows[i].last), rows[i].status);
		close(fd);
	}
}

static void test_helper_or_nobody(void **state)
{
	(void)state;
	char script[] = "/tmp/test_prompt.XXXXXX";
	int fd = mkstemp(script);
	static const char text[] = "#!/bin/sh\ncase \"$1\" in *'Code?: ') echo \"from helper\";; *) exit 3;; esac\n[ -z \"$FAIL\" ]\n";
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, 0700), 0);
	close(fd);
	unsetenv("SALLYPORT_ASKPASS");
	unsetenv("SSH_ASKPASS");
	assert_int_equal(ask_without_terminal(-1, 1, NULL), STATUS_NOBODY);
	setenv("SSH_ASKPASS", script, 1);
	assert_int_equal(ask_without_terminal(-1, 1, "from helper"), STATUS_OK);
	setenv("SALLYPORT_ASKPASS", "/nonexistent/helper", 1);
	assert_int_equal(ask_without_terminal(-1, 1, NULL), STATUS_NOBODY);
	setenv("SALLYPORT_ASKPASS", script, 1);
	setenv("FAIL", "1", 1);
	assert_int_equal(ask_without_terminal(-1, 1, "from helper"), STATUS_LOGIN_NEEDED);
	unlink(script);
}

static void test_address_for_a_code(void **state)
{
	(void)state;
	static const struct {
		const char *text, *address;
	} rows[] = {
		{"Scan otpauth://totp/x?secret=ABC&issuer=y and type the code", "otpauth://totp/x?secret=ABC&issuer=y"},
		{"Go to https://id.example/device?user_code=ABCD.", "https://id.example/device?user_code=ABCD"},
		{"(https://id.example/a)\nCode: 1", "https://id.example/a"},
		{"http://id.example/", ""},
		{"https://", ""},
		{"", ""},
		{"https://id.example/ \u2588\u2588", ""},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_true(view_is(prompt_address(rows[i].text), rows[i].address));
}

/* On the terminal the code follows the text; a helper's window shows both texts with the question. */
static void test_shown_with_the_next_question(void **state)
{
	(void)state;
	char script[] = "/tmp/sallyport-askpass.XXXXXX";
	int fd = mkstemp(script);
	assert_true(fd >= 0 && dprintf(fd, "#!/bin/sh\nprintf '%%s' \"$1\" | tr '\\n' '|'\n") > 0 && fchmod(fd, 0700) == 0);
	close(fd);
	struct prompt prompt = {.answers_fd = -1, .terminal = {.fd = -1}, .askpass = script};
	struct buf answer = BUF_INIT(LINE_BYTES_MAX);
	struct diag diag = {0};
	prompt_show(&prompt, "db1 needs\x1b[2J it");
	assert_int_equal(prompt_ask(&prompt, TERMINAL_ECHO_OFF, "Password: ", &answer, &diag), STATUS_OK);
	assert_true(view_is(buf_view(&answer), "db1 needs?[2J it|Password: "));
	buf_reset(&answer);
	assert_int_equal(prompt_ask(&prompt, TERMINAL_ECHO_OFF, "Code: ", &answer, &diag), STATUS_OK);
	assert_true(view_is(buf_view(&answer), "Code: "));
	buf_fini(&answer);
	unlink(script);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_secret_is_not_echoed_and_echo_comes_back), cmocka_unit_test(test_answers_pasted_at_once),
		cmocka_unit_test(test_ctrl_c_restores_the_terminal_and_ends_by_the_signal),
		cmocka_unit_test(test_ctrl_d_gives_up), cmocka_unit_test(test_ctrl_z_gives_the_terminal_back_meanwhile),
		cmocka_unit_test(test_answers_from_a_descriptor), cmocka_unit_test(test_helper_or_nobody),
		cmocka_unit_test(test_address_for_a_code), cmocka_unit_test(test_shown_with_the_next_question),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

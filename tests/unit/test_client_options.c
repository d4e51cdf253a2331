/* test_client_options.c: the command line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "commands.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

/* A command line of at most 7 words after the program's name. */
struct line {
	char *words[9];
};

static int parse(const struct line *line, struct options *options, struct diag *diag)
{
	char *words[10] = {(char *)"sallyport"};
	int count = 1;
	for (; line->words[count - 1]; count++)
		words[count] = line->words[count - 1];
	return options_parse(count, words, options, diag);
}

static void test_good_lines(void **state)
{
	(void)state;
	static struct options options;
	struct diag diag = {0};
	assert_int_equal(parse(&(struct line){{"--gateway", "https://a", "login", "--cert=/c", "alice", "--answers-from=0"}},
			       &options, &diag), STATUS_OK);
	assert_string_equal(options.settings.value[SETTING_gateway], "https://a");
	assert_string_equal(options.settings.value[SETTING_cert], "/c");
	assert_string_equal(options.command->name, "login");
	assert_string_equal(options.argument, "alice");
	assert_int_equal(options.answers_fd, 0);
	options_fini(&options);

	assert_int_equal(parse(&(struct line){{"-L", "1:a:2", "-L3:b:4"}}, &options, &diag), STATUS_OK);
	assert_ptr_equal(options.command, &command_forward);
	assert_int_equal(options.forward_count, 2);
	assert_int_equal(options.forward[1].port, 3);
	options_fini(&options);

	assert_int_equal(parse(&(struct line){{"exec", "--", "curl", "-L", "x"}}, &options, &diag), STATUS_OK);
	assert_int_equal(options.rest_count, 3);
	assert_string_equal(options.rest[1], "-L");
	assert_int_equal(parse(&(struct line){{"exec", "--user=x", "env", "-p"}}, &options, &diag), STATUS_OK);
	assert_int_equal(options.rest_count, 2);
	options_fini(&options);

	assert_int_equal(parse(&(struct line){{"-p", "work", "forward", "add", "-D", "1080"}}, &options, &diag), STATUS_OK);
	assert_string_equal(options.settings.profile, "work");
	assert_int_equal(options.forward[0].kind, FORWARD_SOCKS);

	assert_int_equal(parse(&(struct line){{"-W", "[::1]:22", "--user", "x", "--user", "y"}}, &options, &diag), STATUS_OK);
	assert_ptr_equal(options.command, &command_stdio);
	assert_string_equal(options.settings.value[SETTING_user], "y");
	options_fini(&options);

	assert_int_equal(parse(&(struct line){{"status", "--json"}}, &options, &diag), STATUS_OK);
	assert_true(options.json);
	assert_int_equal(parse(&(struct line){{"--", "login", "-strange"}}, &options, &diag), STATUS_OK);
	assert_string_equal(options.argument, "-strange");
	assert_int_equal(parse(&(struct line){{"-hV"}}, &options, &diag), STATUS_OK);
	assert_true(options.help && options.version);
}

static void test_bad_lines(void **state)
{
	(void)state;
	static struct options options;
	static const struct {
		struct line line;
		const char *words;
	} rows[] = {
		{{{NULL}}, "what shall be done"}, {{{"logn"}}, "did you mean login?"}, {{{"status", "x"}}, "one word too many"},
		{{{"login", "a", "b"}}, "one word too many"}, {{{"--gatway", "x"}}, "did you mean --gateway?"},
		{{{"-x"}}, "unknown option -x"}, {{{"-L"}}, "-L needs a value"}, {{{"--cert"}}, "--cert needs a value"},
		{{{"-L", "1:a:2", "-W", "a:1"}}, "cannot be used together"}, {{{"-p", "a/b", "ls"}}, "profile's name"}, {{{"-L", "1:a:2", "ls"}}, "cannot be used together"},
		{{{"-W", "a:1", "-W", "a:1"}}, "twice"}, {{{"ls", "--answers-from", "0"}}, "belongs to login"},
		{{{"login", "--json"}}, "belongs to status, ls and forward"}, {{{"login", "--answers-from", "77"}}, "not an open descriptor"},
		{{{"login", "--answers-from", "x"}}, "not an open descriptor"}, {{{"--json=yes", "ls"}}, "takes no value"},
		{{{"-L", "["}}, "brackets"}, {{{"-L0:a:1"}}, "local port"}, {{{"-"}}, "unknown command"},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct diag diag = {0};
		assert_int_equal(parse(&rows[i].line, &options, &diag), STATUS_USAGE);
		if (!strstr(diag.text, rows[i].words))
			fail_msg("row %zu: %s", i, diag.text);
		options_fini(&options);
	}
}

static void test_help_names_everything(void **state)
{
	(void)state;
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	options_help(out);
	fclose(out);
	for (size_t i = 0; i < command_count; i++) {
		char line[64];
		snprintf(line, sizeof(line), "\n  %s ", commands[i].name);
		assert_true((strstr(text, line) != NULL) == !commands[i].is_internal);
	}
	for (size_t i = 0; i < SETTING_COUNT; i++) {
		assert_non_null(strstr(text, setting_rows[i].name));
		assert_non_null(strstr(text, setting_rows[i].environment));
	}
#define HELP_HAS(name, number, documentation) assert_non_null(strstr(text, documentation));
	STATUSES(HELP_HAS)
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_lines), cmocka_unit_test(test_bad_lines), cmocka_unit_test(test_help_names_everything),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

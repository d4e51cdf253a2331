/* arguments.c: the module's arguments: a row each. Pure. */
#include "arguments.h"

#include <stdbool.h>
#include <string.h>

#include "sallyport/str.h"

enum { LEAST_MS = 100, MOST_MS = 60000 };

static int set_socket(struct arguments *arguments, const char *value)
{
	return *value == '/' && str_copy(arguments->socket, sizeof(arguments->socket), value) ? 0 : ERR_BAD_CONFIG;
}

static int set_time_limit(struct arguments *arguments, const char *value)
{
	uint64_t limit = 0;
	if (str_to_duration_ms(view_string(value), &limit) < 0 || limit < LEAST_MS || limit > MOST_MS)
		return ERR_BAD_CONFIG;
	arguments->time_limit_ms = limit;
	return 0;
}

static const struct row {
	const char *name; /* with its equals sign */
	int (*set)(struct arguments *arguments, const char *value);
	const char *expected;
} rows[] = {
	{"socket=", set_socket, "an absolute path of at most 107 characters"},
	{"timeout=", set_time_limit, "a duration with its unit, from 100ms to 1m"},
};

static int read_one(const char *word, struct arguments *arguments, struct diag *diag)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t length = strlen(rows[i].name);
		if (strncmp(word, rows[i].name, length) != 0)
			continue;
		int result = rows[i].set(arguments, word + length);
		if (result < 0)
			return diag_set(diag, result, "the argument \"%s\" needs %s", word, rows[i].expected);
		return 0;
	}
	return diag_set(diag, ERR_BAD_CONFIG, "there is no argument \"%s\" (factor, socket=PATH, timeout=TIME)", word);
}

int arguments_read(int count, const char *const *words, struct arguments *out_arguments, struct diag *diag)
{
	struct arguments arguments = {.socket = "/run/sallyport/factor.sock", .time_limit_ms = 10000};
	if (count < 1 || strcmp(words[0], "factor") != 0)
		return diag_set(diag, ERR_BAD_CONFIG, "the first argument must be factor, not \"%s\"", count < 1 ? "" : words[0]);
	int result = 0;
	for (int i = 1; result == 0 && i < count; i++)
		result = read_one(words[i], &arguments, diag);
	if (result == 0)
		*out_arguments = arguments;
	return result;
}

/* arguments.c: the module's arguments: a row each. Pure. */
#include "arguments.h"

#include <string.h>

#include "sallyport/str.h"

enum { LEAST_MS = 100, MOST_MS = 60000, FRESH_LEAST_MS = 1000 };
#define FRESH_MOST_MS (366ULL * 86400000)

static int set_socket(struct arguments *arguments, const char *value)
{
	return *value == '/' && str_copy(arguments->socket, sizeof(arguments->socket), value) ? 0 : ERR_BAD_CONFIG;
}

static int set_profile(struct arguments *arguments, const char *value)
{
	return *value == '/' && str_copy(arguments->profile, sizeof(arguments->profile), value) ? 0 : ERR_BAD_CONFIG;
}

static int set_time_limit(struct arguments *arguments, const char *value)
{
	uint64_t limit = 0;
	if (str_to_duration_ms(view_string(value), &limit) < 0 || limit < LEAST_MS || limit > MOST_MS)
		return ERR_BAD_CONFIG;
	arguments->time_limit_ms = limit;
	return 0;
}

static int set_fresh(struct arguments *arguments, const char *value)
{
	uint64_t age = 0;
	if (str_to_duration_ms(view_string(value), &age) < 0 || age < FRESH_LEAST_MS || age > FRESH_MOST_MS)
		return ERR_BAD_CONFIG;
	arguments->fresh_ms = age;
	return 0;
}

static int set_via(struct arguments *arguments, const char *value)
{
	arguments->via_gateway = true;
	return strcmp(value, "gateway") == 0 ? 0 : ERR_BAD_CONFIG;
}

static int set_fallback(struct arguments *arguments, const char *value)
{
	arguments->ignores_silence = strcmp(value, "ignore") == 0;
	return arguments->ignores_silence || strcmp(value, "deny") == 0 ? 0 : ERR_BAD_CONFIG;
}

static const struct row {
	unsigned kinds;
	const char *name; /* with its equals sign */
	int (*set)(struct arguments *arguments, const char *value);
	const char *expected;
} rows[] = {
	{ARGUMENTS_FACTOR, "socket=", set_socket, "an absolute path of at most 107 characters"},
	{ARGUMENTS_FACTOR | ARGUMENTS_PRESENCE, "timeout=", set_time_limit, "a duration with its unit, from 100ms to 1m"},
	{ARGUMENTS_PRESENCE, "profile=", set_profile, "an absolute path of at most 255 characters"},
	{ARGUMENTS_PRESENCE, "fresh=", set_fresh, "a duration with its unit, from 1s to 366d"},
	{ARGUMENTS_PRESENCE, "via=", set_via, "the word gateway"},
	{ARGUMENTS_PRESENCE, "fallback=", set_fallback, "the word deny or ignore"},
};

static const char *known_of(enum arguments_kind kind)
{
	return kind == ARGUMENTS_FACTOR ? "factor, socket=PATH, timeout=TIME"
					: "presence, profile=PATH, fresh=TIME, via=gateway, fallback=deny|ignore, timeout=TIME";
}

static int read_one(const char *word, struct arguments *arguments, struct diag *diag)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t length = strlen(rows[i].name);
		if (!(rows[i].kinds & arguments->kind) || strncmp(word, rows[i].name, length) != 0)
			continue;
		int result = rows[i].set(arguments, word + length);
		if (result < 0)
			return diag_set(diag, result, "the argument \"%s\" needs %s", word, rows[i].expected);
		return 0;
	}
	return diag_set(diag, ERR_BAD_CONFIG, "there is no argument \"%s\" (%s)", word, known_of(arguments->kind));
}

static int read_kind(const char *word, struct arguments *arguments, struct diag *diag)
{
	bool is_factor = strcmp(word, "factor") == 0;
	if (!is_factor && strcmp(word, "presence") != 0)
		return diag_set(diag, ERR_BAD_CONFIG, "the first argument must be factor or presence, not \"%s\"", word);
	arguments->kind = is_factor ? ARGUMENTS_FACTOR : ARGUMENTS_PRESENCE;
	return 0;
}

int arguments_read(int count, const char *const *words, struct arguments *out_arguments, struct diag *diag)
{
	struct arguments arguments = {.socket = "/run/sallyport/factor.sock",
				      .profile = "/etc/sallyport/profile",
				      .time_limit_ms = 10000};
	int result = read_kind(count < 1 ? "" : words[0], &arguments, diag);
	for (int i = 1; result == 0 && i < count; i++)
		result = read_one(words[i], &arguments, diag);
	if (result == 0)
		*out_arguments = arguments;
	return result;
}

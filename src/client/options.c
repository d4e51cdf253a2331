/* options.c: the command line. What an option's value means is its parser's matter. */
#include "options.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "sallyport/str.h"

/* Takes the value ("" for a flag) into the options. */
typedef int (*option_taker)(struct options *options, const char *value, struct diag *diag);

struct option_row {
	char letter;       /* 0: only the long form */
	const char *name;  /* NULL: only the letter */
	const char *value; /* NULL: a flag */
	option_taker take;
	const char *documentation;
};

static int take_kind(struct options *options, enum forward_kind kind, const char *value, struct diag *diag)
{
	if (options->forward_count == FORWARDS_MAX)
		return diag_set(diag, STATUS_USAGE, _("-L and -D stand there more than %d times"), FORWARDS_MAX);
	int status = forward_parse_kind(kind, value, &options->forward[options->forward_count], diag);
	options->forward_count += status == STATUS_OK;
	return status;
}

static int take_forward(struct options *options, const char *value, struct diag *diag)
{
	return take_kind(options, FORWARD_FIXED, value, diag);
}

static int take_dynamic(struct options *options, const char *value, struct diag *diag)
{
	return take_kind(options, FORWARD_SOCKS, value, diag);
}

static int take_profile(struct options *options, const char *value, struct diag *diag)
{
	return settings_name_profile(&options->settings, value, diag);
}

static int take_install(struct options *options, const char *value, struct diag *diag)
{
	(void)value, (void)diag;
	options->install = true;
	return STATUS_OK;
}

static int take_stdio(struct options *options, const char *value, struct diag *diag)
{
	if (options->has_stdio)
		return diag_set(diag, STATUS_USAGE, _("-W stands there twice"));
	options->has_stdio = true;
	return destination_parse(value, &options->stdio, diag);
}

static int take_answers_from(struct options *options, const char *value, struct diag *diag)
{
	uint64_t number = 0;
	if (str_to_u64(view_string(value), 0, 1 << 20, &number) < 0 || fcntl((int)number, F_GETFD) < 0)
		return diag_set(diag, STATUS_USAGE, _("--answers-from %s: that is not an open descriptor"), value);
	options->answers_fd = (int)number;
	return STATUS_OK;
}

static int take_realm(struct options *options, const char *value, struct diag *diag)
{
	if (!*value)
		return diag_set(diag, STATUS_USAGE, _("--realm needs a name"));
	options->realm = value;
	return STATUS_OK;
}

static int take_purpose(struct options *options, const char *value, struct diag *diag)
{
	(void)diag;
	options->purpose = value;
	return STATUS_OK;
}

static int take_fresh(struct options *options, const char *value, struct diag *diag)
{
	(void)value, (void)diag;
	options->fresh = true;
	return STATUS_OK;
}

static int take_json(struct options *options, const char *value, struct diag *diag)
{
	(void)value, (void)diag;
	options->json = true;
	return STATUS_OK;
}

static int take_if_due(struct options *options, const char *value, struct diag *diag)
{
	(void)value, (void)diag;
	options->if_due = true;
	return STATUS_OK;
}

static int take_verbose(struct options *options, const char *value, struct diag *diag)
{
	(void)value, (void)diag;
	options->verbose = true;
	return STATUS_OK;
}

static int take_help(struct options *options, const char *value, struct diag *diag)
{
	(void)value, (void)diag;
	options->help = true;
	return STATUS_OK;
}

static int take_version(struct options *options, const char *value, struct diag *diag)
{
	(void)value, (void)diag;
	options->version = true;
	return STATUS_OK;
}

#define SETTING_TAKER(name, ...)                                                                        \
	static int take_##name(struct options *options, const char *value, struct diag *diag)           \
	{                                                                                               \
		free(options->settings.value[SETTING_##name]);                                          \
		options->settings.value[SETTING_##name] = NULL;                                         \
		return settings_offer(&options->settings, SETTING_##name, value, diag);                 \
	}
SETTINGS(SETTING_TAKER)

#define SETTING_OPTION(name, environment, value, documentation) {0, #name, value, take_##name, documentation},

static const struct option_row rows[] = {
	{'L', NULL, "[BIND:]PORT:HOST:PORT", take_forward, N_("carry connections to a local port to HOST:PORT (repeatable)")},
	{'D', NULL, "[BIND:]PORT", take_dynamic, N_("be a SOCKS5 proxy there; the gateway resolves the names (repeatable)")},
	{'W', NULL, "HOST:PORT", take_stdio, N_("carry standard input and output (ssh's ProxyCommand)")},
	{'p', "profile", "NAME", take_profile, N_("settings from ~/.config/sallyport/profiles/NAME, before the environment's")},
	SETTINGS(SETTING_OPTION)
	{0, "install", NULL, take_install, N_("ssh-config: write it for ssh instead of printing it")},
	{0, "answers-from", "FD", take_answers_from, N_("login, export-p12: take the answers from that descriptor, one a line")},
	{0, "realm", "NAME", take_realm, N_("login: by that realm of the gateway's user door, instead of the one that it chooses")},
	{0, "fresh", NULL, take_fresh, N_("login: prove yourself anew; the session and its tunnels go on")},
	{0, "purpose", "TEXT", take_purpose, N_("login: shown with the questions (what needs it)")},
	{0, "json", NULL, take_json, N_("status, ls, forward list: print JSON")},
	{0, "if-due", NULL, take_if_due, N_("renew: only after two thirds of the certificate's life")},
	{'v', "verbose", NULL, take_verbose, N_("tell each step on standard error: addresses, handshake, certificates, what is waited for")},
	{'h', "help", NULL, take_help, N_("print this")},
	{'V', "version", NULL, take_version, N_("print the version")},
};
enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

/* The words that remain to be read. */
struct words {
	char **word;
	int count, at;
};

static int unknown_option(const char *word, struct diag *diag)
{
	const char *names[ROWS + 1];
	size_t count = 0;
	for (size_t i = 0; i < ROWS; i++)
		if (rows[i].name)
			names[count++] = rows[i].name;
	names[count] = NULL;
	char name[64];
	str_copy(name, sizeof(name), word[1] == '-' ? word + 2 : word);
	name[strcspn(name, "=")] = 0;
	const char *nearest = word[1] == '-' ? str_nearest(name, names) : NULL;
	if (nearest)
		return diag_set(diag, STATUS_USAGE, _("unknown option %s (did you mean --%s?); see sallyport --help"), word, nearest);
	return diag_set(diag, STATUS_USAGE, _("unknown option %s; see sallyport --help"), word);
}

/* `attached`: the value that stood in the same word, or NULL. */
static int take_option(struct options *options, const struct option_row *row, const char *word, const char *attached,
		       struct words *words, struct diag *diag)
{
	if (!row->value && attached)
		return diag_set(diag, STATUS_USAGE, _("--%s takes no value"), row->name);
	if (!row->value)
		return row->take(options, "", diag);
	if (!attached && words->at == words->count)
		return diag_set(diag, STATUS_USAGE, _("%s needs a value: %s"), word, row->value);
	return row->take(options, attached ? attached : words->word[words->at++], diag);
}

static int take_long(struct options *options, const char *word, struct words *words, struct diag *diag)
{
	const char *equals = strchr(word, '=');
	struct view name = view_of(word + 2, equals ? (size_t)(equals - word - 2) : strlen(word + 2));
	for (size_t i = 0; i < ROWS; i++)
		if (rows[i].name && view_is(name, rows[i].name))
			return take_option(options, &rows[i], word, equals ? equals + 1 : NULL, words, diag);
	return unknown_option(word, diag);
}

static int take_letters(struct options *options, const char *word, struct words *words, struct diag *diag)
{
	for (const char *letter = word + 1; *letter; letter++) {
		const struct option_row *row = rows;
		while (row < rows + ROWS && row->letter != *letter)
			row++;
		if (row == rows + ROWS)
			return unknown_option(word, diag);
		char name[] = {'-', *letter, 0};
		int status = take_option(options, row, name, row->value && letter[1] ? letter + 1 : NULL, words, diag);
		if (status != STATUS_OK || row->value)
			return status;
	}
	return STATUS_OK;
}

static int take_word(struct options *options, const char *word, struct diag *diag)
{
	if (options->command && options->command->argument && !options->argument) {
		options->argument = word;
		return STATUS_OK;
	}
	if (options->command && options->command->second && !options->second) {
		options->second = word;
		return STATUS_OK;
	}
	if (options->command)
		return diag_set(diag, STATUS_USAGE, _("\"%s\" is one word too many for sallyport %s"), word, options->command->name);
	const char *names[64] = {0};
	for (size_t i = 0; i < command_count; i++) {
		names[i] = commands[i].name;
		if (strcmp(word, commands[i].name) == 0) {
			options->command = &commands[i];
			return STATUS_OK;
		}
	}
	const char *nearest = str_nearest(word, names);
	if (nearest)
		return diag_set(diag, STATUS_USAGE, _("unknown command \"%s\" (did you mean %s?); see sallyport --help"), word, nearest);
	return diag_set(diag, STATUS_USAGE, _("unknown command \"%s\"; see sallyport --help"), word);
}

static int check_stdio_and_forward(struct options *options, struct diag *diag)
{
	if (options->has_stdio && options->forward_count)
		return diag_set(diag, STATUS_USAGE, _("-W cannot be used together with -L or -D"));
	if (options->command && (options->has_stdio || (options->forward_count && !options->command->takes_forwards)))
		return diag_set(diag, STATUS_USAGE, _("%s and \"%s\" cannot be used together"),
				options->has_stdio ? "-W" : _("-L or -D"), options->command->name);
	if (options->has_stdio)
		options->command = &command_stdio;
	else if (options->forward_count && !options->command)
		options->command = &command_forward;
	return STATUS_OK;
}

static int check(struct options *options, struct diag *diag)
{
	if (options->help || options->version)
		return STATUS_OK;
	int status = check_stdio_and_forward(options, diag);
	if (status != STATUS_OK)
		return status;
	if (!options->command)
		return diag_set(diag, STATUS_USAGE, _("what shall be done? See sallyport --help"));
	if (options->json && !options->command->takes_json)
		return diag_set(diag, STATUS_USAGE, _("--json belongs to status, ls and forward"));
	if (options->install && !options->command->takes_install)
		return diag_set(diag, STATUS_USAGE, _("--install belongs to ssh-config"));
	if (options->answers_fd >= 0 && !options->command->takes_answers)
		return diag_set(diag, STATUS_USAGE, _("--answers-from belongs to login and export-p12"));
	if (options->realm && options->command->run != cmd_login)
		return diag_set(diag, STATUS_USAGE, _("--realm belongs to login"));
	if ((options->fresh || options->purpose) && options->command->run != cmd_login)
		return diag_set(diag, STATUS_USAGE, _("--fresh and --purpose belong to login"));
	if (options->if_due && options->command->run != cmd_renew)
		return diag_set(diag, STATUS_USAGE, _("--if-due belongs to renew"));
	if ((options->command->run == cmd_enroll || options->command->run == cmd_lost) && !options->argument)
		return diag_set(diag, STATUS_USAGE, _("usage: sallyport %s %s"), options->command->name, options->command->argument);
	return STATUS_OK;
}

/* The command to run begins with the word that was just read; none of its words is ours. */
static void take_rest(struct options *options, struct words *words)
{
	options->rest = words->word + words->at - 1;
	options->rest_count = (size_t)(words->count - words->at + 1);
	words->at = words->count;
}

int options_parse(int count, char **words_, struct options *out_options, struct diag *diag)
{
	struct words words = {.word = words_, .count = count, .at = 1};
	bool only_words = false;
	int status = STATUS_OK;
	*out_options = (struct options){.answers_fd = -1};
	while (status == STATUS_OK && words.at < words.count) {
		const char *word = words.word[words.at++];
		bool is_word = only_words || word[0] != '-' || !word[1];
		if (is_word && out_options->command && out_options->command->takes_rest)
			take_rest(out_options, &words);
		else if (is_word)
			status = take_word(out_options, word, diag);
		else if (strcmp(word, "--") == 0)
			only_words = true;
		else if (word[1] == '-')
			status = take_long(out_options, word, &words, diag);
		else
			status = take_letters(out_options, word, &words, diag);
	}
	return status == STATUS_OK ? check(out_options, diag) : status;
}

void options_fini(struct options *options)
{
	settings_fini(&options->settings);
}

/* ---- help ---- */

static void print_option(FILE *out, const struct option_row *row)
{
	char left[64];
	bool both = row->letter && row->name;
	char letter[3] = {row->letter ? '-' : 0, row->letter, 0};
	snprintf(left, sizeof(left), "%s%s%s%s%s%s", letter, both ? ", " : "", row->name ? "--" : "",
		 row->name ? row->name : "", row->value ? " " : "", row->value ? row->value : "");
	fprintf(out, "  %-26s %s\n", left, _(row->documentation));
}

void options_help(FILE *out)
{
	fputs(_("Usage: sallyport [OPTION...] COMMAND\n"
		"       sallyport [OPTION...] -L [BIND:]PORT:HOST:PORT... -D [BIND:]PORT...\n"
		"       sallyport [OPTION...] -W HOST:PORT\n"
		"\nReach what is behind a Sallyport gateway.\n\nCommands:\n"), out);
	for (size_t i = 0; i < command_count; i++) {
		const struct command *command = &commands[i];
		if (command->is_internal)
			continue;
		int used = fprintf(out, "  %s%s%s%s%s", command->name, command->argument ? " " : "",
				   command->argument ? command->argument : "", command->second ? " " : "",
				   command->second ? command->second : command->takes_rest ? " -- CMD [ARG...]" : "");
		fprintf(out, "%*s%s\n", used < 28 ? 29 - used : 2, "", _(command->documentation));
	}
	fputs(_("\nOptions:\n"), out);
	for (size_t i = 0; i < ROWS; i++)
		print_option(out, &rows[i]);
	fputs(_("\nWhat no option says is looked up in the environment, then in ~/.config/sallyport/profile\n"
		"(lines of KEY = VALUE):\n"), out);
	for (size_t i = 0; i < SETTING_COUNT; i++)
		fprintf(out, "  %-16s %s\n", setting_rows[i].environment, setting_rows[i].name);
	fputs(_("  SALLYPORT_ASKPASS, SSH_ASKPASS   program that asks the questions when there is no terminal\n"
		"\nIPv6 addresses stand in brackets. Exit status:\n"), out);
#define STATUS_HELP(name, number, documentation) fprintf(out, "  %d  %s\n", number, _(documentation));
	STATUSES(STATUS_HELP)
	fputs(_("A program that a signal ended ends by that signal.\n"), out);
}

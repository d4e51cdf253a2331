/* main.c: sallyport-admin: the table of subcommands; help, usage errors and dispatch come from it.
 *
 * Each subcommand stands in cmd_*.c. `init` works on files; everything else asks the gateway (call.c).
 */
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin.h"
#include "sallyport/str.h"

static const struct subcommand {
	const char *group, *verb; /* verb "" when the group is all there is */
	const char *arguments, *help;
	int least, most; /* words behind it */
	int (*run)(const struct admin_options *options);
} subcommands[] = {
	{"init", "", "--name HOST [--dir DIR] [--listen ADDRESS:PORT]", "make authority, server certificate, configuration; never overwrites", 0, 0, cmd_init},
	{"device", "add", "NAME --user USER [--tag TAG] --csr FILE|-", "register a laptop and print its certificate", 1, 1, cmd_device_add},
	{"device", "list", "", "all devices", 0, 0, cmd_device_list},
	{"device", "show", "NAME", "one device, whole", 1, 1, cmd_device_show},
	{"device", "lock", "NAME", "shut it out now, until it is unlocked", 1, 1, cmd_device_lock},
	{"device", "unlock", "NAME", "let it in again", 1, 1, cmd_device_unlock},
	{"device", "revoke", "NAME", "shut it out now, for ever", 1, 1, cmd_device_revoke},
	{"session", "list", "", "who is logged in", 0, 0, cmd_session_list},
	{"session", "show", "ID", "one session, with its tunnels", 1, 1, cmd_session_show},
	{"session", "end", "ID", "end it and close its tunnels", 1, 1, cmd_session_end},
	{"tunnel", "list", "[--all]", "live tunnels; --all: ended ones too", 0, 0, cmd_tunnel_list},
	{"audit", "", "[--follow] [--after N]", "what happened", 0, 0, cmd_audit},
	{"policy", "check", "[--tests EXPECTATIONS] [FILE...]", "every error of a policy; without FILE the one in force", 0, 1000, cmd_policy_check},
	{"policy", "explain", "--user USER --device NAME --to HOST:PORT [--at 2026-11-24T10:00] [--from ADDRESS]",
	 "the verdict, each rule considered, and what would be needed", 0, 0, cmd_policy_explain},
	{"policy", "apply", "", "read configuration and policy again; say which live tunnels that closed", 0, 0, cmd_policy_apply},
	{"policy", "test", "EXPECTATIONS [FILE...]", "are the expectations met? Without FILE by the policy in force", 1, 1000, cmd_policy_test},
	{"policy", "diff", "FILE...", "who would gain or lose what", 1, 1000, cmd_policy_diff},
	{"policy", "shadow", "FILE...|report|end", "try a policy beside the one in force; it changes nothing", 1, 1000, cmd_policy_shadow},
	{"status", "", "", "the gateway on one screen", 0, 0, cmd_status},
};
#define SUBCOMMAND_COUNT (sizeof(subcommands) / sizeof(subcommands[0]))

int admin_say(int status, const char *format, ...)
{
	char sentence[1024];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(sentence, sizeof(sentence), format, arguments);
	va_end(arguments);
	str_make_printable(sentence);
	fprintf(stderr, "sallyport-admin: %s\n", sentence);
	return status;
}

static void print_help(void)
{
	fputs("Usage: sallyport-admin [--socket PATH] [--json] COMMAND ...\n\n", stdout);
	for (size_t i = 0; i < SUBCOMMAND_COUNT; i++) {
		const struct subcommand *row = &subcommands[i];
		printf("  %s%s%s%s%s\n      %s\n", row->group, *row->verb ? " " : "", row->verb, *row->arguments ? " " : "",
		       row->arguments, row->help);
	}
	fputs("\n  --socket PATH   the admin socket (else SALLYPORT_ADMIN_SOCKET, else /run/sallyport/admin.sock)\n"
	      "  --json          JSON for programs instead of tables for people\n"
	      "  --help, --version\n\n"
	      "Exit status: 0 done, 1 refused or failed, 2 wrong usage, 3 the gateway cannot be reached.\n",
	      stdout);
}

static int add_value(const char **values, unsigned *count, const char *value)
{
	if (*count == ADMIN_VALUES_MAX)
		return admin_say(ADMIN_USAGE, "more than %d values of one option", ADMIN_VALUES_MAX);
	values[(*count)++] = value;
	return 0;
}

enum { OPTION_SOCKET = 256, OPTION_JSON, OPTION_ALL, OPTION_FOLLOW, OPTION_NAME, OPTION_DIR, OPTION_LISTEN, OPTION_CSR,
       OPTION_USER, OPTION_DEVICE, OPTION_TO, OPTION_AFTER, OPTION_AT, OPTION_FROM, OPTION_TESTS, OPTION_TAG, OPTION_HELP, OPTION_VERSION };

static const struct option option_names[] = {
	{"socket", required_argument, NULL, OPTION_SOCKET}, {"json", no_argument, NULL, OPTION_JSON},
	{"all", no_argument, NULL, OPTION_ALL},             {"follow", no_argument, NULL, OPTION_FOLLOW},
	{"name", required_argument, NULL, OPTION_NAME},     {"dir", required_argument, NULL, OPTION_DIR},
	{"listen", required_argument, NULL, OPTION_LISTEN}, {"csr", required_argument, NULL, OPTION_CSR},
	{"user", required_argument, NULL, OPTION_USER},     {"device", required_argument, NULL, OPTION_DEVICE},
	{"to", required_argument, NULL, OPTION_TO},         {"after", required_argument, NULL, OPTION_AFTER},
	{"at", required_argument, NULL, OPTION_AT},         {"from", required_argument, NULL, OPTION_FROM},
	{"tests", required_argument, NULL, OPTION_TESTS},
	{"tag", required_argument, NULL, OPTION_TAG},       {"help", no_argument, NULL, OPTION_HELP},
	{"version", no_argument, NULL, OPTION_VERSION},     {NULL, 0, NULL, 0},
};

/* Returns -1 to go on, else the exit status. */
static int take_option(int option, struct admin_options *options)
{
	const char **const texts[] = {
		[OPTION_SOCKET - 256] = &options->socket, [OPTION_NAME - 256] = &options->name,
		[OPTION_DIR - 256] = &options->directory, [OPTION_LISTEN - 256] = &options->listen,
		[OPTION_CSR - 256] = &options->csr,       [OPTION_DEVICE - 256] = &options->device,
		[OPTION_TO - 256] = &options->to,         [OPTION_AFTER - 256] = &options->after,
		[OPTION_AT - 256] = &options->at,         [OPTION_FROM - 256] = &options->from,
		[OPTION_TESTS - 256] = &options->tests,
		[OPTION_VERSION - 256] = NULL,
	};
	if (option >= 256 && texts[option - 256]) {
		*texts[option - 256] = optarg;
		return -1;
	}
	switch (option) {
	case OPTION_JSON:
		options->json = true;
		return -1;
	case OPTION_ALL:
		options->all = true;
		return -1;
	case OPTION_FOLLOW:
		options->follow = true;
		return -1;
	case OPTION_USER:
		options->user = optarg;
		return add_value(options->users, &options->user_count, optarg) ? ADMIN_USAGE : -1;
	case OPTION_TAG:
		return add_value(options->tags, &options->tag_count, optarg) ? ADMIN_USAGE : -1;
	case OPTION_HELP:
		print_help();
		return ADMIN_DONE;
	case OPTION_VERSION:
		printf("sallyport-admin %s\n", SALLYPORT_VERSION);
		return ADMIN_DONE;
	default:
		return admin_say(ADMIN_USAGE, "see sallyport-admin --help");
	}
}

static const struct subcommand *find(char **words, int count)
{
	for (size_t i = 0; i < SUBCOMMAND_COUNT; i++) {
		const struct subcommand *row = &subcommands[i];
		if (count > 0 && strcmp(row->group, words[0]) == 0 &&
		    (!*row->verb || (count > 1 && strcmp(row->verb, words[1]) == 0)))
			return row;
	}
	return NULL;
}

static int run(char **words, int count, struct admin_options *options)
{
	const struct subcommand *row = find(words, count);
	if (count == 0)
		return admin_say(ADMIN_USAGE, "which command? See sallyport-admin --help");
	if (!row)
		return admin_say(ADMIN_USAGE, "there is no command \"%s%s%s\"; see sallyport-admin --help", words[0],
				 count > 1 ? " " : "", count > 1 ? words[1] : "");
	int own = *row->verb ? 2 : 1;
	options->words = words + own;
	options->word_count = count - own;
	if (options->word_count < row->least || options->word_count > row->most)
		return admin_say(ADMIN_USAGE, "usage: sallyport-admin %s%s%s %s", row->group, *row->verb ? " " : "", row->verb,
				 row->arguments);
	return row->run(options);
}

int main(int count, char **arguments)
{
	struct admin_options options = {.socket = getenv("SALLYPORT_ADMIN_SOCKET")};
	int option;
	while ((option = getopt_long(count, arguments, "", option_names, NULL)) >= 0) {
		int status = take_option(option, &options);
		if (status >= 0)
			return status;
	}
	if (!options.socket || !*options.socket)
		options.socket = "/run/sallyport/admin.sock";
	int status = run(arguments + optind, count - optind, &options);
	if (fflush(stdout) != 0 && status == ADMIN_DONE)
		return admin_say(ADMIN_FAILED, "cannot write the output");
	return status;
}

/* options.h: the command line: options, the subcommand, and what is wrong with them.
 *
 * Two tables say all: the options here (settings.h gives their first rows), the subcommands in commands.h.
 * Help, parser and checks come from them. To add an option, add a row to OPTIONS.
 */
#ifndef CLIENT_OPTIONS_H
#define CLIENT_OPTIONS_H

#include <stdio.h>

#include "destination.h"
#include "settings.h"

struct command;

enum { FORWARDS_MAX = 256 };

struct options {
	struct settings settings;
	const struct command *command;
	const char *argument; /* of the subcommand, or NULL */
	const char *second;   /* what follows it, or NULL */
	char **rest;          /* of a command to run, NULL-terminated */
	size_t rest_count;
	bool help, version, verbose, json, install, if_due, fresh;
	int answers_fd; /* -1: not given */
	const char *realm;   /* borrowed; NULL: not given */
	const char *purpose; /* likewise */
	struct forward forward[FORWARDS_MAX];
	size_t forward_count;
	struct destination stdio;
	bool has_stdio;
};

/* Takes the command line apart and checks that its parts fit together; environment and profile are not looked
 * at (settings_complete). Release with options_fini, after an error too. STATUS_USAGE with a sentence. */
[[nodiscard]] int options_parse(int count, char **words, struct options *out_options, struct diag *diag);
void options_fini(struct options *options);
void options_help(FILE *out);

#endif

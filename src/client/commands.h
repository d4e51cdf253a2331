/* commands.h: what the program can be asked to do. To add a subcommand, add a row in commands.c. */
#ifndef CLIENT_COMMANDS_H
#define CLIENT_COMMANDS_H

#include "options.h"

struct command {
	const char *name;     /* NULL: called by its option alone (-L, -W) */
	const char *argument; /* "[USER]", or NULL: takes none */
	bool takes_json, takes_answers;
	bool is_internal; /* not shown by --help */
	int (*run)(const struct options *options, struct diag *diag); /* the status to end with */
	const char *documentation;
};

extern const struct command commands[];
extern const size_t command_count;
extern const struct command command_forward; /* -L */
extern const struct command command_stdio;   /* -W */

int cmd_login(const struct options *options, struct diag *diag);
int cmd_status(const struct options *options, struct diag *diag);
int cmd_logout(const struct options *options, struct diag *diag);
int cmd_ls(const struct options *options, struct diag *diag);
int cmd_up(const struct options *options, struct diag *diag);
int cmd_down(const struct options *options, struct diag *diag);
int cmd_agent(const struct options *options, struct diag *diag);
int cmd_forward(const struct options *options, struct diag *diag);
int cmd_stdio(const struct options *options, struct diag *diag);

#endif

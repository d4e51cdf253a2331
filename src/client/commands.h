/* commands.h: what the program can be asked to do. To add a subcommand, add a row in commands.c. */
#ifndef CLIENT_COMMANDS_H
#define CLIENT_COMMANDS_H

#include "options.h"

struct command {
	const char *name;     /* NULL: called by its option alone (-L, -W) */
	const char *argument; /* "[USER]", or NULL: takes none */
	const char *second;   /* a second one */
	bool takes_rest;      /* the rest of the line is a command to run */
	bool takes_forwards;  /* -L and -D are its arguments */
	bool takes_install;
	bool is_complete;     /* needs neither environment nor profile */
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
int cmd_devices(const struct options *options, struct diag *diag);
int cmd_lost(const struct options *options, struct diag *diag);
int cmd_enroll(const struct options *options, struct diag *diag);
int cmd_renew(const struct options *options, struct diag *diag);
int cmd_export(const struct options *options, struct diag *diag);

/* Where http-proxy listens, and pac leads, when nothing is said. */
#define HTTP_PROXY_PORT "8118"

int cmd_up(const struct options *options, struct diag *diag);
int cmd_down(const struct options *options, struct diag *diag);
int cmd_agent(const struct options *options, struct diag *diag);
int cmd_kept(const struct options *options, struct diag *diag);
int cmd_http_proxy(const struct options *options, struct diag *diag);
int cmd_pac(const struct options *options, struct diag *diag);
int cmd_exec(const struct options *options, struct diag *diag);
int cmd_why(const struct options *options, struct diag *diag);
int cmd_ssh_config(const struct options *options, struct diag *diag);
int cmd_doctor(const struct options *options, struct diag *diag);
int cmd_complete(const struct options *options, struct diag *diag);
int cmd_version(const struct options *options, struct diag *diag);
int cmd_forward(const struct options *options, struct diag *diag);
int cmd_stdio(const struct options *options, struct diag *diag);

#endif

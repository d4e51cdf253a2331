/* commands.c: the table of subcommands. */
#include "commands.h"

const struct command commands[] = {
	{.name = "enroll", .argument = "LINE|-", .needs_no_gateway = true, .run = cmd_enroll,
	 .documentation = "make this device known, with the invitation that your administrator gave you"},
	{.name = "login", .argument = "[USER]", .takes_answers = true, .run = cmd_login,
	 .documentation = "answer the gateway's questions; begins your session"},
	{.name = "status", .takes_json = true, .run = cmd_status, .documentation = "show your session"},
	{.name = "logout", .run = cmd_logout, .documentation = "end your session and every tunnel in it"},
	{.name = "ls", .takes_json = true, .run = cmd_ls,
	 .documentation = "list what you may reach, and what is missing for the rest"},
	{.name = "renew", .run = cmd_renew, .documentation = "renew this device's certificate, with a new key (--if-due: when it is time)"},
	{.name = "export-p12", .argument = "FILE", .takes_answers = true, .run = cmd_export,
	 .documentation = "write certificate and key for a browser, under a passphrase"},
};
const size_t command_count = sizeof(commands) / sizeof(commands[0]);

const struct command command_forward = {.run = cmd_forward};
const struct command command_stdio = {.run = cmd_stdio};

/* commands.c: the table of subcommands. */
#include "commands.h"

const struct command commands[] = {
	{.name = "login", .argument = "[USER]", .takes_answers = true, .run = cmd_login,
	 .documentation = "answer the gateway's questions; begins your session"},
	{.name = "status", .takes_json = true, .run = cmd_status, .documentation = "show your session"},
	{.name = "logout", .run = cmd_logout, .documentation = "end your session and every tunnel in it"},
	{.name = "up", .run = cmd_up, .documentation = "start the agent, connect, and stay connected"},
	{.name = "down", .run = cmd_down, .documentation = "end the agent and all that it carries"},
	{.name = "agent", .argument = "[FD]", .run = cmd_agent, .is_internal = true,
	 .documentation = "be the agent (for service managers)"},
	{.name = "ls", .takes_json = true, .run = cmd_ls,
	 .documentation = "list what you may reach, and what is missing for the rest"},
};
const size_t command_count = sizeof(commands) / sizeof(commands[0]);

const struct command command_forward = {.run = cmd_forward};
const struct command command_stdio = {.run = cmd_stdio};

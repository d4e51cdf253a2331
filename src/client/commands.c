/* commands.c: the table of subcommands. */
#include "commands.h"

const struct command commands[] = {
	{.name = "enroll", .argument = "LINE|-", .is_complete = true, .run = cmd_enroll,
	 .documentation = N_("make this device known, with the invitation that your administrator gave you")},
	{.name = "login", .argument = "[USER]", .takes_answers = true, .run = cmd_login,
	 .documentation = N_("answer the gateway's questions; begins your session")},
	{.name = "status", .takes_json = true, .run = cmd_status, .documentation = N_("show your session")},
	{.name = "logout", .run = cmd_logout, .documentation = N_("end your session and every tunnel in it")},
	{.name = "up", .run = cmd_up, .documentation = N_("start the agent, connect, and stay connected")},
	{.name = "down", .run = cmd_down, .documentation = N_("end the agent and all that it carries")},
	{.name = "forward", .argument = "[list|add|drop]", .second = "[PORT]", .takes_forwards = true, .takes_json = true,
	 .run = cmd_kept, .documentation = N_("local ports that the agent keeps: forward add -L ..., forward drop PORT")},
	{.name = "http-proxy", .argument = "[[BIND:]PORT]", .run = cmd_http_proxy,
	 .documentation = N_("be an HTTP proxy there (127.0.0.1:8118)")},
	{.name = "pac", .argument = "[PORT]", .run = cmd_pac, .documentation = N_("print what leads a browser to http-proxy")},
	{.name = "exec", .takes_rest = true, .run = cmd_exec,
	 .documentation = N_("run a command with proxy variables that lead inside")},
	{.name = "why", .argument = "HOST:PORT", .run = cmd_why, .documentation = N_("say whether it can be reached, and why not")},
	{.name = "ssh-config", .takes_install = true, .run = cmd_ssh_config,
	 .documentation = N_("print what leads ssh inside (or --install it)")},
	{.name = "doctor", .run = cmd_doctor, .documentation = N_("look at all that is needed, and say what is wrong")},
	{.name = "version", .is_complete = true, .run = cmd_version, .documentation = N_("print the version")},
	{.name = "agent", .argument = "[FD]", .run = cmd_agent, .is_internal = true,
	 .documentation = "be the agent (for service managers)"},
	{.name = "complete", .argument = "[hosts|resources|profiles|forwards]", .is_complete = true, .is_internal = true, .run = cmd_complete,
	 .documentation = "print words for the shells' completions"},
	{.name = "ls", .takes_json = true, .run = cmd_ls,
	 .documentation = N_("list what you may reach, and what is missing for the rest")},
	{.name = "devices", .takes_json = true, .run = cmd_devices, .documentation = N_("list your own devices, and where they were last")},
	{.name = "lost", .argument = "NAME", .run = cmd_lost,
	 .documentation = N_("shut out a device of yours that was lost or stolen, at once")},
	{.name = "renew", .run = cmd_renew, .documentation = N_("renew this device's certificate, with a new key (--if-due: when it is time)")},
	{.name = "export-p12", .argument = "FILE", .takes_answers = true, .run = cmd_export,
	 .documentation = N_("write certificate and key for a browser, under a passphrase")},
};
const size_t command_count = sizeof(commands) / sizeof(commands[0]);

const struct command command_forward = {.run = cmd_forward};
const struct command command_stdio = {.run = cmd_stdio};

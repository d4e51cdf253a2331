/* cmd_exec.c: `sallyport exec -- COMMAND`: a command that sees the internal network by the proxy variables that most
 * programs honour. The two local ports it is given live as long as it does. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "commands.h"
#include "forwarder.h"
#include "sallyport/own.h"
#include "say.h"
#include "signals.h"

enum { SOCKS, HTTP, PORTS };

/* What is not local goes to the gateway; names are its matter too (socks5h). */
static void set_variables(const struct forward *ports)
{
	static const struct {
		const char *name, *scheme;
		int port;
	} variables[] = {
		{"http_proxy", "http", HTTP},     {"https_proxy", "http", HTTP}, {"HTTPS_PROXY", "http", HTTP},
		{"all_proxy", "socks5h", SOCKS}, {"ALL_PROXY", "socks5h", SOCKS}, {"ftp_proxy", "http", HTTP},
	};
	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
		char value[64];
		snprintf(value, sizeof(value), "%s://127.0.0.1:%u", variables[i].scheme, ports[variables[i].port].port);
		setenv(variables[i].name, value, 1);
	}
	setenv("no_proxy", "localhost", 1);
	setenv("NO_PROXY", "localhost", 1);
}

static int start(char **words, pid_t *out_child, struct diag *diag)
{
	posix_spawnattr_t attributes;
	sigset_t defaults;
	sigemptyset(&defaults);
	sigaddset(&defaults, SIGPIPE);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, signals_original_mask());
	posix_spawnattr_setsigdefault(&attributes, &defaults);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	int failure = posix_spawnp(out_child, words[0], NULL, &attributes, words, environ);
	posix_spawnattr_destroy(&attributes);
	return failure ? diag_set(diag, STATUS_FAILED, _("%s cannot be run: %s"), words[0], strerror(failure)) : STATUS_OK;
}

/* The agent has something to say, or is gone. */
static int hear_agent(struct forwarder *forwarder, struct diag *diag)
{
	if (agent_call_listen(&forwarder->client.agent, diag) == STATUS_OK || !forwarder->client.agent.lost)
		return STATUS_OK;
	return forwarder_open_again(forwarder, diag);
}

/* Waits for the command's end. A signal from the terminal has reached it too; others are passed on. */
static int wait_for(struct forwarder *forwarder, pid_t child, int child_fd)
{
	for (;;) {
		struct diag diag;
		struct pollfd watched[] = {
			{.fd = child_fd, .events = POLLIN},
			{.fd = signals_fd(), .events = POLLIN},
			{.fd = forwarder->client.agent.socket, .events = POLLIN},
		};
		(void)poll(watched, 3, -1);
		if (watched[0].revents) {
			int how = 0;
			waitpid(child, &how, 0);
			return WIFEXITED(how) ? WEXITSTATUS(how) : 128 + WTERMSIG(how);
		}
		int caught = watched[1].revents ? signals_taken() : 0;
		if (caught && caught != SIGINT && caught != SIGQUIT)
			kill(child, caught);
		if (watched[2].revents && hear_agent(forwarder, &diag) != STATUS_OK) {
			say("%s", diag.text);
			agent_call_close(&forwarder->client.agent);
		}
	}
}

int cmd_exec(const struct options *options, struct diag *diag)
{
	struct forward ports[PORTS] = {
		[SOCKS] = {.kind = FORWARD_SOCKS, .bind = "127.0.0.1"}, [HTTP] = {.kind = FORWARD_HTTP, .bind = "127.0.0.1"}};
	struct forwarder forwarder;
	pid_t child = -1;
	if (!options->rest_count)
		return diag_set(diag, STATUS_USAGE, _("exec: say what to run, for example: sallyport exec -- curl http://wiki/"));
	int status = forwarder_open(&forwarder, &options->settings, ports, PORTS, FORWARDER_QUIET, diag);
	if (status == STATUS_OK) {
		set_variables(ports);
		status = start(options->rest, &child, diag);
	}
	if (status == STATUS_OK) {
		OWN_FD int child_fd = (int)syscall(SYS_pidfd_open, child, 0);
		status = wait_for(&forwarder, child, child_fd);
		diag->text[0] = 0;
	}
	forwarder_close(&forwarder);
	return status;
}

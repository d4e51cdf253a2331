/* cmd_agent.c: `sallyport up`, `sallyport down`, and the agent itself (`sallyport agent`, for service managers and for
 * the commands that start it). */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent.h"
#include "commands.h"
#include "sallyport/own.h"
#include "sallyport/str.h"
#include "say.h"

int cmd_up(const struct options *options, struct diag *diag)
{
	struct agent_call call;
	int status = agent_call_open(&call, &options->settings, AGENT_CALL_START, diag);
	if (status == STATUS_OK) {
		AGENT_CALL_SEND(&call, stay, -1);
		status = agent_call_done(&call, diag);
		if (status == STATUS_OK)
			printf(_("The agent (process %u) is connected to %s and stays; end it with: sallyport down\n"), call.pid,
			       diag->text);
		else if (status == STATUS_UNREACHABLE && !call.lost)
			say(_("the agent (process %u) stays and keeps trying; end it with: sallyport down"), call.pid);
	}
	agent_call_close(&call);
	return status;
}

int cmd_down(const struct options *options, struct diag *diag)
{
	struct agent_call call;
	int status = agent_call_open(&call, &options->settings, AGENT_CALL_ONLY_IF_RUNNING, diag);
	if (status == STATUS_OK && call.socket < 0) {
		puts(_("No agent is running."));
	} else if (status == STATUS_OK) {
		AGENT_CALL_SEND(&call, leave, -1);
		status = agent_call_done(&call, diag);
		/* Its end closes the socket: then nothing of it is left. */
		struct diag none;
		while (status == STATUS_OK && agent_call_done(&call, &none) == STATUS_OK)
			;
		if (status == STATUS_OK)
			puts(_("The agent has ended."));
	}
	agent_call_close(&call);
	return status;
}

/* With a descriptor it was started by a command that waits for it: from then on it goes its own way. */
int cmd_agent(const struct options *options, struct diag *diag)
{
	uint64_t fd = 0;
	if (!options->argument)
		return agent_run(&options->settings, -1, diag);
	int accepting = 0;
	socklen_t length = sizeof(accepting);
	if (str_to_u64(view_string(options->argument), 3, 1024, &fd) < 0 ||
	    getsockopt((int)fd, SOL_SOCKET, SO_ACCEPTCONN, &accepting, &length) < 0 || !accepting)
		return diag_set(diag, STATUS_USAGE, _("agent %s: that is not a listening socket"), options->argument);
	pid_t child = fork();
	if (child < 0) {
		diag_system(diag, _("cannot start the agent"));
		return STATUS_FAILED;
	}
	return child > 0 ? STATUS_OK : agent_run(&options->settings, (int)fd, diag);
}

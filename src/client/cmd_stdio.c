/* cmd_stdio.c: `sallyport -W HOST:PORT`: standard input and output are one tunnel.
 *
 * Both are handed to the agent, so no byte passes through this program: it waits for the end. The end of input is the
 * tunnel's half-close, the tunnel's end closes standard output; the program ends well when both directions have ended
 * in good order. When this program ends first, the agent cuts the tunnel.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client.h"
#include "commands.h"
#include "sallyport/own.h"

/* The flags of descriptors that we share with whoever started us: pump makes them non-blocking, and a shell
 * must find its terminal as it was. */
struct flags {
	int fd; /* a copy, kept for this alone; -1: nothing to restore */
	int value;
};

struct stdio {
	struct client client;
	struct flags input, output;
};

static void remember(struct flags *flags, int fd, bool keep)
{
	flags->fd = keep ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : -1;
	flags->value = fcntl(fd, F_GETFL);
}

static void restore(struct flags *flags)
{
	if (flags->fd < 0)
		return;
	fcntl(flags->fd, F_SETFL, flags->value);
	close(take_fd(&flags->fd));
}

static bool is_one_socket(int a, int b)
{
	struct stat first, second;
	return fstat(a, &first) == 0 && fstat(b, &second) == 0 && S_ISSOCK(first.st_mode) &&
	       first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

/* Moves standard input and output away from 0 and 1, so that closing them is seen at the other end. */
static int take_standard(struct stdio *stdio, int *out_in, int *out_out, struct diag *diag)
{
	OWN_FD int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
	bool one = is_one_socket(STDIN_FILENO, STDOUT_FILENO);
	/* A copy of an output that is not a terminal would keep its reader from seeing the end. */
	remember(&stdio->input, STDIN_FILENO, !one);
	remember(&stdio->output, STDOUT_FILENO, isatty(STDOUT_FILENO));
	int in = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	int out = one ? in : fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	if (nothing < 0 || in < 0 || out < 0 || dup2(nothing, STDIN_FILENO) < 0 || dup2(nothing, STDOUT_FILENO) < 0) {
		diag_system(diag, _("cannot use standard input and output"));
		return STATUS_FAILED;
	}
	*out_in = in;
	*out_out = out;
	return STATUS_OK;
}

static int carry(struct stdio *stdio, const struct destination *destination, struct diag *diag)
{
	struct agent_call *agent = &stdio->client.agent;
	int in = -1, out = -1;
	int status = take_standard(stdio, &in, &out, diag);
	if (status != STATUS_OK)
		return status;
	if (in != out)
		AGENT_CALL_SEND(agent, input, in);
	AGENT_CALL_SEND(agent, carry, out, .host = view_string(destination->host), .port = destination->port);
	/* From now on they are the agent's alone: whoever is at their other ends sees them closed when it closes them. */
	if (in != out)
		close(in);
	close(out);
	return agent_call_done(agent, diag);
}

int cmd_stdio(const struct options *options, struct diag *diag)
{
	struct stdio stdio = {.client.agent.socket = -1, .input = {.fd = -1}, .output = {.fd = -1}};
	int status = client_init(&stdio.client, &options->settings, diag);
	if (status == STATUS_OK)
		status = client_look_for_session(&stdio.client, diag);
	if (status == STATUS_OK)
		status = client_attach(&stdio.client, diag);
	if (status == STATUS_OK)
		status = carry(&stdio, &options->stdio, diag);
	client_fini(&stdio.client);
	restore(&stdio.input);
	restore(&stdio.output);
	return status;
}

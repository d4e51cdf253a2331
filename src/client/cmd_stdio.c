/* cmd_stdio.c: `sallyport -W HOST:PORT`: standard input and output are one tunnel.
 *
 * The end of input is the tunnel's half-close, the tunnel's end closes standard output; the program ends well
 * when both directions have ended in good order.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client.h"
#include "commands.h"
#include "sallyport/own.h"
#include "tunnel.h"

/* The flags of descriptors that we share with whoever started us: pump makes them non-blocking, and a shell
 * must find its terminal as it was. */
struct flags {
	int fd; /* a copy, kept for this alone; -1: nothing to restore */
	int value;
};

struct stdio {
	struct client client;
	struct flags input, output;
	bool over;
	struct tunnel_ending ending;
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
		diag_system(diag, "cannot use standard input and output");
		return STATUS_FAILED;
	}
	*out_in = in;
	*out_out = out;
	return STATUS_OK;
}

static void on_over(void *owner, const struct tunnel_ending *ending)
{
	struct stdio *stdio = owner;
	stdio->ending = *ending;
	stdio->over = true;
}

static bool is_over(const void *subject)
{
	const struct stdio *stdio = subject;
	return stdio->over;
}

static bool connection_is_over(const void *subject)
{
	return connection_state(subject) == CONNECTION_OVER;
}

/* The last bytes are on their way; leaving now could cut them off. */
static int deliver(struct stdio *stdio)
{
	connection_finish(stdio->client.connection);
	return loop_wait(&stdio->client.loop, connection_is_over, stdio->client.connection);
}

/* The gateway itself has cut the tunnel: asks it why, on a new connection when this one is over. Keeps the
 * sentence there is when that brings nothing to light. */
static int ask_why(struct client *client, int status, struct diag *diag)
{
	struct diag answer;
	int told = STATUS_OK;
	if (!connection_takes_requests(client->connection)) {
		connection_close(take_pointer(&client->connection));
		told = client_connect(client, &answer);
	}
	if (told == STATUS_OK)
		told = client_ask(client, "GET", "/v1/session", NULL, NULL, &answer);
	if (told != STATUS_LOGIN_NEEDED && told != STATUS_DEVICE_REFUSED)
		return told == STATUS_SIGNAL ? told : status;
	*diag = answer;
	return told;
}

static int judge(struct stdio *stdio, struct diag *diag)
{
	struct connection *connection = stdio->client.connection;
	const struct tunnel_ending *ending = &stdio->ending;
	bool lost = ending->pump == PUMP_CONNECTION_LOST;
	*diag = ending->diag;
	if (ending->status == STATUS_OK)
		return deliver(stdio);
	struct diag lost_diag;
	int lost_status = lost ? connection_ending(connection, &lost_diag) : STATUS_OK;
	if (lost_status != STATUS_OK) {
		*diag = lost_diag;
		return lost_status;
	}
	if (lost || (ending->pump == PUMP_CLIENT_RESET && ending->code != H2_CONNECT_ERROR))
		return ask_why(&stdio->client, ending->status, diag);
	return ending->status;
}

static int carry(struct stdio *stdio, const struct destination *destination, struct diag *diag)
{
	struct client *client = &stdio->client;
	struct tunnel *tunnel;
	int in = -1, out = -1;
	int status = take_standard(stdio, &in, &out, diag);
	if (status == STATUS_OK)
		status = tunnel_start(&client->loop.uv, client->connection, &client->token, destination, in, out, on_over,
				      stdio, &tunnel, diag);
	if (status == STATUS_OK)
		status = loop_wait(&client->loop, is_over, stdio);
	return status == STATUS_OK ? judge(stdio, diag) : status;
}

int cmd_stdio(const struct options *options, struct diag *diag)
{
	struct stdio stdio = {.input = {.fd = -1}, .output = {.fd = -1}};
	int status = client_init(&stdio.client, &options->settings, diag);
	if (status == STATUS_OK)
		status = client_load_token(&stdio.client, diag);
	if (status == STATUS_OK)
		status = client_connect(&stdio.client, diag);
	if (status == STATUS_OK)
		status = carry(&stdio, &options->stdio, diag);
	client_fini(&stdio.client);
	restore(&stdio.input);
	restore(&stdio.output);
	return status;
}

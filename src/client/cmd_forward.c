/* cmd_forward.c: `sallyport -L ...`: local ports that lead behind the gateway.
 *
 * Every accepted connection is a CONNECT stream on the one connection to the gateway. The program runs until a
 * signal, or until the gateway says that session or device are no longer good. A connection that ended is made
 * again at once, since only that tells why it ended; when all is well and nobody needs it, it is closed, and made
 * anew when somebody connects to a port.
 *
 *     none -> connecting -> checking (GET /v1/session) -> ready -> none ...
 *                 |             |                            |
 *                 +-------------+--- refused: over <---------+ (a tunnel's refusal, or a new check)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "client.h"
#include "commands.h"
#include "listener.h"
#include "sallyport/own.h"
#include "say.h"
#include "tunnel.h"

enum {
	/* Accepted while there is no connection yet. */
	WAITING_MAX = 1024,
	/* Connections that take no new tunnels and live on for those they carry. */
	RETIRED_MAX = 8,
};

struct waiting {
	int fd;
	const struct forward *forward;
};

struct forwarder {
	struct client client; /* its connection is the one for new tunnels; NULL: none */
	struct listener listener[FORWARDS_MAX];
	size_t listener_count;
	struct waiting waiting[WAITING_MAX];
	size_t waiting_count;
	struct connection *retired[RETIRED_MAX];
	struct api_call *check;
	bool probing;    /* this connection is there only to learn why the last one ended */
	bool resting;    /* and is being closed again */
	bool check_cut;  /* the check was one of the streams that the connection's end has cut */
	bool ready;      /* client.connection may carry tunnels */
	bool was_ready;  /* it has worked once: failures are no reason to end any more */
	bool closing;    /* what ends now is nobody's news */
	size_t tunnels;
	bool over;
	int status; /* once over */
	struct diag diag;
};

static void end(struct forwarder *forwarder, int status, const struct diag *diag)
{
	if (forwarder->over)
		return;
	forwarder->over = true;
	forwarder->status = status;
	forwarder->diag = *diag;
}

/* Session or device are no longer good: nothing can follow. */
static bool is_final(int status)
{
	return status == STATUS_LOGIN_NEEDED || status == STATUS_DEVICE_REFUSED;
}

static bool take_flag(bool *flag)
{
	bool was = *flag;
	*flag = false;
	return was;
}

static void refuse_waiting(struct forwarder *forwarder)
{
	for (size_t i = 0; i < forwarder->waiting_count; i++)
		tunnel_close_with_reset(forwarder->waiting[i].fd);
	forwarder->waiting_count = 0;
}

/* No connection can be had now. */
static void fail(struct forwarder *forwarder, int status, const struct diag *diag)
{
	forwarder->probing = false;
	if (is_final(status) || !forwarder->was_ready)
		end(forwarder, status, diag);
	else
		say("%s", diag->text);
	refuse_waiting(forwarder);
}

/* ---- tunnels ---- */

static void check_session(struct forwarder *forwarder);

static void on_tunnel_over(void *owner, const struct tunnel_ending *ending)
{
	struct forwarder *forwarder = owner;
	forwarder->tunnels--;
	/* What was cut with the connection is said once for all (on_lost). */
	if (forwarder->closing || forwarder->over || ending->code == H2_CONNECTION_LOST)
		return;
	if (ending->session_ended)
		end(forwarder, ending->status, &ending->diag);
	else if (ending->refused)
		say("%s", ending->diag.text);
	else if (ending->pump == PUMP_CLIENT_RESET && ending->code != H2_CONNECT_ERROR)
		/* Not by the other side, but by the gateway: perhaps because the session is over. */
		check_session(forwarder);
}

static void open_tunnel(struct forwarder *forwarder, int fd, const struct forward *forward)
{
	struct diag diag;
	struct tunnel *tunnel;
	int status = tunnel_start(&forwarder->client.loop.uv, forwarder->client.connection, &forwarder->client.token,
				  &forward->destination, fd, fd, on_tunnel_over, forwarder, &tunnel, &diag);
	if (status == STATUS_OK)
		forwarder->tunnels++;
	else
		say("%s", diag.text);
}

/* ---- the connection ---- */

static void on_checked(struct api_call *call, void *owner)
{
	struct forwarder *forwarder = owner;
	struct diag diag;
	int status = api_result(call, &diag);
	bool answered = status == STATUS_OK || api_refused(call);
	if (forwarder->closing || !answered) {
		forwarder->check_cut = true; /* the connection is lost: on_change follows */
		return;
	}
	if (status != STATUS_OK) {
		fail(forwarder, status, &diag);
		return;
	}
	forwarder->ready = forwarder->was_ready = true;
	forwarder->resting = forwarder->probing && !forwarder->waiting_count;
	forwarder->probing = false;
	if (forwarder->resting)
		connection_finish(forwarder->client.connection);
	for (size_t i = 0; i < forwarder->waiting_count; i++)
		open_tunnel(forwarder, forwarder->waiting[i].fd, forwarder->waiting[i].forward);
	forwarder->waiting_count = 0;
}

static void check_session(struct forwarder *forwarder)
{
	struct client *client = &forwarder->client;
	struct diag diag;
	const struct api_request request = {.method = "GET", .path = "/v1/session", .token = client->token.text};
	if (!client->connection || !connection_takes_requests(client->connection))
		return;
	if (forwarder->check && !api_is_done(forwarder->check))
		return;
	api_free(take_pointer(&forwarder->check));
	if (api_start(client->connection, &request, on_checked, forwarder, &forwarder->check, &diag) != STATUS_OK)
		say("%s", diag.text);
}

static void connect_gateway(struct forwarder *forwarder);

static void on_lost(struct forwarder *forwarder)
{
	struct diag diag;
	int status = connection_ending(forwarder->client.connection, &diag);
	bool had_worked = forwarder->ready;
	size_t cut = connection_streams_cut(forwarder->client.connection) - forwarder->check_cut;
	forwarder->ready = forwarder->check_cut = false;
	connection_close(take_pointer(&forwarder->client.connection));
	if (take_flag(&forwarder->resting))
		return;
	if (!had_worked || is_final(status)) {
		fail(forwarder, status, &diag);
		return;
	}
	if (status != STATUS_OK || cut)
		say("%s; %zu connection%s cut; trying again", diag.text[0] ? diag.text : "The gateway closed the connection", cut,
		    cut == 1 ? " was" : "s were");
	/* In good order (idle for long, an upgrade, or the device is no longer wanted): why, only a new one tells. */
	forwarder->probing = true;
	connect_gateway(forwarder);
}

static void forget_retired(struct forwarder *forwarder, struct connection *connection)
{
	for (size_t i = 0; i < RETIRED_MAX; i++)
		if (forwarder->retired[i] == connection)
			forwarder->retired[i] = NULL;
	connection_close(connection);
}

static void on_change(struct connection *connection, void *owner)
{
	struct forwarder *forwarder = owner;
	bool is_over = connection_state(connection) == CONNECTION_OVER;
	if (connection != forwarder->client.connection)
		forget_retired(forwarder, connection);
	else if (is_over)
		on_lost(forwarder);
	else
		check_session(forwarder);
}

static void connect_gateway(struct forwarder *forwarder)
{
	struct client *client = &forwarder->client;
	struct diag diag;
	int status = connection_start(&client->loop.uv, client->settings, &client->device, on_change, forwarder,
				      &client->connection, &diag);
	if (status != STATUS_OK)
		fail(forwarder, status, &diag);
}

/* The gateway wants no new requests on this connection; its tunnels go on. */
static void retire(struct forwarder *forwarder)
{
	size_t i = 0;
	while (i < RETIRED_MAX - 1 && forwarder->retired[i])
		i++;
	connection_close(forwarder->retired[i]);
	forwarder->retired[i] = take_pointer(&forwarder->client.connection);
	forwarder->ready = forwarder->resting = false;
}

static void on_accept(struct listener *listener, int fd)
{
	struct forwarder *forwarder = listener->owner;
	struct client *client = &forwarder->client;
	if (forwarder->ready && !connection_takes_requests(client->connection))
		retire(forwarder);
	if (forwarder->ready) {
		open_tunnel(forwarder, fd, listener->forward);
	} else if (forwarder->waiting_count == WAITING_MAX) {
		tunnel_close_with_reset(fd);
	} else {
		forwarder->waiting[forwarder->waiting_count++] = (struct waiting){fd, listener->forward};
		if (!client->connection)
			connect_gateway(forwarder);
	}
}

/* ---- the command ---- */

static bool is_ready(const void *subject)
{
	const struct forwarder *forwarder = subject;
	return forwarder->ready || forwarder->over;
}

static bool is_over(const void *subject)
{
	const struct forwarder *forwarder = subject;
	return forwarder->over;
}

static int bind_all(struct forwarder *forwarder, const struct options *options, struct diag *diag)
{
	int status = STATUS_OK;
	for (size_t i = 0; i < options->forward_count && status == STATUS_OK; i++) {
		status = listener_open(&forwarder->listener[i], &forwarder->client.loop.uv, &options->forward[i], on_accept,
				       forwarder, diag);
		forwarder->listener_count = i + 1;
	}
	return status;
}

static int listen_all(struct forwarder *forwarder, struct diag *diag)
{
	for (size_t i = 0; i < forwarder->listener_count; i++) {
		const struct forward *forward = forwarder->listener[i].forward;
		char from[80], to[DESTINATION_TEXT_MAX];
		int status = listener_begin(&forwarder->listener[i], diag);
		if (status != STATUS_OK)
			return status;
		listener_text(forward, from, sizeof(from));
		destination_text(&forward->destination, to);
		say("listening on %s for %s", from, to);
	}
	return STATUS_OK;
}

/* Each tunnel is a descriptor; the soft limit is there for programs that use select(2). */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int forward_all(struct forwarder *forwarder, const struct options *options, struct diag *diag)
{
	struct client *client = &forwarder->client;
	raise_descriptor_limit();
	int status = client_init(client, &options->settings, diag);
	if (status == STATUS_OK)
		status = client_load_token(client, diag);
	if (status == STATUS_OK)
		status = bind_all(forwarder, options, diag);
	if (status != STATUS_OK)
		return status;
	connect_gateway(forwarder);
	status = loop_wait(&client->loop, is_ready, forwarder);
	if (status == STATUS_OK && !forwarder->over)
		status = listen_all(forwarder, diag);
	if (status == STATUS_OK)
		status = loop_wait(&client->loop, is_over, forwarder);
	if (status != STATUS_OK)
		return status;
	*diag = forwarder->diag;
	return forwarder->status;
}

static void take_down(struct forwarder *forwarder)
{
	forwarder->closing = true;
	for (size_t i = 0; i < forwarder->listener_count; i++)
		listener_close(&forwarder->listener[i]);
	refuse_waiting(forwarder);
	api_free(take_pointer(&forwarder->check));
	for (size_t i = 0; i < RETIRED_MAX; i++)
		connection_close(take_pointer(&forwarder->retired[i]));
	client_fini(&forwarder->client);
}

int cmd_forward(const struct options *options, struct diag *diag)
{
	struct forwarder *forwarder = calloc(1, sizeof(*forwarder));
	if (!forwarder)
		return diag_set(diag, STATUS_FAILED, "memory is out");
	int status = forward_all(forwarder, options, diag);
	size_t cut = forwarder->tunnels;
	take_down(forwarder);
	free(forwarder);
	if (status == STATUS_SIGNAL)
		say("ended by a signal%s", cut ? "; open connections were cut" : "");
	return status;
}

/* cmd_forward.c: `sallyport -L ...`, `sallyport -D ...`, `sallyport http-proxy ...`: local ports that lead behind the
 * gateway, as long as this program runs.
 *
 * The ports are bound here, so that what is wrong with them is said here, and handed to the agent, which accepts and
 * carries. When the agent ends, another one is started and gets the same ports: they stay open all the time.
 */
#include <stdio.h>
#include <string.h>

#include "client.h"
#include "commands.h"
#include "listener.h"
#include "sallyport/own.h"
#include "say.h"
#include "signals.h"

enum { PAUSE_MS = 300 };

struct forwarder {
	struct client client;
	const struct options *options;
	int fd[FORWARDS_MAX];
	size_t bound;
};

static int bind_all(struct forwarder *forwarder, struct diag *diag)
{
	int status = STATUS_OK;
	while (status == STATUS_OK && forwarder->bound < forwarder->options->forward_count) {
		status = listener_bind(&forwarder->options->forward[forwarder->bound], &forwarder->fd[forwarder->bound], diag);
		forwarder->bound += status == STATUS_OK;
	}
	return status;
}

static void tell(const struct forward *forward)
{
	static const char *const kinds[] = {[FORWARD_SOCKS] = "SOCKS5 clients", [FORWARD_HTTP] = "HTTP clients"};
	char from[80], to[DESTINATION_TEXT_MAX];
	listener_text(forward, from, sizeof(from));
	destination_text(&forward->destination, to);
	say("listening on %s for %s", from, forward->kind == FORWARD_FIXED ? to : kinds[forward->kind]);
}

/* Not before all is well: until then connections are refused, and nobody waits in vain. */
static int listen_all(struct forwarder *forwarder, struct diag *diag)
{
	int status = STATUS_OK;
	for (size_t i = 0; i < forwarder->bound && status == STATUS_OK; i++) {
		status = listener_begin(&forwarder->options->forward[i], forwarder->fd[i], diag);
		if (status == STATUS_OK)
			tell(&forwarder->options->forward[i]);
	}
	return status;
}

static void hand_over(struct forwarder *forwarder)
{
	for (size_t i = 0; i < forwarder->bound; i++) {
		const struct forward *forward = &forwarder->options->forward[i];
		char text[512], to[DESTINATION_TEXT_MAX];
		listener_text(forward, text, sizeof(text));
		destination_text(&forward->destination, to);
		if (forward->kind == FORWARD_FIXED)
			snprintf(text + strlen(text), sizeof(text) - strlen(text), ":%s", to);
		AGENT_CALL_SEND(&forwarder->client.agent, listen, forwarder->fd[i], .kind = (uint8_t)forward->kind,
				.text = view_string(text));
	}
}

/* Waits for the end; an agent that ends before is replaced. */
static int stay(struct forwarder *forwarder, struct diag *diag)
{
	struct client *client = &forwarder->client;
	for (;;) {
		hand_over(forwarder);
		int status = agent_call_done(&client->agent, diag);
		if (status == STATUS_SIGNAL || !client->agent.lost)
			return status;
		say("%s; starting it again", diag->text);
		agent_call_close(&client->agent);
		status = signals_pause(PAUSE_MS);
		if (status == STATUS_OK)
			status = client_attach(client, diag);
		if (status != STATUS_OK)
			return status;
	}
}

static int forward_all(struct forwarder *forwarder, struct diag *diag)
{
	struct client *client = &forwarder->client;
	int status = client_init(client, &forwarder->options->settings, diag);
	if (status == STATUS_OK)
		status = client_load_token(client, diag);
	if (status == STATUS_OK)
		status = bind_all(forwarder, diag);
	if (status == STATUS_OK)
		status = client_attach(client, diag);
	if (status == STATUS_OK)
		status = client_ask(client, "GET", "/v1/session", NULL, NULL, diag);
	if (status == STATUS_OK)
		status = listen_all(forwarder, diag);
	return status == STATUS_OK ? stay(forwarder, diag) : status;
}

int cmd_forward(const struct options *options, struct diag *diag)
{
	struct forwarder forwarder = {.client.agent.socket = -1, .options = options};
	int status = forward_all(&forwarder, diag);
	for (size_t i = 0; i < forwarder.bound; i++)
		close(forwarder.fd[i]);
	client_fini(&forwarder.client);
	if (status == STATUS_SIGNAL)
		say("ended by a signal");
	return status;
}

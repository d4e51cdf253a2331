/* forwarder.c: local ports of a command. */
#include "forwarder.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "listener.h"
#include "sallyport/own.h"
#include "say.h"
#include "signals.h"

enum { PAUSE_MS = 300 };

static void find_port(struct forward *forward, int fd)
{
	struct sockaddr_storage address;
	socklen_t length = sizeof(address);
	if (!forward->port && getsockname(fd, (struct sockaddr *)&address, &length) == 0)
		forward->port = ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
								    : ((struct sockaddr_in *)&address)->sin_port);
}

static int bind_all(struct forwarder *forwarder, struct diag *diag)
{
	int status = STATUS_OK;
	while (status == STATUS_OK && forwarder->bound < forwarder->count) {
		size_t i = forwarder->bound;
		status = listener_bind(&forwarder->forward[i], &forwarder->fd[i], diag);
		if (status == STATUS_OK)
			find_port(&forwarder->forward[i], forwarder->fd[forwarder->bound++]);
	}
	return status;
}

static void tell(const struct forward *forward)
{
	static const char *const kinds[] = {[FORWARD_SOCKS] = N_("SOCKS5 clients"), [FORWARD_HTTP] = N_("HTTP clients")};
	char from[80], to[DESTINATION_TEXT_MAX];
	listener_text(forward, from, sizeof(from));
	destination_text(&forward->destination, to);
	say(_("listening on %s for %s"), from, forward->kind == FORWARD_FIXED ? to : _(kinds[forward->kind]));
}

/* Not before all is well: until then connections are refused, and nobody waits in vain. */
static int listen_all(struct forwarder *forwarder, enum forwarder_talk talk, struct diag *diag)
{
	int status = STATUS_OK;
	for (size_t i = 0; i < forwarder->bound && status == STATUS_OK; i++) {
		status = listener_begin(&forwarder->forward[i], forwarder->fd[i], diag);
		if (status == STATUS_OK && talk == FORWARDER_TELLS)
			tell(&forwarder->forward[i]);
	}
	return status;
}

static void hand_over(struct forwarder *forwarder)
{
	for (size_t i = 0; i < forwarder->bound; i++) {
		const struct forward *forward = &forwarder->forward[i];
		char text[512], to[DESTINATION_TEXT_MAX];
		listener_text(forward, text, sizeof(text));
		destination_text(&forward->destination, to);
		if (forward->kind == FORWARD_FIXED)
			snprintf(text + strlen(text), sizeof(text) - strlen(text), ":%s", to);
		AGENT_CALL_SEND(&forwarder->client.agent, listen, forwarder->fd[i], .kind = (uint8_t)forward->kind,
				.text = view_string(text));
	}
}

int forwarder_open(struct forwarder *forwarder, const struct settings *settings, struct forward *forward, size_t count,
		   enum forwarder_talk talk, struct diag *diag)
{
	struct client *client = &forwarder->client;
	*forwarder = (struct forwarder){.client.agent.socket = -1, .forward = forward, .count = count};
	int status = client_init(client, settings, diag);
	if (status == STATUS_OK)
		status = client_look_for_session(client, diag);
	if (status == STATUS_OK)
		status = bind_all(forwarder, diag);
	if (status == STATUS_OK)
		status = client_attach(client, diag);
	if (status == STATUS_OK)
		status = client_ask(client, "GET", "/v1/session", NULL, NULL, diag);
	if (status == STATUS_OK)
		status = listen_all(forwarder, talk, diag);
	if (status == STATUS_OK)
		hand_over(forwarder);
	return status;
}

int forwarder_open_again(struct forwarder *forwarder, struct diag *diag)
{
	agent_call_close(&forwarder->client.agent);
	int status = signals_pause(PAUSE_MS);
	if (status == STATUS_OK)
		status = client_attach(&forwarder->client, diag);
	if (status == STATUS_OK)
		hand_over(forwarder);
	return status;
}

void forwarder_close(struct forwarder *forwarder)
{
	for (size_t i = 0; i < forwarder->bound; i++)
		close(forwarder->fd[i]);
	forwarder->bound = 0;
	client_fini(&forwarder->client);
}

/* client.h: what every command needs: device, token, and the agent or a connection of its own. */
#ifndef CLIENT_CLIENT_H
#define CLIENT_CLIENT_H

#include "agent_call.h"
#include "api.h"
#include "session.h"

struct client {
	const struct settings *settings;
	struct agent_call agent; /* after client_attach */
	struct loop loop;        /* after client_connect */
	bool has_loop;
	struct device device;
	struct connection *connection;
};

/* Looks at the device's own files. Release with client_fini, after an error too. */
[[nodiscard]] int client_init(struct client *client, const struct settings *settings, struct diag *diag);
/* STATUS_LOGIN_NEEDED where no session is stored. Before any gateway is asked at all. */
[[nodiscard]] int client_look_for_session(struct client *client, struct diag *diag);
/* Reaches the agent, and starts it when there is none. */
[[nodiscard]] int client_attach(struct client *client, struct diag *diag);
/* A connection of this command's own, beside the agent's: connects and waits. */
[[nodiscard]] int client_connect(struct client *client, struct diag *diag);
/* A request by the connection of its own if there is one, else by the agent. As api_call. */
[[nodiscard]] int client_call(struct client *client, const struct api_request *request, struct buf *out_body,
			      struct refused *out_refused, struct diag *diag);
/* Asks with the stored session of the gateway that is asked; STATUS_LOGIN_NEEDED where there is none. */
[[nodiscard]] int client_ask(struct client *client, const char *method, const char *path, struct buf *out_body,
			     struct refused *out_refused, struct diag *diag);
/* The gateway that gave the last answer ("host:port"). */
const char *client_gateway(const struct client *client);
/* A farewell: whatever signals come, for a short time. */
void client_call_briefly(struct client *client, const struct api_request *request);
/* --json: prints the gateway's answer on standard output, ASCII only. */
[[nodiscard]] int client_print_json(struct view body, struct diag *diag);
void client_fini(struct client *client);
#define OWN_CLIENT OWN(client_fini)

#endif

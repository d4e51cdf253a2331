/* client.h: what every command needs: device, loop, connection, token. */
#ifndef CLIENT_CLIENT_H
#define CLIENT_CLIENT_H

#include "api.h"
#include "token.h"

struct client {
	const struct settings *settings;
	struct loop loop;
	bool has_loop;
	struct device device;
	struct connection *connection;
	char token_path[4096];
	struct token token; /* empty until client_load_token */
};

/* Looks at the device's own files and makes the loop. Release with client_fini, after an error too. */
[[nodiscard]] int client_init(struct client *client, const struct settings *settings, struct diag *diag);
/* The stored session; STATUS_LOGIN_NEEDED without one. Before the gateway is asked at all. */
[[nodiscard]] int client_load_token(struct client *client, struct diag *diag);
/* Connects and waits. */
[[nodiscard]] int client_connect(struct client *client, struct diag *diag);
/* Asks with the session's token, if there is one. */
[[nodiscard]] int client_ask(struct client *client, const char *method, const char *path, struct buf *out_body,
			     struct refused *out_refused, struct diag *diag);
/* --json: prints the gateway's answer on standard output, ASCII only. */
[[nodiscard]] int client_print_json(struct view body, struct diag *diag);
void client_fini(struct client *client);
#define OWN_CLIENT OWN(client_fini)

#endif

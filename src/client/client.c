/* client.c: what every command needs. */
#include "client.h"

#include <stdio.h>

#include "sallyport/own.h"

int client_init(struct client *client, const struct settings *settings, struct diag *diag)
{
	char authority[272];
	*client = (struct client){.settings = settings};
	int status = device_load(settings, &client->device, diag);
	if (status != STATUS_OK)
		return status;
	settings_authority(settings, authority, sizeof(authority));
	struct view device = view_of(client->device.name, sizeof(client->device.name));
	status = token_path(authority, device, client->token_path, sizeof(client->token_path), diag);
	if (status == STATUS_OK)
		status = loop_init(&client->loop, diag);
	client->has_loop = status == STATUS_OK;
	return status;
}

int client_load_token(struct client *client, struct diag *diag)
{
	return token_load(client->token_path, &client->token, diag);
}

static void on_change(struct connection *connection, void *owner)
{
	(void)connection, (void)owner;
}

static bool is_decided(const void *subject)
{
	enum connection_state state = connection_state(subject);
	return state == CONNECTION_OPEN || state == CONNECTION_OVER;
}

int client_connect(struct client *client, struct diag *diag)
{
	int status = connection_start(&client->loop.uv, client->settings, &client->device, on_change, client,
				      &client->connection, diag);
	if (status == STATUS_OK)
		status = loop_wait(&client->loop, is_decided, client->connection);
	if (status == STATUS_OK && connection_state(client->connection) == CONNECTION_OVER)
		status = connection_ending(client->connection, diag);
	return status;
}

int client_ask(struct client *client, const char *method, const char *path, struct buf *out_body,
	       struct refused *out_refused, struct diag *diag)
{
	const char *token = client->token.text[0] ? client->token.text : NULL;
	const struct api_request request = {.method = method, .path = path, .token = token};
	return api_call(&client->loop, client->connection, &request, out_body, out_refused, diag);
}

int client_print_json(struct view body, struct diag *diag)
{
	/* Escapes make a text up to six times as long. */
	OWN_BUF struct buf text = BUF_INIT(64 * 1024 * 1024);
	int status = answer_indent(body, &text, diag);
	if (status == STATUS_OK)
		fwrite(text.data, 1, text.size, stdout);
	return status;
}

void client_fini(struct client *client)
{
	connection_close(take_pointer(&client->connection));
	if (client->has_loop)
		loop_fini(&client->loop);
	client->has_loop = false;
	device_fini(&client->device);
	token_wipe(&client->token);
}

/* client.c: what every command needs. */
#include "client.h"

#include <stdio.h>

#include "sallyport/own.h"

enum { FAREWELL_LIMIT_MS = 3000 };

int client_init(struct client *client, const struct settings *settings, struct diag *diag)
{
	char authority[272];
	*client = (struct client){.settings = settings, .agent = {.socket = -1}};
	int status = device_identify(settings, &client->device, diag);
	if (status != STATUS_OK)
		return status;
	settings_authority(settings, authority, sizeof(authority));
	struct view device = view_of(client->device.name, sizeof(client->device.name));
	return token_path(authority, device, client->token_path, sizeof(client->token_path), diag);
}

int client_attach(struct client *client, struct diag *diag)
{
	return agent_call_open(&client->agent, client->settings, AGENT_CALL_START, diag);
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
	int status = device_load(client->settings, &client->device, diag);
	if (status == STATUS_OK)
		status = loop_init(&client->loop, diag);
	client->has_loop = status == STATUS_OK;
	if (status == STATUS_OK)
		status = connection_start(&client->loop.uv, client->settings, &client->device, on_change, client,
					  &client->connection, diag);
	if (status == STATUS_OK)
		status = loop_wait(&client->loop, is_decided, client->connection);
	if (status == STATUS_OK && connection_state(client->connection) == CONNECTION_OVER)
		status = connection_ending(client->connection, diag);
	return status;
}

int client_call(struct client *client, const struct api_request *request, struct buf *out_body,
		struct refused *out_refused, struct diag *diag)
{
	if (client->connection)
		return api_call(&client->loop, client->connection, request, out_body, out_refused, diag);
	return agent_call_ask(&client->agent, request, -1, out_body, out_refused, diag);
}

int client_ask(struct client *client, const char *method, const char *path, struct buf *out_body,
	       struct refused *out_refused, struct diag *diag)
{
	const char *token = client->token.text[0] ? client->token.text : NULL;
	const struct api_request request = {.method = method, .path = path, .token = token};
	return client_call(client, &request, out_body, out_refused, diag);
}

void client_call_briefly(struct client *client, const struct api_request *request)
{
	struct diag diag;
	if (client->connection)
		(void)api_call_briefly(&client->loop, client->connection, request);
	else if (client->agent.socket >= 0)
		(void)!agent_call_ask(&client->agent, request, FAREWELL_LIMIT_MS, NULL, NULL, &diag);
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
	agent_call_close(&client->agent);
	connection_close(take_pointer(&client->connection));
	if (client->has_loop)
		loop_fini(&client->loop);
	client->has_loop = false;
	device_fini(&client->device);
	token_wipe(&client->token);
}

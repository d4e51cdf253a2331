/* client.c: what every command needs. */
#include "client.h"

#include <stdio.h>

#include "explain.h"
#include "identity.h"
#include "sallyport/clock.h"
#include "sallyport/own.h"

enum { FAREWELL_LIMIT_MS = 3000 };

static void explain_settings(const struct settings *settings)
{
	struct identity_dates dates;
	struct diag ignored;
	char from[32], until[32];
	explain("Gateway %s, certificate %s, key %s, profile %s", settings->value[SETTING_gateway], settings->value[SETTING_cert],
		settings->value[SETTING_key], settings->profile ? settings->profile : "of everyday");
	if (identity_dates(settings->value[SETTING_cert], &dates, &ignored) != STATUS_OK)
		return;
	clock_format((uint64_t)dates.not_before_s * 1000, from, sizeof(from));
	clock_format((uint64_t)dates.not_after_s * 1000, until, sizeof(until));
	explain("This device is \"%s\"; its certificate is good from %s until %s", dates.name, from, until);
}

int client_init(struct client *client, const struct settings *settings, struct diag *diag)
{
	*client = (struct client){.settings = settings, .agent = {.socket = -1}};
	int status = device_identify(settings, &client->device, diag);
	if (status == STATUS_OK && explain_wanted())
		explain_settings(settings);
	return status;
}

int client_attach(struct client *client, struct diag *diag)
{
	return agent_call_open(&client->agent, client->settings, AGENT_CALL_START, diag);
}

int client_look_for_session(struct client *client, struct diag *diag)
{
	return session_look(client->settings, diag);
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

/* As an errand of the agent: without a session the gateway is asked all the same, for what it says to the device. */
static int call_directly(struct client *client, const struct api_request *request, struct buf *out_body,
			 struct refused *out_refused, struct diag *diag)
{
	OWN_TOKEN struct token token = {""};
	struct api_request own = *request;
	struct diag no_session;
	int found = STATUS_OK;
	if (request->with_session)
		found = session_load(client->settings, connection_authority(client->connection), &token, &no_session);
	if (found == STATUS_OK && request->with_session)
		own.token = token.text;
	int status = api_call(&client->loop, client->connection, &own, out_body, out_refused, diag);
	if (status == STATUS_LOGIN_NEEDED && found != STATUS_OK)
		*diag = no_session;
	return status;
}

int client_call(struct client *client, const struct api_request *request, struct buf *out_body,
		struct refused *out_refused, struct diag *diag)
{
	if (client->connection)
		return call_directly(client, request, out_body, out_refused, diag);
	return agent_call_ask(&client->agent, request, -1, out_body, out_refused, diag);
}

int client_ask(struct client *client, const char *method, const char *path, struct buf *out_body,
	       struct refused *out_refused, struct diag *diag)
{
	const struct api_request request = {.method = method, .path = path, .with_session = true};
	return client_call(client, &request, out_body, out_refused, diag);
}

const char *client_gateway(const struct client *client)
{
	return client->connection ? connection_authority(client->connection) : client->agent.gateway;
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
}

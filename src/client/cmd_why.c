/* cmd_why.c: `sallyport why HOST:PORT`: whether it can be reached, and if not, why: what the gateway lists for you, and
 * what it says when a tunnel is really asked for. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "client.h"
#include "commands.h"
#include "sallyport/own.h"
#include "say.h"

/* Is it one of the addresses of that resource, as they are written there? Networks and patterns are the gateway's
 * matter. */
static bool is_named(const struct answer_resource *resource, const char *target)
{
	size_t length = strlen(target);
	for (const char *at = resource->addresses; (at = strcasestr(at, target)); at++) {
		bool begins = at == resource->addresses || at[-1] == ' ';
		if (begins && (at[length] == 0 || at[length] == ','))
			return true;
	}
	return false;
}

static int show_resources(struct client *client, const char *target, struct diag *diag)
{
	OWN_BUF struct buf body = BUF_INIT(8 * 1024 * 1024);
	struct answer_resources resources;
	int status = client_ask(client, "GET", "/v1/resources", &body, NULL, diag);
	if (status == STATUS_OK)
		status = answer_parse_resources(buf_view(&body), &resources, diag);
	if (status != STATUS_OK)
		return status;
	for (size_t i = 0; i < resources.count; i++) {
		const struct answer_resource *resource = &resources.item[i];
		if (!is_named(resource, target))
			continue;
		fputs("resource  ", stdout);
		say_cell(stdout, resource->name, 0);
		printf(" (%s)", resource->allowed ? _("allowed") : _("not allowed"));
		if (resource->missing[0]) {
			fputs("; missing: ", stdout);
			say_cell(stdout, resource->missing, 0);
		}
		putchar('\n');
	}
	answer_resources_fini(&resources);
	return STATUS_OK;
}

/* Opens the tunnel and lets it go before a byte has passed. */
static int probe(struct client *client, const struct destination *destination, struct diag *diag)
{
	int ends[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
		diag_system(diag, _("cannot make a pair of sockets"));
		return STATUS_FAILED;
	}
	OWN_FD int near = ends[0];
	AGENT_CALL_SEND(&client->agent, carry, ends[1], .host = view_string(destination->host), .port = destination->port);
	close(ends[1]);
	return agent_call_opened(&client->agent, diag);
}

int cmd_why(const struct options *options, struct diag *diag)
{
	struct client client = {.agent.socket = -1};
	struct destination destination;
	char target[DESTINATION_TEXT_MAX];
	int status = options->argument ? destination_parse(options->argument, &destination, diag)
				       : diag_set(diag, STATUS_USAGE, _("why: say which HOST:PORT"));
	if (status != STATUS_OK)
		return status;
	destination_text(&destination, target);
	status = client_init(&client, &options->settings, diag);
	if (status == STATUS_OK)
		status = client_look_for_session(&client, diag);
	if (status == STATUS_OK)
		status = client_attach(&client, diag);
	if (status == STATUS_OK)
		status = show_resources(&client, target, diag);
	if (status == STATUS_OK)
		status = probe(&client, &destination, diag);
	if (status == STATUS_OK)
		printf(_("%s can be reached.\n"), target);
	client_fini(&client);
	return status;
}

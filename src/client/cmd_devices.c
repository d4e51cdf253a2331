/* cmd_devices.c: `sallyport devices` and `sallyport lost`: the user's own devices, and that one of them is to be shut out. */
#include <stdio.h>

#include "client.h"
#include "commands.h"
#include "sallyport/own.h"
#include "say.h"
#include "table.h"

enum { DEVICES_BYTES_MAX = 4 << 20 };

static const char *const titles[] = {"NAME", "STATE", "LAST SEEN", "FROM", "CERTIFICATE UNTIL", "SESSIONS"};
enum { COLUMNS = sizeof(titles) / sizeof(titles[0]) };

static const char *title(size_t column)
{
	return titles[column];
}

static const char *cell(const void *owner, size_t row, size_t column)
{
	const struct answer_device *device = &((const struct answer_devices *)owner)->item[row];
	static char sessions[24];
	snprintf(sessions, sizeof(sessions), "%llu", (unsigned long long)device->sessions);
	const char *const cells[COLUMNS] = {device->name, device->is_this ? _("this one") : device->state, device->last_seen_at,
					    device->last_address, device->expires_at, sessions};
	return cells[column];
}

static int print_devices(struct view body, struct diag *diag)
{
	struct answer_devices devices;
	int status = answer_parse_devices(body, &devices, diag);
	if (status != STATUS_OK)
		return status;
	if (devices.count)
		table_print(&(struct table){.columns = COLUMNS, .title = title, .rows = devices.count, .cell = cell, .owner = &devices});
	else
		puts(_("No device is registered for you by name."));
	answer_devices_fini(&devices);
	return STATUS_OK;
}

static int ask(const struct options *options, const struct api_request *request, struct buf *out_body, struct diag *diag)
{
	OWN_CLIENT struct client client = {.agent.socket = -1};
	int status = client_init(&client, &options->settings, diag);
	if (status == STATUS_OK)
		status = client_look_for_session(&client, diag);
	if (status == STATUS_OK)
		status = client_attach(&client, diag);
	return status == STATUS_OK ? client_call(&client, request, out_body, NULL, diag) : status;
}

static int finished(int status, struct diag *diag)
{
	return status == STATUS_OK && !say_finished() ? diag_set(diag, STATUS_FAILED, _("cannot write to standard output")) : status;
}

int cmd_devices(const struct options *options, struct diag *diag)
{
	OWN_BUF struct buf body = BUF_INIT(DEVICES_BYTES_MAX);
	int status = ask(options, &(struct api_request){.method = "GET", .path = "/v1/devices", .with_session = true}, &body, diag);
	if (status == STATUS_OK)
		status = options->json ? client_print_json(buf_view(&body), diag) : print_devices(buf_view(&body), diag);
	return finished(status, diag);
}

int cmd_lost(const struct options *options, struct diag *diag)
{
	OWN_BUF struct buf question = BUF_INIT(65536);
	OWN_BUF struct buf body = BUF_INIT(65536);
	uint64_t tunnels = 0;
	int status = answer_make_lost(options->argument, &question, diag);
	if (status == STATUS_OK)
		status = ask(options, &(struct api_request){.method = "POST", .path = "/v1/lost", .with_session = true, .body = buf_view(&question)},
			     &body, diag);
	if (status == STATUS_OK)
		status = answer_parse_logout(buf_view(&body), &tunnels, diag);
	if (status == STATUS_OK)
		printf(P_("That device is locked; %llu tunnel was closed. Only your administrator can unlock it.\n",
			  "That device is locked; %llu tunnels were closed. Only your administrator can unlock it.\n", tunnels),
		       (unsigned long long)tunnels);
	return finished(status, diag);
}

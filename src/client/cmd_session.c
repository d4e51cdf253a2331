/* cmd_session.c: `sallyport status` and `sallyport logout`. */
#include <stdio.h>

#include "client.h"
#include "commands.h"
#include "sallyport/own.h"
#include "say.h"

/* Asks the gateway in the stored session. */
static int ask(struct client *client, const struct settings *settings, const char *method, struct buf *out_body,
	       struct refused *out_refused, struct diag *diag)
{
	int status = client_init(client, settings, diag);
	if (status == STATUS_OK)
		status = client_load_token(client, diag);
	if (status == STATUS_OK)
		status = client_connect(client, diag);
	return status == STATUS_OK ? client_ask(client, method, "/v1/session", out_body, out_refused, diag) : status;
}

static void print_row(const char *name, const char *value)
{
	printf("%-9s", name);
	say_cell(stdout, value, 0);
	putchar('\n');
}

static int print_session(const struct client *client, struct view body, struct diag *diag)
{
	struct answer_session session;
	int status = answer_parse_session(body, &session, diag);
	if (status != STATUS_OK)
		return status;
	char tunnels[24];
	snprintf(tunnels, sizeof(tunnels), "%llu", (unsigned long long)session.tunnels);
	const struct {
		const char *name, *value;
	} rows[] = {
		{"gateway", client->settings->value[SETTING_gateway]},
		{"user", session.user},
		{"device", session.device},
		{"session", session.id},
		{"since", session.created_at},
		{"until", session.expires_at},
		{"tunnels", tunnels},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		print_row(rows[i].name, rows[i].value);
	answer_session_fini(&session);
	return STATUS_OK;
}

int cmd_status(const struct options *options, struct diag *diag)
{
	OWN_CLIENT struct client client = {0};
	OWN_BUF struct buf body = BUF_INIT(65536);
	int status = ask(&client, &options->settings, "GET", &body, NULL, diag);
	if (status == STATUS_OK)
		status = options->json ? client_print_json(buf_view(&body), diag) : print_session(&client, buf_view(&body), diag);
	if (status == STATUS_OK && !say_finished())
		return diag_set(diag, STATUS_FAILED, "cannot write to standard output");
	return status;
}

int cmd_logout(const struct options *options, struct diag *diag)
{
	OWN_CLIENT struct client client = {0};
	OWN_BUF struct buf body = BUF_INIT(65536);
	struct refused refused = {0};
	uint64_t closed = 0;
	int status = ask(&client, &options->settings, "DELETE", &body, &refused, diag);
	bool was_over = refused.http_status && problem_ends_session(&refused);
	/* Any other failure leaves the token where it is: the session may still be open, and only with the token
	 * it can be ended from here. */
	if (status != STATUS_OK && !was_over)
		return status;
	status = token_remove(client.token_path, diag);
	if (status != STATUS_OK)
		return status;
	if (was_over)
		puts("Your session was over already.");
	else if (answer_parse_logout(buf_view(&body), &closed, diag) != STATUS_OK)
		return STATUS_FAILED;
	else
		printf("Logged out; %llu tunnel%s closed.\n", (unsigned long long)closed, closed == 1 ? " was" : "s were");
	return STATUS_OK;
}

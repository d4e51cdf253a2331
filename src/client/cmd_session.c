/* cmd_session.c: `sallyport status` and `sallyport logout`. */
#include <stdio.h>

#include "client.h"
#include "commands.h"
#include "sallyport/own.h"
#include "say.h"

enum { REPORT_BYTES_MAX = 64 * 1024 * 1024 };

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
	char tunnels[24], gateway[COMMAND_AGENT_GATEWAY_MAX + 16];
	snprintf(gateway, sizeof(gateway), "https://%s", client_gateway(client));
	snprintf(tunnels, sizeof(tunnels), "%llu", (unsigned long long)session.tunnels);
	const struct {
		const char *name, *value;
	} rows[] = {
		{"gateway", gateway},
		{"user", session.user},
		{"device", session.device},
		{"realm", session.realm},
		{"session", session.id},
		{"since", session.created_at},
		{"until", session.expires_at},
		{"tunnels", tunnels},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (*rows[i].value)
			print_row(rows[i].name, rows[i].value);
	answer_session_fini(&session);
	return STATUS_OK;
}

/* "1.2 GiB": three digits are enough for people. */
static void spell_amount(uint64_t bytes, char *out_text, size_t capacity)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	size_t unit = 0;
	double amount = (double)bytes;
	for (; amount >= 1000 && unit + 1 < sizeof(units) / sizeof(units[0]); unit++)
		amount /= 1024;
	snprintf(out_text, capacity, unit && amount < 100 ? "%.1f %s" : "%.0f %s", amount, units[unit]);
}

static void print_busy(const struct answer_tunnel *tunnel)
{
	char text[400], bytes[24], rate[24];
	spell_amount(tunnel->bytes, bytes, sizeof(bytes));
	spell_amount(tunnel->rate, rate, sizeof(rate));
	snprintf(text, sizeof(text), "%s: %s so far, %s a second", tunnel->to, bytes, rate);
	print_row("busy", text);
}

/* Also when the gateway is away or says no: how the agent is helps then most. */
static void print_agent(struct client *client)
{
	OWN_BUF struct buf report = BUF_INIT(REPORT_BYTES_MAX);
	struct answer_agent agent;
	struct diag diag;
	char text[256], size[24];
	if (agent_call_report(&client->agent, &report, &diag) != STATUS_OK ||
	    answer_parse_agent(buf_view(&report), &agent, &diag) != STATUS_OK)
		return;
	snprintf(text, sizeof(text), "process %llu%s, %s since %s", (unsigned long long)agent.pid, agent.stays ? " (stays)" : "",
		 agent.state, agent.since);
	print_row("agent", text);
	if (agent.retry_in_ms) {
		snprintf(text, sizeof(text), "in %llu s", (unsigned long long)(agent.retry_in_ms + 999) / 1000);
		print_row("retry", text);
	}
	if (agent.problem[0])
		print_row("last", agent.problem);
	spell_amount(agent.received_bytes, size, sizeof(size));
	snprintf(text, sizeof(text), "%llu from here, %s received so far; %llu local port%s", (unsigned long long)agent.tunnels, size,
		 (unsigned long long)agent.forwards, agent.forwards == 1 ? "" : "s");
	print_row("carries", text);
	for (size_t i = 0; i < ANSWER_BUSIEST && agent.busiest[i].bytes; i++)
		print_busy(&agent.busiest[i]);
	for (size_t i = 0; i < 2; i++)
		if (agent.warning[i][0])
			print_row("warning", agent.warning[i]);
}

/* The gateway's answer, and the agent under "agent". */
static int print_json(struct client *client, struct view session, struct diag *diag)
{
	OWN_BUF struct buf report = BUF_INIT(REPORT_BYTES_MAX);
	OWN_BUF struct buf joined = BUF_INIT(REPORT_BYTES_MAX + 65536);
	int status = agent_call_report(&client->agent, &report, diag);
	if (status == STATUS_OK)
		status = answer_join(session, "agent", buf_view(&report), &joined, diag);
	return status == STATUS_OK ? client_print_json(buf_view(&joined), diag) : status;
}

int cmd_status(const struct options *options, struct diag *diag)
{
	OWN_CLIENT struct client client = {.agent.socket = -1};
	OWN_BUF struct buf body = BUF_INIT(65536);
	int status = client_init(&client, &options->settings, diag);
	if (status == STATUS_OK)
		status = client_look_for_session(&client, diag);
	/* Asks even without a session: whether gateway and device are well is part of the answer. */
	if (status == STATUS_OK || status == STATUS_LOGIN_NEEDED)
		status = client_attach(&client, diag);
	if (status == STATUS_OK)
		status = client_ask(&client, "GET", "/v1/session", &body, NULL, diag);
	if (status == STATUS_OK)
		status = options->json ? print_json(&client, buf_view(&body), diag) : print_session(&client, buf_view(&body), diag);
	if (!options->json && status != STATUS_SIGNAL && client.agent.socket >= 0 && !client.agent.lost)
		print_agent(&client);
	if (status == STATUS_OK && !say_finished())
		return diag_set(diag, STATUS_FAILED, _("cannot write to standard output"));
	return status;
}

static int print_logout(struct view body, struct diag *diag)
{
	uint64_t closed = 0;
	int status = answer_parse_logout(body, &closed, diag);
	if (status == STATUS_OK)
		printf(P_("Logged out; %llu tunnel was closed.\n", "Logged out; %llu tunnels were closed.\n", closed), (unsigned long long)closed);
	return status;
}

int cmd_logout(const struct options *options, struct diag *diag)
{
	OWN_CLIENT struct client client = {.agent.socket = -1};
	OWN_BUF struct buf body = BUF_INIT(65536);
	struct refused refused = {0};
	int status = client_init(&client, &options->settings, diag);
	if (status == STATUS_OK)
		status = client_look_for_session(&client, diag);
	if (status == STATUS_OK)
		status = client_attach(&client, diag);
	if (status == STATUS_OK)
		status = client_ask(&client, "DELETE", "/v1/session", &body, &refused, diag);
	bool was_over = refused.http_status && problem_ends_session(&refused);
	/* Any other failure leaves the token where it is: the session may still be open, and only with the token
	 * it can be ended from here. */
	if (status != STATUS_OK && !was_over)
		return status;
	char path[4096];
	if (!*client_gateway(&client))
		return status;
	status = session_path(&options->settings, client_gateway(&client), path, sizeof(path), diag);
	if (status == STATUS_OK)
		status = token_remove(path, diag);
	if (status == STATUS_OK && was_over)
		puts(_("Your session was over already."));
	else if (status == STATUS_OK)
		status = print_logout(buf_view(&body), diag);
	struct diag none;
	if (status == STATUS_OK && session_look(&options->settings, &none) == STATUS_OK)
		printf(_("At another gateway of this profile than %s you are still logged in; it ends with its time, or when you log "
		       "out there.\n"), client_gateway(&client));
	return status;
}

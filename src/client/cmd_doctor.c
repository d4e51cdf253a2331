/* cmd_doctor.c: `sallyport doctor` and `sallyport version`: what is in order here, what is not, and what to do. */
#include <stdio.h>
#include <string.h>

#include "askpass.h"
#include "client.h"
#include "commands.h"
#include "identity.h"
#include "sallyport/clock.h"
#include "sallyport/own.h"
#include "sallyport/str.h"
#include "say.h"
#include "terminal.h"

struct examination {
	const struct options *options;
	int status; /* of the first thing that is wrong */
};

static void tell(struct examination *examination, int status, const char *what, const char *sentence)
{
	printf("%-4s  %-12s  ", status == STATUS_OK ? "ok" : "BAD", what);
	say_cell(stdout, sentence, 0);
	putchar('\n');
	if (examination->status == STATUS_OK)
		examination->status = status;
}

static void look_at_device(struct examination *examination)
{
	struct diag diag;
	struct device device;
	struct identity_dates dates;
	char when[32], text[256];
	const char *path = examination->options->settings.value[SETTING_cert];
	int status = device_load(&examination->options->settings, &device, &diag);
	device_fini(&device);
	if (status != STATUS_OK) {
		tell(examination, status, "device", diag.text);
		return;
	}
	if (identity_dates(path, &dates, &diag) != STATUS_OK) {
		tell(examination, STATUS_OK, "device", _("certificate and key fit (they are not in files)"));
		return;
	}
	bool overdue = identity_is_overdue(&dates, (int64_t)(clock_wall_ms() / 1000));
	clock_format((uint64_t)dates.not_after_s * 1000, when, sizeof(when));
	snprintf(text, sizeof(text), overdue ? _("\"%.64s\", good until %s: it should have renewed itself; run: sallyport renew")
		 : _("\"%.64s\", good until %s"), dates.name, when);
	tell(examination, overdue ? STATUS_FAILED : STATUS_OK, "device", text);
}

/* A connection of its own, so that every step of it is looked at. */
static void look_at_gateway(struct examination *examination, const struct settings *settings)
{
	OWN_CLIENT struct client client = {.agent.socket = -1};
	struct diag diag;
	char text[320];
	uint64_t begun_ms = clock_monotonic_ms();
	int status = client_init(&client, settings, &diag);
	if (status == STATUS_OK)
		status = client_connect(&client, &diag);
	if (status != STATUS_OK) {
		tell(examination, status, "gateway", diag.text);
		return;
	}
	snprintf(text, sizeof(text), _("%s answers; name, TCP and TLS took %llu ms"), connection_authority(client.connection),
		 (unsigned long long)(clock_monotonic_ms() - begun_ms));
	tell(examination, STATUS_OK, "gateway", text);
	status = client_ask(&client, "GET", "/v1/session", NULL, NULL, &diag);
	tell(examination, status, "session", status == STATUS_OK ? _("you are logged in") : diag.text);
}

static void look_at_gateways(struct examination *examination)
{
	struct settings one = examination->options->settings;
	struct diag diag;
	for (size_t i = 0; i < settings_gateway_count(&one); i++)
		if (settings_use_gateway(&one, i, &diag) == STATUS_OK)
			look_at_gateway(examination, &one);
}

static void look_at_agent(struct examination *examination)
{
	struct agent_call call;
	struct diag diag;
	char text[256];
	int status = agent_call_open(&call, &examination->options->settings, AGENT_CALL_ONLY_IF_RUNNING, &diag);
	if (status == STATUS_OK && call.socket >= 0)
		snprintf(text, sizeof(text), _("process %u answers"), call.pid);
	else if (status == STATUS_OK)
		str_copy(text, sizeof(text), _("none is running; the next command that needs it starts it"));
	tell(examination, status, "agent", status == STATUS_OK ? text : diag.text);
	agent_call_close(&call);
}

static void look_at_questions(struct examination *examination)
{
	struct terminal terminal;
	terminal_open(&terminal);
	const char *text = terminal.fd >= 0 ? _("asked on the terminal")
			   : askpass_program() ? _("asked by the helper program of SALLYPORT_ASKPASS or SSH_ASKPASS") : NULL;
	tell(examination, text ? STATUS_OK : STATUS_NOBODY, "questions",
	     text ? text : _("nobody can be asked: there is no terminal; set SALLYPORT_ASKPASS, or use --answers-from"));
	if (terminal.fd >= 0)
		terminal_close(&terminal);
}

int cmd_doctor(const struct options *options, struct diag *diag)
{
	struct examination examination = {.options = options};
	diag->text[0] = 0;
	look_at_device(&examination);
	look_at_gateways(&examination);
	look_at_agent(&examination);
	look_at_questions(&examination);
	return say_finished() ? examination.status : diag_set(diag, STATUS_FAILED, _("cannot write to standard output"));
}

int cmd_version(const struct options *options, struct diag *diag)
{
	(void)options;
	printf("sallyport %s\n", SALLYPORT_VERSION);
	return say_finished() ? STATUS_OK : diag_set(diag, STATUS_FAILED, _("cannot write to standard output"));
}

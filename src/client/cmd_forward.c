/* cmd_forward.c: `sallyport -L ...`, `sallyport -D ...` and `sallyport http-proxy ...`, which last as long as this
 * program; and `sallyport forward list|add|drop`, which the agent keeps. */
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "forwarder.h"
#include "listener.h"
#include "sallyport/own.h"
#include "say.h"

/* Waits for the end; an agent that ends before is replaced. */
static int stay(struct forwarder *forwarder, struct diag *diag)
{
	for (;;) {
		int status = agent_call_done(&forwarder->client.agent, diag);
		if (status == STATUS_SIGNAL || !forwarder->client.agent.lost)
			return status;
		say(_("%s; starting it again"), diag->text);
		status = forwarder_open_again(forwarder, diag);
		if (status != STATUS_OK)
			return status;
	}
}

static int run(const struct settings *settings, struct forward *forward, size_t count, struct diag *diag)
{
	struct forwarder forwarder;
	int status = forwarder_open(&forwarder, settings, forward, count, FORWARDER_TELLS, diag);
	if (status == STATUS_OK)
		status = stay(&forwarder, diag);
	forwarder_close(&forwarder);
	if (status == STATUS_SIGNAL)
		say(_("ended by a signal"));
	return status;
}

int cmd_forward(const struct options *options, struct diag *diag)
{
	static struct forward forward[FORWARDS_MAX];
	memcpy(forward, options->forward, sizeof(forward));
	return run(&options->settings, forward, options->forward_count, diag);
}

int cmd_http_proxy(const struct options *options, struct diag *diag)
{
	struct forward forward;
	int status = forward_parse_kind(FORWARD_HTTP, options->argument ? options->argument : HTTP_PROXY_PORT, &forward, diag);
	return status == STATUS_OK ? run(&options->settings, &forward, 1, diag) : status;
}

/* ---- those that the agent keeps ---- */

static int print_forwards(const struct options *options, struct view report, struct diag *diag)
{
	OWN_BUF struct buf text = BUF_INIT(64 * 1024 * 1024);
	struct answer_forwards forwards;
	int status = options->json ? answer_indent_member(report, "forwards", &text, diag) : STATUS_OK;
	if (status == STATUS_OK)
		status = answer_parse_forwards(report, &forwards, diag);
	if (status != STATUS_OK)
		return status;
	if (text.size)
		fwrite(text.data, 1, text.size, stdout);
	for (size_t i = 0; i < forwards.count && !options->json; i++) {
		const struct answer_forward *item = &forwards.item[i];
		printf("%-24s  %-8s  %-28s  %llu open%s\n", item->listen, item->kind, item->to[0] ? item->to : "-",
		       (unsigned long long)item->connections, item->kept ? "" : "  (as long as its command runs)");
	}
	if (!forwards.count && !options->json)
		puts(_("No local port is open."));
	answer_forwards_fini(&forwards);
	return STATUS_OK;
}

static int list(struct agent_call *call, const struct options *options, struct diag *diag)
{
	OWN_BUF struct buf report = BUF_INIT(64 * 1024 * 1024);
	int status = agent_call_report(call, &report, diag);
	return status == STATUS_OK ? print_forwards(options, buf_view(&report), diag) : status;
}

static int add(struct agent_call *call, const struct options *options, struct diag *diag)
{
	int status = options->forward_count
			     ? STATUS_OK : diag_set(diag, STATUS_USAGE, _("forward add: say what, by -L or -D"));
	for (size_t i = 0; i < options->forward_count && status == STATUS_OK; i++) {
		const struct forward *forward = &options->forward[i];
		char text[512], to[DESTINATION_TEXT_MAX];
		listener_text(forward, text, sizeof(text));
		destination_text(&forward->destination, to);
		if (forward->kind == FORWARD_FIXED)
			snprintf(text + strlen(text), sizeof(text) - strlen(text), ":%s", to);
		AGENT_CALL_SEND(call, add, -1, .kind = (uint8_t)forward->kind, .text = view_string(text));
		status = agent_call_done(call, diag);
	}
	return status;
}

static int drop(struct agent_call *call, const struct options *options, struct diag *diag)
{
	if (!options->second)
		return diag_set(diag, STATUS_USAGE, _("forward drop: say which, by its local port"));
	AGENT_CALL_SEND(call, drop, -1, .text = view_string(options->second));
	return agent_call_done(call, diag);
}

int cmd_kept(const struct options *options, struct diag *diag)
{
	static const struct {
		const char *word;
		int (*run)(struct agent_call *call, const struct options *options, struct diag *diag);
	} words[] = {{"list", list}, {"add", add}, {"drop", drop}};
	struct agent_call call;
	const char *word = options->argument ? options->argument : "list";
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(word, words[i].word) != 0)
			continue;
		int status = agent_call_open(&call, &options->settings, AGENT_CALL_START, diag);
		if (status == STATUS_OK)
			status = words[i].run(&call, options, diag);
		agent_call_close(&call);
		return status;
	}
	return diag_set(diag, STATUS_USAGE, _("forward %s: expected list, add or drop"), word);
}

/* agent_call.c: a command's side of the talk with the agent. Counterpart: visitor.c. */
#include "agent_call.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "explain.h"
#include "sallyport/clock.h"
#include "sallyport/fd.h"
#include "sallyport/own.h"
#include "sallyport/str.h"
#include "say.h"
#include "signals.h"

enum { ANSWER_BYTES_MAX = 64 * 1024 * 1024, WELCOME_MS = 10000 };

static int agent_lost(struct agent_call *call, struct diag *diag)
{
	call->lost = true;
	return diag_set(diag, STATUS_UNREACHABLE, _("The agent has ended; %s/%s may say why"), call->place.folder, call->place.log);
}

/* Waits until a message is there. */
static int wait_for_agent(struct agent_call *call, int limit_ms, struct diag *diag)
{
	struct pollfd watched[] = {{.fd = call->socket, .events = POLLIN}, {.fd = signals_fd(), .events = POLLIN}};
	uint64_t end_ms = clock_monotonic_ms() + (uint64_t)(limit_ms < 0 ? 0 : limit_ms);
	for (;;) {
		uint64_t now_ms = clock_monotonic_ms();
		if (limit_ms >= 0 && now_ms >= end_ms)
			return diag_set(diag, STATUS_UNREACHABLE, _("The agent does not answer"));
		/* With a limit it is a farewell: the signal that brought it shall not end it. */
		int ready = poll(watched, limit_ms < 0 ? 2 : 1, limit_ms < 0 ? -1 : (int)(end_ms - now_ms));
		if (ready > 0 && watched[0].revents)
			return STATUS_OK;
		if (limit_ms < 0 && signals_caught())
			return STATUS_SIGNAL;
	}
}

int agent_call_next(struct agent_call *call, const struct command_agent_handlers *handlers, void *self, int limit_ms,
		    struct diag *diag)
{
	static uint8_t space[EDGE_FRAME_MAX];
	struct edge_frame frame;
	if (limit_ms < 0 && signals_caught())
		return STATUS_SIGNAL;
	int status = wait_for_agent(call, limit_ms, diag);
	if (status != STATUS_OK)
		return status;
	struct diag breach;
	if (wire_receive(call->socket, space, sizeof(space), &frame) < 0)
		return agent_lost(call, diag);
	if (command_agent_dispatch(handlers, self, EDGE_FROM_SECOND, 1, &frame, &breach) < 0)
		return diag_set(diag, STATUS_FAILED, _("The agent is not of this program's version; run: sallyport down"));
	return STATUS_OK;
}

/* ---- what a command waits for ---- */

struct waiting {
	struct agent_call *call;
	bool over;
	bool until_opened; /* otherwise only the end counts */
	int status;
	char sentence[COMMAND_AGENT_SENTENCE_MAX + 1];
	unsigned http_status, retry_after_s;
	struct buf *body; /* NULL: not wanted */
	struct buf problem;
};

static void take_sentence(struct waiting *waiting, struct view sentence)
{
	if (view_to_string(sentence, waiting->sentence, sizeof(waiting->sentence)) < 0)
		waiting->sentence[0] = 0;
}

static int on_welcome(void *self, const struct command_agent_welcome *message, int *fd)
{
	(void)fd;
	struct waiting *waiting = self;
	waiting->call->pid = message->pid;
	waiting->status = message->protocol == COMMAND_AGENT_PROTOCOL ? STATUS_OK : STATUS_FAILED;
	waiting->over = true;
	return 0;
}

static int on_done(void *self, const struct command_agent_done *message, int *fd)
{
	(void)fd;
	struct waiting *waiting = self;
	take_sentence(waiting, message->sentence);
	waiting->status = (int)message->status;
	waiting->over = true;
	return 0;
}

static int on_note(void *self, const struct command_agent_note *message, int *fd)
{
	(void)fd;
	take_sentence(self, message->sentence);
	say("%s", ((struct waiting *)self)->sentence);
	return 0;
}

/* For a person who waits; a program only waits. */
static int on_progress(void *self, const struct command_agent_progress *message, int *fd)
{
	(void)fd;
	take_sentence(self, message->sentence);
	if (isatty(STDERR_FILENO) || explain_wanted())
		say("%s", ((struct waiting *)self)->sentence);
	return 0;
}

static int on_opened(void *self, const struct command_agent_opened *message, int *fd)
{
	(void)message, (void)fd;
	struct waiting *waiting = self;
	waiting->over |= waiting->until_opened;
	return 0;
}

static int on_answer(void *self, const struct command_agent_answer *message, int *fd)
{
	struct waiting *waiting = self;
	OWN_FD int body = take_fd(fd);
	take_sentence(waiting, message->sentence);
	waiting->status = (int)message->status;
	waiting->http_status = message->http_status;
	waiting->retry_after_s = message->retry_after_s;
	(void)!view_to_string(message->gateway, waiting->call->gateway, sizeof(waiting->call->gateway));
	waiting->over = true;
	struct buf *into = message->status == STATUS_OK ? waiting->body : &waiting->problem;
	if (into && fd_read_all(body, into) < 0)
		waiting->status = STATUS_FAILED;
	return 0;
}

static int on_report(void *self, const struct command_agent_report *message, int *fd)
{
	(void)message;
	struct waiting *waiting = self;
	OWN_FD int body = take_fd(fd);
	waiting->status = fd_read_all(body, waiting->body) < 0 ? STATUS_FAILED : STATUS_OK;
	waiting->over = true;
	return 0;
}

static const struct command_agent_handlers handlers = {
	.welcome = on_welcome,
	.done = on_done,
	.note = on_note,
	.progress = on_progress,
	.opened = on_opened,
	.answer = on_answer,
	.report = on_report,
};

static int wait_until_over(struct waiting *waiting, int limit_ms, struct diag *diag)
{
	while (!waiting->over) {
		int status = agent_call_next(waiting->call, &handlers, waiting, limit_ms, diag);
		if (status != STATUS_OK)
			return status;
	}
	return diag_set(diag, waiting->status, "%s", waiting->sentence);
}

int agent_call_done(struct agent_call *call, struct diag *diag)
{
	struct waiting waiting = {.call = call};
	return wait_until_over(&waiting, -1, diag);
}

int agent_call_opened(struct agent_call *call, struct diag *diag)
{
	struct waiting waiting = {.call = call, .until_opened = true};
	return wait_until_over(&waiting, -1, diag);
}

int agent_call_listen(struct agent_call *call, struct diag *diag)
{
	struct waiting waiting = {.call = call};
	int status = agent_call_next(call, &handlers, &waiting, 1000, diag);
	if (status == STATUS_OK && waiting.over && waiting.sentence[0])
		say("%s", waiting.sentence);
	return status;
}

int agent_call_report(struct agent_call *call, struct buf *out_text, struct diag *diag)
{
	struct waiting waiting = {.call = call, .body = out_text};
	AGENT_CALL_SEND(call, inquire, -1);
	return wait_until_over(&waiting, -1, diag);
}

int agent_call_ask(struct agent_call *call, const struct api_request *request, int limit_ms, struct buf *out_body,
		   struct refused *out_refused, struct diag *diag)
{
	struct waiting waiting = {.call = call, .body = out_body, .problem = BUF_INIT(ANSWER_BYTES_MAX)};
	if (request->body.size > COMMAND_AGENT_BODY_MAX)
		return diag_set(diag, STATUS_FAILED, _("The answers are longer than %d bytes"), COMMAND_AGENT_BODY_MAX);
	AGENT_CALL_SEND(call, ask, -1, .method = view_string(request->method), .path = view_string(request->path),
			.with_session = request->with_session, .only_at = view_string(request->only_at),
			.token = view_string(request->token), .body = request->body);
	int status = wait_until_over(&waiting, limit_ms, diag);
	char wait[16] = "";
	if (waiting.retry_after_s)
		snprintf(wait, sizeof(wait), "%u", waiting.retry_after_s);
	if (waiting.http_status && out_refused)
		problem_read(buf_view(&waiting.problem), waiting.http_status, view_string(wait), out_refused);
	buf_wipe(&waiting.problem);
	return status;
}

/* ---- life ---- */

static int greet(struct agent_call *call, struct diag *diag)
{
	struct waiting waiting = {.call = call};
	AGENT_CALL_SEND(call, hello, -1, .protocol = COMMAND_AGENT_PROTOCOL, .version = view_string(SALLYPORT_VERSION),
			.verbose = explain_wanted());
	int status = wait_until_over(&waiting, WELCOME_MS, diag);
	if (status == STATUS_OK)
		explain("The agent, process %u, answers at %s/%s", call->pid, call->place.folder, call->place.socket);
	return status;
}

/* One of another version speaks otherwise: it goes, and its socket with it. */
static void replace(struct agent_call *call)
{
	struct diag diag;
	struct waiting waiting = {.call = call};
	AGENT_CALL_SEND(call, leave, -1);
	while (wait_until_over(&waiting, WELCOME_MS, &diag) == STATUS_OK)
		waiting.over = false;
	agent_call_close(call);
}

int agent_call_open(struct agent_call *call, const struct settings *settings, enum agent_call_start start,
		    struct diag *diag)
{
	*call = (struct agent_call){.socket = -1};
	int status = agent_place_find(settings, &call->place, diag);
	/* An agent that is just leaving, or one of another version, is followed by a new one. */
	for (int i = 0; i < 3 && status == STATUS_OK; i++) {
		status = start == AGENT_CALL_START ? agent_place_reach(&call->place, settings, &call->socket, diag)
						   : agent_place_connect(&call->place, &call->socket, diag);
		if (status != STATUS_OK || call->socket < 0)
			return status;
		status = greet(call, diag);
		if (status == STATUS_OK || start == AGENT_CALL_GLANCE)
			return status;
		if (call->lost)
			agent_call_close(call);
		else
			replace(call);
		call->lost = false;
		status = i < 2 ? STATUS_OK : status;
	}
	return status;
}

void agent_call_close(struct agent_call *call)
{
	if (call->socket >= 0)
		close(take_fd(&call->socket));
}

/* visitor.c: a command at the agent's door. Counterpart: agent_call.c; the messages are those of
 * edge/command_agent.h. What a visitor has begun ends with it, except the forwards that it asked to keep (kept.c). */
#include "visitor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "answer.h"
#include "entrance.h"
#include "errand.h"
#include "kept.h"
#include "news.h"
#include "passage.h"
#include "report.h"
#include "sallyport/clock.h"
#include "sallyport/edge/command_agent.h"
#include "sallyport/fd.h"
#include "sallyport/link.h"
#include "sallyport/own.h"
#include "sallyport/str.h"

/* A command that does not read its answers. */
enum { PENDING_BYTES = 1024 * 1024 };

struct visitor {
	struct link link; /* first: a link is its visitor */
	struct agent *agent;
	enum command_agent_state state;
	bool verbose;
	struct errand *errand;
	bool asks_login;               /* that errand is about a login */
	char login[ANSWER_ID_MAX + 1]; /* under way at the gateway; empty: none */
	char login_at[COMMAND_AGENT_GATEWAY_MAX + 1];
	struct passage *passage;
	struct uplink_waiter stay;
	int in_fd, out_fd; /* of a passage that does not stand */
	struct visitor *previous, *next;
};

static struct view sentence_view(const char *text)
{
	size_t length = strlen(text);
	return view_of(text, length < COMMAND_AGENT_SENTENCE_MAX ? length : COMMAND_AGENT_SENTENCE_MAX);
}

static int send_done(struct visitor *visitor, int status, const char *sentence)
{
	visitor->state = COMMAND_AGENT_READY;
	(void)LINK_SEND(&visitor->link, command_agent, done, -1, .status = (uint32_t)status, .sentence = sentence_view(sentence));
	return 0;
}

static int send_note(struct visitor *visitor, const char *sentence)
{
	(void)LINK_SEND(&visitor->link, command_agent, note, -1, .sentence = sentence_view(sentence));
	return 0;
}

/* ---- requests ---- */

/* How it stands when a verbose command comes: what follows is told when it happens. */
static void describe(struct visitor *visitor)
{
	struct uplink_state state;
	char since[32], sentence[1024];
	uplink_state(visitor->agent->uplink, &state);
	clock_format(state.since_ms, since, sizeof(since));
	snprintf(sentence, sizeof(sentence), "Gateway %s: %s since %s; %zu older connections carry something%s%s", state.gateway, state.word,
		 since, state.retired, *state.sentence ? "; the last one ended so: " : "", state.sentence);
	(void)!send_note(visitor, sentence);
}

static int on_hello(void *self, const struct command_agent_hello *message, int *fd)
{
	(void)fd;
	struct visitor *visitor = self;
	visitor->state = COMMAND_AGENT_READY;
	visitor->verbose = message->verbose;
	if (visitor->verbose)
		describe(visitor);
	(void)LINK_SEND(&visitor->link, command_agent, welcome, -1, .protocol = COMMAND_AGENT_PROTOCOL,
			.version = view_string(SALLYPORT_VERSION), .pid = (uint32_t)getpid());
	return 0;
}

/* Remembers which login is under way. A connection that was lost says nothing about it. */
static void note_login(struct visitor *visitor, const struct errand_result *result)
{
	struct answer_step step;
	struct diag diag;
	if (!visitor->asks_login || (result->status != STATUS_OK && !result->refused))
		return;
	visitor->login[0] = 0;
	if (result->status != STATUS_OK || answer_parse_step(result->body, &step, &diag) != STATUS_OK)
		return;
	memcpy(visitor->login, step.conversation, sizeof(visitor->login));
	str_copy(visitor->login_at, sizeof(visitor->login_at), result->gateway);
	answer_step_fini(&step);
}

static void on_answered(void *owner, const struct errand_result *result)
{
	struct visitor *visitor = owner;
	note_login(visitor, result);
	OWN_FD int body = fd_seal(result->body);
	visitor->errand = NULL;
	visitor->state = COMMAND_AGENT_READY;
	if (body < 0) {
		(void)!send_done(visitor, STATUS_FAILED, _("The agent is out of memory"));
		return;
	}
	(void)LINK_SEND(&visitor->link, command_agent, answer, body, .status = (uint32_t)result->status,
			.sentence = sentence_view(result->status == STATUS_OK ? "" : result->diag.text),
			.http_status = result->refused ? result->refused->http_status : 0,
			.retry_after_s = result->refused ? result->refused->retry_after_s : 0,
			.gateway = view_string(result->gateway));
}

static int on_ask(void *self, const struct command_agent_ask *message, int *fd)
{
	(void)fd;
	struct visitor *visitor = self;
	struct token token;
	struct diag diag;
	char method[17], path[1025], only_at[COMMAND_AGENT_GATEWAY_MAX + 1];
	if (view_to_string(message->method, method, sizeof(method)) < 0 ||
	    view_to_string(message->only_at, only_at, sizeof(only_at)) < 0 ||
	    view_to_string(message->path, path, sizeof(path)) < 0 ||
	    view_to_string(message->token, token.text, sizeof(token.text)) < 0)
		return ERR_BAD_PEER;
	const struct api_request request = {
		.method = method, .path = path, .token = token.text, .with_session = message->with_session, .only_at = only_at,
		.body = message->body};
	visitor->state = COMMAND_AGENT_ASKED;
	visitor->asks_login = strncmp(path, "/v1/login", 9) == 0;
	errand_drop(take_pointer(&visitor->errand));
	int status = errand_start(visitor->agent->uplink, &request, on_answered, visitor, &visitor->errand, &diag);
	token_wipe(&token);
	return status == STATUS_OK ? 0 : send_done(visitor, status, diag.text);
}

/* ---- a tunnel ---- */

static void close_pair(struct visitor *visitor)
{
	if (visitor->in_fd >= 0 && visitor->in_fd != visitor->out_fd)
		tunnel_close_with_reset(visitor->in_fd);
	if (visitor->out_fd >= 0)
		tunnel_close_with_reset(visitor->out_fd);
	visitor->in_fd = visitor->out_fd = -1;
}

static void on_passage_stands(void *owner)
{
	struct visitor *visitor = owner;
	visitor->in_fd = visitor->out_fd = -1;
	(void)LINK_SEND(&visitor->link, command_agent, opened, -1);
}

static void on_passage_over(void *owner, const struct passage_ending *ending)
{
	struct visitor *visitor = owner;
	visitor->passage = NULL;
	if (!ending->stood)
		close_pair(visitor);
	(void)!send_done(visitor, ending->status, ending->status == STATUS_OK ? "" : ending->diag.text);
}

static int on_input(void *self, const struct command_agent_input *message, int *fd)
{
	(void)message;
	struct visitor *visitor = self;
	if (visitor->in_fd >= 0)
		return ERR_BAD_PEER;
	visitor->in_fd = take_fd(fd);
	return 0;
}

static int on_carry(void *self, const struct command_agent_carry *message, int *fd)
{
	struct visitor *visitor = self;
	struct passage_options options = {
		.agent = visitor->agent,
		.patience = UPLINK_PATIENT,
		.on_stands = on_passage_stands,
		.on_over = on_passage_over,
		.owner = visitor,
	};
	struct diag diag;
	if (!message->port || message->port > 65535 || view_to_string(message->host, options.destination.host,
								      sizeof(options.destination.host)) < 0)
		return ERR_BAD_PEER;
	options.destination.port = (uint16_t)message->port;
	visitor->out_fd = take_fd(fd);
	if (visitor->in_fd < 0)
		visitor->in_fd = visitor->out_fd;
	options.in_fd = visitor->in_fd;
	options.out_fd = visitor->out_fd;
	visitor->state = COMMAND_AGENT_ASKED;
	int status = passage_start(&options, &visitor->passage, &diag);
	if (status == STATUS_OK)
		return 0;
	close_pair(visitor);
	return send_done(visitor, status, diag.text);
}

/* ---- local ports ---- */

static void on_entrance_note(void *owner, const char *sentence)
{
	(void)!send_note(owner, sentence);
}

static void on_entrance_hopeless(void *owner, int status, const struct diag *diag)
{
	(void)!send_done(owner, status, diag->text);
}

static int on_listen(void *self, const struct command_agent_listen *message, int *fd)
{
	struct visitor *visitor = self;
	struct entrance_options options = {
		.agent = visitor->agent,
		.fd = *fd,
		.on_note = on_entrance_note,
		.on_hopeless = on_entrance_hopeless,
		.owner = visitor,
	};
	struct entrance *entrance;
	struct diag diag;
	char text[513];
	if (view_to_string(message->text, text, sizeof(text)) < 0)
		return ERR_BAD_PEER;
	int status = forward_parse_kind(message->kind, text, &options.forward, &diag);
	if (status == STATUS_OK)
		status = entrance_open(&options, &entrance, &diag);
	if (status != STATUS_OK)
		return send_done(visitor, status, diag.text);
	(void)take_fd(fd);
	uplink_wanted(visitor->agent->uplink);
	return 0;
}

static int on_add(void *self, const struct command_agent_add *message, int *fd)
{
	(void)fd;
	struct visitor *visitor = self;
	struct diag diag = {0};
	char text[513];
	if (view_to_string(message->text, text, sizeof(text)) < 0)
		return ERR_BAD_PEER;
	int status = kept_add(visitor->agent, message->kind, text, &diag);
	return send_done(visitor, status, diag.text);
}

static int on_drop(void *self, const struct command_agent_drop *message, int *fd)
{
	(void)fd;
	struct visitor *visitor = self;
	struct diag diag = {0};
	char text[513];
	if (view_to_string(message->text, text, sizeof(text)) < 0)
		return ERR_BAD_PEER;
	int status = kept_drop(visitor->agent, text, &diag);
	return send_done(visitor, status, diag.text);
}

/* ---- the agent itself ---- */

static struct visitor *visitor_of_stay(struct uplink_waiter *waiter)
{
	return (struct visitor *)(void *)((char *)waiter - offsetof(struct visitor, stay));
}

static void on_stay_ready(struct uplink_waiter *waiter, struct connection *connection)
{
	(void)!send_done(visitor_of_stay(waiter), STATUS_OK, connection_authority(connection));
}

static void on_stay_failed(struct uplink_waiter *waiter, int status, const struct diag *diag)
{
	(void)!send_done(visitor_of_stay(waiter), status, diag->text);
}

static int on_stay(void *self, const struct command_agent_stay *message, int *fd)
{
	(void)message, (void)fd;
	struct visitor *visitor = self;
	visitor->agent->stays = true;
	visitor->stay = (struct uplink_waiter){.on_ready = on_stay_ready, .on_failed = on_stay_failed};
	visitor->state = COMMAND_AGENT_ASKED;
	uplink_wait(visitor->agent->uplink, &visitor->stay);
	return 0;
}

static int on_leave(void *self, const struct command_agent_leave *message, int *fd)
{
	(void)message, (void)fd;
	struct visitor *visitor = self;
	agent_leave(visitor->agent);
	return send_done(visitor, STATUS_OK, "");
}

static int on_inquire(void *self, const struct command_agent_inquire *message, int *fd)
{
	(void)message, (void)fd;
	struct visitor *visitor = self;
	OWN_BUF struct buf text = BUF_INIT(64 * 1024 * 1024);
	OWN_FD int body = report_write(visitor->agent, &text) == STATUS_OK ? fd_seal(buf_view(&text)) : -1;
	if (body < 0)
		return send_done(visitor, STATUS_FAILED, _("The agent is out of memory"));
	(void)LINK_SEND(&visitor->link, command_agent, report, body);
	return 0;
}

void visitor_note_all(struct agent *agent, const struct destination *destination, const char *sentence)
{
	struct passage_facts facts;
	for (struct visitor *visitor = agent->visitors; visitor; visitor = visitor->next) {
		if (!visitor->passage)
			continue;
		passage_look(visitor->passage, &facts);
		if (!destination || destination_equal(destination, facts.destination))
			(void)!send_note(visitor, sentence);
	}
}

void visitor_progress(struct agent *agent, const char *sentence)
{
	for (struct visitor *visitor = agent->visitors; visitor; visitor = visitor->next)
		if (visitor->state == COMMAND_AGENT_ASKED)
			(void)LINK_SEND(&visitor->link, command_agent, progress, -1, .sentence = sentence_view(sentence));
}

void visitor_explain(struct agent *agent, const char *sentence)
{
	for (struct visitor *visitor = agent->visitors; visitor; visitor = visitor->next)
		if (visitor->verbose)
			(void)!send_note(visitor, sentence);
}

static const struct command_agent_handlers handlers = {
	.hello = on_hello,
	.ask = on_ask,
	.input = on_input,
	.carry = on_carry,
	.listen = on_listen,
	.add = on_add,
	.drop = on_drop,
	.stay = on_stay,
	.leave = on_leave,
	.inquire = on_inquire,
};

/* ---- life ---- */

static void on_link_closed(struct link *link)
{
	free(link);
}

static void on_cancelled(void *owner, const struct errand_result *result)
{
	(void)owner, (void)result;
}

/* The command was killed in the middle of its login: nobody will answer any more. */
static void cancel_login(struct visitor *visitor)
{
	char path[ANSWER_ID_MAX + 16];
	struct errand *errand;
	struct diag diag;
	if (!visitor->login[0])
		return;
	snprintf(path, sizeof(path), "/v1/login/%s", visitor->login);
	const struct api_request request = {.method = "DELETE", .path = path, .only_at = visitor->login_at};
	(void)!errand_start(visitor->agent->uplink, &request, on_cancelled, NULL, &errand, &diag);
}

void visitor_dismiss(struct visitor *visitor)
{
	struct agent *agent = visitor->agent;
	if (visitor->previous)
		visitor->previous->next = visitor->next;
	else
		agent->visitors = visitor->next;
	if (visitor->next)
		visitor->next->previous = visitor->previous;
	errand_drop(visitor->errand);
	cancel_login(visitor);
	uplink_leave(agent->uplink, &visitor->stay);
	for (struct entrance *entrance = agent->entrances, *next; entrance; entrance = next) {
		next = entrance_next(agent, entrance);
		if (entrance_owner(entrance) == visitor)
			entrance_close(entrance);
	}
	/* A passage closes its descriptors itself. */
	if (visitor->passage)
		passage_cut(visitor->passage);
	else
		close_pair(visitor);
	link_close(&visitor->link, on_link_closed);
	/* It may have been a login or a logout. */
	if (!agent->closing)
		news_look(agent->news);
}

static void on_end(struct link *link, int reason)
{
	(void)reason;
	visitor_dismiss((struct visitor *)link);
}

static void on_frame(struct link *link, struct edge_frame *frame)
{
	struct visitor *visitor = (struct visitor *)link;
	struct diag diag;
	if (command_agent_dispatch(&handlers, visitor, EDGE_FROM_FIRST, visitor->state, frame, &diag) < 0)
		visitor_dismiss(visitor);
}

int visitor_admit(struct agent *agent, int fd)
{
	struct visitor *visitor = calloc(1, sizeof(*visitor));
	if (!visitor)
		return STATUS_FAILED;
	*visitor = (struct visitor){.agent = agent, .state = COMMAND_AGENT_NEW, .in_fd = -1, .out_fd = -1, .next = agent->visitors};
	visitor->link.on_frame = on_frame;
	visitor->link.on_end = on_end;
	if (link_init(&visitor->link, &agent->loop.uv, fd, PENDING_BYTES) < 0) {
		free(visitor);
		return STATUS_FAILED;
	}
	if (visitor->next)
		visitor->next->previous = visitor;
	agent->visitors = visitor;
	return STATUS_OK;
}

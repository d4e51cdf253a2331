/* conversation_edge.c: the broker's end of a conversation's edge. Counterpart: gateway/conversation/main.c. */
#include <stdlib.h>
#include <string.h>

#include "broker.h"
#include "login.h"
#include "sallyport/link.h"
#include "sallyport/log.h"
#include "sallyport/own.h"
#include "sallyport/str.h"

enum { PENDING_BYTES_MAX = 4 << 20 };

static void on_link_closed(struct link *link)
{
	free(link);
}

void conversation_close(struct login *login)
{
	if (!login->link)
		return;
	(void)LINK_SEND(login->link, broker_conversation, cancel, -1);
	link_close(login->link, on_link_closed);
	login->link = NULL;
	login->state = BROKER_CONVERSATION_OVER;
}

static void fail(struct login *login, const char *reason)
{
	login->outcome = LOGIN_BAD;
	str_copy(login->reason, sizeof(login->reason), reason);
	conversation_close(login);
	login_changed(login);
}

/* ---- what the stack says ---- */

static int on_message(void *self, const struct broker_conversation_message *message, int *fd)
{
	struct login *login = self;
	(void)fd;
	if (message->style < CONVERSATION_SECRET || message->style > CONVERSATION_ERROR ||
	    login->message_count == LOGIN_MESSAGES_MAX)
		return ERR_BAD_PEER;
	char *text = view_duplicate(message->text);
	if (!text)
		return ERR_SYSTEM;
	login->round_complete = false;
	login->messages[login->message_count++] = (struct login_message){message->style, text};
	return 0;
}

static uint32_t count_prompts(const struct login *login)
{
	uint32_t prompts = 0;
	for (unsigned i = 0; i < login->message_count; i++)
		prompts += login->messages[i].style <= CONVERSATION_TEXT;
	return prompts;
}

static int on_round(void *self, const struct broker_conversation_round *message, int *fd)
{
	struct login *login = self;
	(void)fd;
	if (message->prompts != count_prompts(login) || message->prompts > CONVERSATION_MESSAGES_MAX)
		return ERR_BAD_PEER;
	login->prompts = message->prompts;
	login->round_complete = login->message_count > 0;
	if (login->prompts > 0) {
		login->state = BROKER_CONVERSATION_ASKING;
		if (++login->rounds > login->broker->room->conf.login_rounds)
			return ERR_LIMIT;
	}
	login_changed(login);
	return 0;
}

/* For the record. */
static void tell_no(struct login *login, unsigned phase, unsigned pam_code, const char *reason)
{
	static const char *const phases[] = {"before it began", "start", "authenticate", "account", "session"};
	snprintf(login->reason, sizeof(login->reason), "PAM said no (%s, code %u): %s",
		 phase < sizeof(phases) / sizeof(phases[0]) ? phases[phase] : "?", pam_code, reason);
}

static int on_result(void *self, const struct broker_conversation_result *message, int *fd)
{
	struct login *login = self;
	char reason[513];
	(void)fd;
	if (view_to_string(message->user, login->result_user, sizeof(login->result_user)) < 0 ||
	    view_to_string(message->reason, reason, sizeof(reason)) < 0)
		return ERR_BAD_PEER;
	if (login->outcome != LOGIN_OPEN)
		return ERR_BAD_PEER;
	login->outcome = message->good == 1 && login->result_user[0] ? LOGIN_GOOD : LOGIN_BAD;
	tell_no(login, message->phase, message->pam_code, reason);
	login->has_session = login->outcome == LOGIN_GOOD && message->session == 1;
	if (login->has_session)
		login->state = BROKER_CONVERSATION_GRANTED;
	else
		conversation_close(login);
	login_changed(login);
	return 0;
}

static int on_session_opened(void *self, const struct broker_conversation_session_opened *message, int *fd)
{
	struct login *login = self;
	char reason[513];
	(void)fd;
	if (!login->is_opening || view_to_string(message->reason, reason, sizeof(reason)) < 0)
		return ERR_BAD_PEER;
	login->is_opening = false;
	login->is_opened = message->good == 1 && view_is(message->user, login->result_user);
	login->state = BROKER_CONVERSATION_SESSION;
	if (!login->is_opened) {
		login->outcome = LOGIN_BAD;
		tell_no(login, CONVERSATION_SESSION, message->pam_code, reason);
		conversation_close(login);
	}
	login_changed(login);
	return 0;
}

static const struct broker_conversation_handlers handlers = {
	.message = on_message, .round = on_round, .result = on_result, .session_opened = on_session_opened};

static void on_frame(struct link *link, struct edge_frame *frame)
{
	struct login *login = link->owner;
	if (login->link != link) {
		edge_frame_release(&broker_conversation_edge, frame);
		return;
	}
	struct diag diag = {"a message that makes no sense"};
	int result =
		broker_conversation_dispatch(&handlers, login, EDGE_FROM_SECOND, login->state, frame, &diag);
	if (result == ERR_LIMIT)
		fail(login, "more rounds than login_rounds allows");
	else if (result < 0) {
		log_error("a conversation broke the protocol: %s", diag.text);
		fail(login, diag.text);
	}
}

static void on_end(struct link *link, int reason)
{
	struct login *login = link->owner;
	(void)reason;
	fail(login, "the conversation's process ended without a result");
}

/* ---- what it is told ---- */

static void send_fact(struct login *login, const char *name, const char *value)
{
	(void)LINK_SEND(login->link, broker_conversation, fact, -1, .name = view_string(name), .value = view_string(value));
}

/* One a line in memory, separated by commas for modules. */
static void send_tags(struct login *login)
{
	char tags[1024];
	str_copy(tags, sizeof(tags), login->device->tags);
	size_t length = strlen(tags);
	if (length && tags[length - 1] == '\n')
		tags[length - 1] = 0;
	for (char *place = tags; (place = strchr(place, '\n')); place++)
		*place = ',';
	send_fact(login, "SALLYPORT_DEVICE_TAGS", tags);
}

int conversation_connect(struct login *login, int fd)
{
	OWN_FD int owned = fd;
	OWN_MEMORY struct link *link = calloc(1, sizeof(*link));
	if (!link || link_init(link, login->broker->loop, owned, PENDING_BYTES_MAX) < 0)
		return ERR_SYSTEM;
	take_fd(&owned);
	link->owner = login;
	link->on_frame = on_frame;
	link->on_end = on_end;
	login->link = take_pointer(&link);
	send_fact(login, "SALLYPORT_DEVICE", login->device->name);
	send_fact(login, "SALLYPORT_DEVICE_ID", login->device->id);
	send_tags(login);
	send_fact(login, "SALLYPORT_KEY_KIND", login->key_kind);
	send_fact(login, "SALLYPORT_ADDRESS", login->address);
	send_fact(login, "SALLYPORT_REQUEST_ID", login->request_id);
	send_fact(login, "SALLYPORT_REALM", login->realm);
	(void)LINK_SEND(login->link, broker_conversation, start, -1, .user = view_string(login->user),
			.address = view_string(login->address), .realm = view_string(login->realm));
	login->state = BROKER_CONVERSATION_RUNNING;
	return 0;
}

void conversation_answer(struct login *login, const struct buf *answers, uint32_t count)
{
	for (uint32_t i = 0; i < count && login->link; i++)
		(void)LINK_SEND(login->link, broker_conversation, answer, -1, .text = buf_view(&answers[i]));
	login->state = BROKER_CONVERSATION_RUNNING;
}

void conversation_open_session(struct login *login)
{
	login->is_opening = true;
	login->state = BROKER_CONVERSATION_RUNNING;
	(void)LINK_SEND(login->link, broker_conversation, open_session, -1);
}

struct link *conversation_take(struct login *login)
{
	return login->is_opened ? take_pointer(&login->link) : NULL;
}

/* dialogue.c: questions to the broker and its answers, one at a time, bounded in time and number.
 *
 * Knows nothing of PAM (stack.c). Counterpart: gateway/broker/conversation_edge.c.
 */
#include "dialogue.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sallyport/clock.h"
#include "sallyport/own.h"
#include "sallyport/str.h"
#include "sallyport/wire.h"

static uint8_t receive_space[EDGE_FRAME_MAX];

static int on_fact(void *self, const struct broker_conversation_fact *message, int *fd)
{
	struct dialogue *dialogue = self;
	(void)fd;
	if (dialogue->fact_count == DIALOGUE_FACTS_MAX)
		return ERR_BAD_PEER;
	char *fact = NULL;
	if (asprintf(&fact, "%.*s=%.*s", (int)message->name.size, (const char *)message->name.data,
		     (int)message->value.size, (const char *)message->value.data) < 0)
		return ERR_SYSTEM;
	dialogue->facts[dialogue->fact_count++] = fact;
	return 0;
}

static int on_start(void *self, const struct broker_conversation_start *message, int *fd)
{
	struct dialogue *dialogue = self;
	(void)fd;
	dialogue->state = BROKER_CONVERSATION_RUNNING;
	int result = view_to_string(message->user, dialogue->user, sizeof(dialogue->user));
	if (result == 0)
		result = view_to_string(message->address, dialogue->address, sizeof(dialogue->address));
	return result < 0 ? result : view_to_string(message->realm, dialogue->realm, sizeof(dialogue->realm));
}

static int on_answer(void *self, const struct broker_conversation_answer *message, int *fd)
{
	struct dialogue *dialogue = self;
	(void)fd;
	/* PAM's answers are C strings: a NUL would cut one short, and the rest would never be judged. */
	if (message->text.size && memchr(message->text.data, 0, message->text.size))
		return ERR_BAD_INPUT;
	*dialogue->answer = view_duplicate(message->text);
	return *dialogue->answer ? 0 : ERR_SYSTEM;
}

static int on_cancel(void *self, const struct broker_conversation_cancel *message, int *fd)
{
	struct dialogue *dialogue = self;
	(void)message, (void)fd;
	dialogue->cancelled = true;
	return ERR_DENIED;
}

static int on_open_session(void *self, const struct broker_conversation_open_session *message, int *fd)
{
	struct dialogue *dialogue = self;
	(void)message, (void)fd;
	dialogue->state = BROKER_CONVERSATION_RUNNING;
	return 0;
}

static const struct broker_conversation_handlers handlers = {
	.fact = on_fact, .start = on_start, .answer = on_answer, .cancel = on_cancel, .open_session = on_open_session};

static int wait_readable(const struct dialogue *dialogue)
{
	struct pollfd broker = {.fd = dialogue->broker, .events = POLLIN};
	for (;;) {
		uint64_t now = clock_monotonic_ms();
		if (now >= dialogue->deadline_ms)
			return ERR_TIMEOUT;
		int ready = poll(&broker, 1, (int)(dialogue->deadline_ms - now));
		if (ready > 0)
			return 0;
		if (ready < 0 && errno != EINTR)
			return ERR_SYSTEM;
	}
}

static int take_one(struct dialogue *dialogue, struct diag *diag)
{
	int result = wait_readable(dialogue);
	struct edge_frame frame;
	if (result == 0)
		result = wire_receive(dialogue->broker, receive_space, sizeof(receive_space), &frame);
	if (result < 0)
		return diag_set(diag, result, "nobody answers (%s)", err_name(result));
	return broker_conversation_dispatch(&handlers, dialogue, EDGE_FROM_FIRST, dialogue->state, &frame, diag);
}

int dialogue_begin(struct dialogue *dialogue, struct diag *diag)
{
	int result = 0;
	dialogue->state = BROKER_CONVERSATION_NEW;
	while (result == 0 && dialogue->state == BROKER_CONVERSATION_NEW)
		result = take_one(dialogue, diag);
	return result;
}

/* What a message holds of a longer text: whole lines, or at least whole characters. */
static struct view first_piece(struct view text)
{
	size_t size = CONVERSATION_TEXT_MAX;
	if (text.size <= size)
		return text;
	for (size_t line = size; line > 0; line--)
		if (text.data[line] == '\n')
			return view_of(text.data, line);
	while ((text.data[size] & 0xc0) == 0x80)
		size--;
	return view_of(text.data, size);
}

static int send_piece(const struct dialogue *dialogue, uint8_t style, struct view text)
{
	return WIRE_SEND(dialogue->broker, broker_conversation, message, -1, .style = style, .text = text);
}

/* Of a long prompt only the last piece is one; what stands before it is said as info. */
static int send_pieces(const struct dialogue *dialogue, uint8_t style, struct view text)
{
	struct view piece = first_piece(text);
	int result = 0;
	while (result == 0 && piece.size < text.size) {
		result = send_piece(dialogue, style == CONVERSATION_ERROR ? style : CONVERSATION_INFO, piece);
		size_t used = piece.size + (text.data[piece.size] == '\n');
		text = view_of(text.data + used, text.size - used);
		piece = first_piece(text);
	}
	return result < 0 ? result : send_piece(dialogue, style, piece);
}

int dialogue_say(struct dialogue *dialogue, uint8_t style, const char *text)
{
	OWN_SECRET_BUF struct buf shown = BUF_INIT(DIALOGUE_TEXT_MAX + 1);
	text = text ? text : "";
	if (strlen(text) > DIALOGUE_TEXT_MAX)
		return ERR_BAD_INPUT;
	if (buf_add(&shown, view_of(text, strlen(text) + 1)) < 0)
		return ERR_SYSTEM;
	if (!view_is_utf8(view_string(text)))
		str_make_printable((char *)shown.data);
	return send_pieces(dialogue, style, view_of(shown.data, shown.size - 1));
}

static void forget_answers(char **answers, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		if (answers[i])
			wipe(answers[i], strlen(answers[i]));
		free(answers[i]);
		answers[i] = NULL;
	}
}

static int collect_answers(struct dialogue *dialogue, char **out_answers, uint32_t count)
{
	struct diag diag;
	int result = 0;
	dialogue->state = BROKER_CONVERSATION_ASKING;
	for (uint32_t i = 0; result == 0 && i < count; i++) {
		dialogue->answer = &out_answers[i];
		result = take_one(dialogue, &diag);
	}
	dialogue->state = BROKER_CONVERSATION_RUNNING;
	if (result < 0)
		forget_answers(out_answers, count);
	return result;
}

int dialogue_ask(struct dialogue *dialogue, char **out_answers, uint32_t count)
{
	if (dialogue->cancelled)
		return ERR_DENIED;
	if (count && dialogue->rounds_left == 0)
		return ERR_LIMIT;
	int result = WIRE_SEND(dialogue->broker, broker_conversation, round, -1, .prompts = count);
	if (result < 0 || count == 0)
		return result;
	dialogue->rounds_left--;
	return collect_answers(dialogue, out_answers, count);
}

int dialogue_end(struct dialogue *dialogue, const struct dialogue_result *result)
{
	char reason[513];
	str_copy(reason, sizeof(reason), result->reason);
	str_make_printable(reason);
	dialogue->state = result->has_session ? BROKER_CONVERSATION_GRANTED : BROKER_CONVERSATION_OVER;
	return WIRE_SEND(dialogue->broker, broker_conversation, result, -1, .good = result->good,
			 .phase = (uint8_t)result->phase, .pam_code = (uint32_t)result->pam_code,
			 .user = view_string(result->user), .reason = view_string(reason), .session = result->has_session);
}

int dialogue_await_session(struct dialogue *dialogue)
{
	struct diag diag;
	int result = 0;
	while (result == 0 && dialogue->state == BROKER_CONVERSATION_GRANTED)
		result = take_one(dialogue, &diag);
	return result;
}

int dialogue_session_opened(struct dialogue *dialogue, const struct dialogue_result *result)
{
	char reason[513];
	str_copy(reason, sizeof(reason), result->reason);
	str_make_printable(reason);
	dialogue->state = BROKER_CONVERSATION_SESSION;
	return WIRE_SEND(dialogue->broker, broker_conversation, session_opened, -1, .good = result->good,
			 .pam_code = (uint32_t)result->pam_code, .user = view_string(result->user), .reason = view_string(reason));
}

void dialogue_await_end(const struct dialogue *dialogue)
{
	/* Nothing is said any more: whatever can be read, the end too, is the end. */
	struct pollfd broker = {.fd = dialogue->broker, .events = POLLIN};
	while (poll(&broker, 1, -1) < 0 && errno == EINTR)
		;
}

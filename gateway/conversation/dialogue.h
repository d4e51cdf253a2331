/* dialogue.h: the conversation's end of the broker_conversation edge, as blocking questions and answers. */
#ifndef SALLYPORT_CONVERSATION_DIALOGUE_H
#define SALLYPORT_CONVERSATION_DIALOGUE_H

#include <stdint.h>

#include "sallyport/edge/broker_conversation.h"

#define DIALOGUE_FACTS_MAX 32
#define DIALOGUE_TEXT_MAX (32 * CONVERSATION_TEXT_MAX)

struct dialogue {
	int broker;
	enum broker_conversation_state state;
	uint64_t deadline_ms; /* clock_monotonic_ms; nobody is waited for beyond it */
	uint64_t rounds_left;
	char *facts[DIALOGUE_FACTS_MAX]; /* "NAME=value", for pam_putenv(3) */
	unsigned fact_count;
	char user[257];
	char address[65];
	char realm[33]; /* empty: REALM_DEFAULT */
	bool cancelled;
	char **answer; /* where the next answer goes, while a round is open */
};

/* Takes facts until `start`. ERR_CLOSED when the broker is gone, ERR_TIMEOUT, ERR_BAD_PEER. */
[[nodiscard]] int dialogue_begin(struct dialogue *dialogue, struct diag *diag);

/* Shows one text (enum conversation_style) at once. Text that is not UTF-8 is made printable; one that is longer than a
 * message goes as several, parted at the end of a line where there is one. ERR_BAD_INPUT: longer than DIALOGUE_TEXT_MAX. */
[[nodiscard]] int dialogue_say(struct dialogue *dialogue, uint8_t style, const char *text);

/* Closes a round and waits for the answers to its prompts, in order; each is a heap string that the caller
 * wipes and frees. ERR_DENIED: cancelled; ERR_LIMIT: too many rounds; ERR_TIMEOUT; ERR_BAD_INPUT: an answer
 * that holds a NUL. On error no answer is left behind. */
[[nodiscard]] int dialogue_ask(struct dialogue *dialogue, char **out_answers, uint32_t count);

struct dialogue_result {
	bool good;
	enum conversation_phase phase;
	int pam_code;
	const char *user;
	const char *reason;
	bool has_session; /* a good one: the stack has a session part, which can be opened */
};
/* The verdict: the last word, unless there is a session part. */
[[nodiscard]] int dialogue_end(struct dialogue *dialogue, const struct dialogue_result *result);

/* After a good result with a session part: 0 when it shall be opened. ERR_DENIED (cancelled), ERR_CLOSED, ERR_TIMEOUT. */
[[nodiscard]] int dialogue_await_session(struct dialogue *dialogue);
/* Of the result: good, pam_code, user, reason. */
[[nodiscard]] int dialogue_session_opened(struct dialogue *dialogue, const struct dialogue_result *result);
/* Comes back when the session shall be closed, or the broker is gone; there is no deadline. */
void dialogue_await_end(const struct dialogue *dialogue);

#endif

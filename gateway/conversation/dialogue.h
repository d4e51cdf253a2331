/* dialogue.h: the conversation's end of the broker_conversation edge, as blocking questions and answers. */
#ifndef SALLYPORT_CONVERSATION_DIALOGUE_H
#define SALLYPORT_CONVERSATION_DIALOGUE_H

#include <stdint.h>

#include "sallyport/edge/broker_conversation.h"

#define DIALOGUE_FACTS_MAX 32

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

/* Shows one text (enum conversation_style) at once. Text that is not UTF-8 is made printable. */
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
};
/* The last word. */
[[nodiscard]] int dialogue_end(struct dialogue *dialogue, const struct dialogue_result *result);

#endif

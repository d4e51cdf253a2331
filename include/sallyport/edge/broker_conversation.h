/* broker_conversation.h: one PAM conversation.
 *
 * First end: the broker. Second end: a conversation process. Order: fact* start, then messages as the
 * stack sends them; after a `round` with prompts > 0 the broker sends that many `answer`s and nothing
 * else; at the end `result`. Every PAM message style travels, info and error at the moment they are sent.
 * Where the stack has a session part (result: session = 1), a good result is followed by `open_session`, the
 * messages of that part and `session_opened`; then the PAM session lasts until the broker closes the edge.
 * Counterparts: gateway/broker/conversation_edge.c and gateway/conversation/main.c.
 */
#ifndef SALLYPORT_EDGE_BROKER_CONVERSATION_H
#define SALLYPORT_EDGE_BROKER_CONVERSATION_H

#include "sallyport/edge.h"

/* States of the conversation's end; the broker's end keeps the same. */
enum broker_conversation_state {
	BROKER_CONVERSATION_NEW = 1 << 0,     /* facts, then start */
	BROKER_CONVERSATION_RUNNING = 1 << 1, /* the stack works */
	BROKER_CONVERSATION_ASKING = 1 << 2,  /* a round waits for its answers */
	BROKER_CONVERSATION_OVER = 1 << 3,
	BROKER_CONVERSATION_GRANTED = 1 << 4, /* a good result; the session part waits for `open_session` */
	BROKER_CONVERSATION_SESSION = 1 << 5, /* the PAM session is open, until the edge ends */
};

/* Styles, the same on the worker's edge: pam_conv(3) in this order. */
enum conversation_style {
	CONVERSATION_SECRET = 1, /* PAM_PROMPT_ECHO_OFF */
	CONVERSATION_TEXT = 2,   /* PAM_PROMPT_ECHO_ON */
	CONVERSATION_INFO = 3,   /* PAM_TEXT_INFO */
	CONVERSATION_ERROR = 4,  /* PAM_ERROR_MSG */
};

/* `phase` of a result: where the stack said no. */
enum conversation_phase {
	CONVERSATION_START = 1,
	CONVERSATION_AUTHENTICATE = 2,
	CONVERSATION_ACCOUNT = 3,
	CONVERSATION_SESSION = 4,
};

#define CONVERSATION_TEXT_MAX 8192
#define CONVERSATION_ANSWER_MAX 65536
#define CONVERSATION_MESSAGES_MAX 32 /* in one round, as PAM_MAX_NUM_MSG */

#define broker_conversation_MESSAGES(M)                                                               \
	/* broker: a fact for modules, by pam_putenv(3) */                                            \
	M(broker_conversation, fact, EDGE_FROM_FIRST, BROKER_CONVERSATION_NEW, EDGE_NO_FD)            \
	/* broker: begin; address is PAM_RHOST; the realm names the stack (realm.h) */                \
	M(broker_conversation, start, EDGE_FROM_FIRST, BROKER_CONVERSATION_NEW, EDGE_NO_FD)           \
	/* conversation: one message, in order */                                                     \
	M(broker_conversation, message, EDGE_FROM_SECOND, BROKER_CONVERSATION_RUNNING, EDGE_NO_FD)    \
	/* conversation: the messages since the last round belong together; so many want an answer */ \
	M(broker_conversation, round, EDGE_FROM_SECOND, BROKER_CONVERSATION_RUNNING, EDGE_NO_FD)      \
	/* broker: one answer, in order of the prompts */                                             \
	M(broker_conversation, answer, EDGE_FROM_FIRST, BROKER_CONVERSATION_ASKING, EDGE_NO_FD)       \
	/* broker: the user has cancelled; end */                                                     \
	M(broker_conversation, cancel, EDGE_FROM_FIRST, EDGE_ANY, EDGE_NO_FD)                         \
	/* conversation: granted (good = 1) to `user` (PAM_USER at the end), or not; pam_code and reason are for the record */ \
	M(broker_conversation, result, EDGE_FROM_SECOND, EDGE_ANY, EDGE_NO_FD)                        \
	/* broker: all else is well too: open the PAM session */                                      \
	M(broker_conversation, open_session, EDGE_FROM_FIRST, BROKER_CONVERSATION_GRANTED, EDGE_NO_FD) \
	/* conversation: it is open (good = 1), or the stack said no */                               \
	M(broker_conversation, session_opened, EDGE_FROM_SECOND, BROKER_CONVERSATION_RUNNING, EDGE_NO_FD)

#define broker_conversation_fact_FIELDS(F) F(str, name, 64) F(str, value, 1024)
#define broker_conversation_start_FIELDS(F) F(str, user, 256) F(str, address, 64) F(str, realm, 32)
#define broker_conversation_message_FIELDS(F) F(u8, style, 0) F(str, text, CONVERSATION_TEXT_MAX)
#define broker_conversation_round_FIELDS(F) F(u32, prompts, 0)
#define broker_conversation_answer_FIELDS(F) F(secret, text, CONVERSATION_ANSWER_MAX)
#define broker_conversation_cancel_FIELDS(F)
#define broker_conversation_result_FIELDS(F)                                                          \
	F(u8, good, 0) F(u8, phase, 0) F(u32, pam_code, 0) F(str, user, 256) F(str, reason, 512) F(u8, session, 0)
#define broker_conversation_open_session_FIELDS(F)
#define broker_conversation_session_opened_FIELDS(F)                                                  \
	F(u8, good, 0) F(u32, pam_code, 0) F(str, user, 256) F(str, reason, 512)
EDGE_DECLARE(broker_conversation)

#endif

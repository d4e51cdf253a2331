/* command_agent.h: a command of the user and the agent that holds the connection to the gateway.
 *
 * First end: a command (src/client/agent_call.c). Second end: the agent (src/client/visitor.c). The socket is a
 * SOCK_SEQPACKET of the user's own folder; both ends check by SO_PEERCRED that the other is the same user. Order:
 * hello, welcome, then one question after the other. Descriptors are handed over, so that no byte of a tunnel
 * passes through a command.
 */
#ifndef SALLYPORT_EDGE_COMMAND_AGENT_H
#define SALLYPORT_EDGE_COMMAND_AGENT_H

#include "sallyport/edge.h"

/* States of the agent's end. The command's end takes everything at any time. */
enum command_agent_state {
	COMMAND_AGENT_NEW = 1 << 0,    /* hello */
	COMMAND_AGENT_ASKED = 1 << 1,  /* a question waits for its answer */
	COMMAND_AGENT_READY = 1 << 2,
};

/* Changes with every change of this table: an older agent is replaced. */
#define COMMAND_AGENT_PROTOCOL 3
#define COMMAND_AGENT_BODY_MAX 150000
#define COMMAND_AGENT_HOST_MAX 255
#define COMMAND_AGENT_GATEWAY_MAX 271 /* "host:port" */
#define COMMAND_AGENT_SENTENCE_MAX 1024

/* `kind` of listen and add: what a connection to the local port says first. */
enum command_agent_kind {
	COMMAND_AGENT_FORWARD = 1, /* nothing: it is carried to host:port */
	COMMAND_AGENT_SOCKS = 2,
	COMMAND_AGENT_HTTP = 3,
};

#define command_agent_MESSAGES(M)                                                                   \
	/* command: who I am; verbose: send a note at each step (-v) */                                                                     \
	M(command_agent, hello, EDGE_FROM_FIRST, COMMAND_AGENT_NEW, EDGE_NO_FD)                     \
	/* agent: who I am */                                                                       \
	M(command_agent, welcome, EDGE_FROM_SECOND, EDGE_ANY, EDGE_NO_FD)                           \
	/* command: a request for the gateway, with the stored session or that token (empty: none), at the gateway `only_at` \
	 * or nowhere (empty: anywhere); an earlier one is given up */                              \
	M(command_agent, ask, EDGE_FROM_FIRST, COMMAND_AGENT_READY | COMMAND_AGENT_ASKED, EDGE_NO_FD) \
	/* agent: what became of it, and at which gateway; the descriptor holds the body (sealed memory) */ \
	M(command_agent, answer, EDGE_FROM_SECOND, EDGE_ANY, EDGE_WITH_FD)                          \
	/* command: the input of the tunnel that `carry` asks for, when it is not also the output */ \
	M(command_agent, input, EDGE_FROM_FIRST, COMMAND_AGENT_READY, EDGE_WITH_FD)                 \
	/* command: carry this descriptor to host:port */                                           \
	M(command_agent, carry, EDGE_FROM_FIRST, COMMAND_AGENT_READY, EDGE_WITH_FD)                 \
	/* agent: the tunnel stands */                                                              \
	M(command_agent, opened, EDGE_FROM_SECOND, EDGE_ANY, EDGE_NO_FD)                            \
	/* command: accept connections on this bound socket, as long as I am there */               \
	M(command_agent, listen, EDGE_FROM_FIRST, COMMAND_AGENT_READY, EDGE_WITH_FD)                \
	/* command: the same, and keep it; text is its spelling (-L, -D) */                         \
	M(command_agent, add, EDGE_FROM_FIRST, COMMAND_AGENT_READY, EDGE_NO_FD)                     \
	/* command: give up what was kept; text as in `add`, or the local port alone */             \
	M(command_agent, drop, EDGE_FROM_FIRST, COMMAND_AGENT_READY, EDGE_NO_FD)                    \
	/* command: stay until you are sent away, and keep the connection */                        \
	M(command_agent, stay, EDGE_FROM_FIRST, COMMAND_AGENT_READY, EDGE_NO_FD)                    \
	/* command: end */                                                                          \
	M(command_agent, leave, EDGE_FROM_FIRST, EDGE_ANY, EDGE_NO_FD)                              \
	/* command: how are you */                                                                  \
	M(command_agent, inquire, EDGE_FROM_FIRST, COMMAND_AGENT_READY, EDGE_NO_FD)                 \
	/* agent: JSON in the descriptor (sealed memory) */                                         \
	M(command_agent, report, EDGE_FROM_SECOND, EDGE_ANY, EDGE_WITH_FD)                          \
	/* agent: a sentence for the user; nothing has ended */                                     \
	M(command_agent, note, EDGE_FROM_SECOND, EDGE_ANY, EDGE_NO_FD)                              \
	/* agent: what the answer is waiting for */                                                 \
	M(command_agent, progress, EDGE_FROM_SECOND, EDGE_ANY, EDGE_NO_FD)                          \
	/* agent: what was asked for is done or over; status is the command's exit status */        \
	M(command_agent, done, EDGE_FROM_SECOND, EDGE_ANY, EDGE_NO_FD)

#define command_agent_hello_FIELDS(F) F(u32, protocol, 0) F(str, version, 64) F(u8, verbose, 0)
#define command_agent_welcome_FIELDS(F) F(u32, protocol, 0) F(str, version, 64) F(u32, pid, 0)
#define command_agent_ask_FIELDS(F)                                                                 \
	F(str, method, 16) F(str, path, 1024) F(u8, with_session, 0) F(str, only_at, COMMAND_AGENT_GATEWAY_MAX) \
	F(secret, token, 128) F(secret, body, COMMAND_AGENT_BODY_MAX)
#define command_agent_answer_FIELDS(F)                                                              \
	F(u32, status, 0) F(str, sentence, COMMAND_AGENT_SENTENCE_MAX) F(u32, http_status, 0) F(u32, retry_after_s, 0) \
	F(str, gateway, COMMAND_AGENT_GATEWAY_MAX)
#define command_agent_input_FIELDS(F)
#define command_agent_carry_FIELDS(F) F(str, host, COMMAND_AGENT_HOST_MAX) F(u32, port, 0)
#define command_agent_opened_FIELDS(F)
#define command_agent_listen_FIELDS(F) F(u8, kind, 0) F(str, text, 512)
#define command_agent_add_FIELDS(F) F(u8, kind, 0) F(str, text, 512)
#define command_agent_drop_FIELDS(F) F(str, text, 512)
#define command_agent_stay_FIELDS(F)
#define command_agent_leave_FIELDS(F)
#define command_agent_inquire_FIELDS(F)
#define command_agent_report_FIELDS(F)
#define command_agent_note_FIELDS(F) F(str, sentence, COMMAND_AGENT_SENTENCE_MAX)
#define command_agent_progress_FIELDS(F) F(str, sentence, COMMAND_AGENT_SENTENCE_MAX)
#define command_agent_done_FIELDS(F) F(u32, status, 0) F(str, sentence, COMMAND_AGENT_SENTENCE_MAX)
EDGE_DECLARE(command_agent)

#endif

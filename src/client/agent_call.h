/* agent_call.h: a command's side of the talk with the agent: it asks, hands descriptors over, and waits.
 *
 * A command has no event loop: it waits for the agent and for signals, nothing else.
 */
#ifndef CLIENT_AGENT_CALL_H
#define CLIENT_AGENT_CALL_H

#include "agent_place.h"
#include "api.h"
#include "sallyport/edge/command_agent.h"
#include "sallyport/wire.h"

struct agent_call {
	struct agent_place place;
	int socket;   /* -1: no agent */
	bool lost;    /* the agent has ended in the middle */
	uint32_t pid; /* of the agent */
	char gateway[COMMAND_AGENT_GATEWAY_MAX + 1]; /* that gave the last answer; empty: none has */
};

/* AGENT_CALL_GLANCE: as it is, even where it is of another version (then STATUS_FAILED). */
enum agent_call_start { AGENT_CALL_START, AGENT_CALL_ONLY_IF_RUNNING, AGENT_CALL_GLANCE };

/* Without AGENT_CALL_START and without an agent: STATUS_OK, and socket is -1. Close in any case. */
[[nodiscard]] int agent_call_open(struct agent_call *call, const struct settings *settings, enum agent_call_start start,
				  struct diag *diag);
void agent_call_close(struct agent_call *call);

/* Sends; a lost agent shows at the next wait. AGENT_CALL_SEND(call, carry, fd, .host = view, .port = 22) */
#define AGENT_CALL_SEND(call, name_, fd, ...) \
	((void)!WIRE_SEND((call)->socket, command_agent, name_, fd, __VA_ARGS__))

/* Waits for one message and gives it to its handler. STATUS_SIGNAL when a signal came first; STATUS_UNREACHABLE with
 * call->lost when the agent has ended. limit_ms < 0: for ever; then signals end it, otherwise only the time. */
[[nodiscard]] int agent_call_next(struct agent_call *call, const struct command_agent_handlers *handlers, void *self,
				  int limit_ms, struct diag *diag);

/* Waits for `done`; returns its status, with its sentence in the diag. Notes are said. */
[[nodiscard]] int agent_call_done(struct agent_call *call, struct diag *diag);
/* Takes one message that is there or comes; what it says is said. */
[[nodiscard]] int agent_call_listen(struct agent_call *call, struct diag *diag);
/* Waits until the tunnel stands (STATUS_OK) or `done` says why it does not. */
[[nodiscard]] int agent_call_opened(struct agent_call *call, struct diag *diag);
/* A request for the gateway. As api_call; `limit_ms` as above. */
[[nodiscard]] int agent_call_ask(struct agent_call *call, const struct api_request *request, int limit_ms,
				 struct buf *out_body, struct refused *out_refused, struct diag *diag);
/* The agent's report (JSON). */
[[nodiscard]] int agent_call_report(struct agent_call *call, struct buf *out_text, struct diag *diag);

#endif

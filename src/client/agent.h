/* agent.h: the agent: the one process of a user that holds the connection to a gateway.
 *
 *      commands --socket--> visitor.c --+--> errand.c  (requests)   --+
 *                                       +--> passage.c (tunnels)    --+--> uplink.c --> the gateway
 *      local ports -----> entrance.c ---+                             |
 *                         netwatch.c ---------------------------------+
 *
 * It is started by the first command that needs it (agent_place.c) or by the service manager, and leaves when it is
 * sent away, when its socket is gone, or when nobody has needed it for a while and it was not asked to stay.
 */
#ifndef CLIENT_AGENT_H
#define CLIENT_AGENT_H

#include "agent_place.h"
#include "client.h"
#include "uplink.h"

struct entrance;
struct passage;
struct visitor;
struct netwatch;

struct agent {
	const struct settings *settings;
	struct loop loop;
	struct agent_place place;
	ino_t inode; /* of the socket */
	int fd;
	uv_poll_t door;
	uv_timer_t watch;
	struct uplink *uplink;
	struct netwatch *netwatch; /* NULL: the system gives none */
	struct visitor *visitors;
	struct entrance *entrances;
	struct passage *passages;
	struct errand *check; /* of the session, after a new connection */
	bool stays;
	bool leaving; /* and is about to end */
	bool closing; /* everything is being closed */
	uint64_t started_ms, needed_ms;
};

/* Runs until it leaves. `fd`: the listening socket that was handed down, or -1. */
[[nodiscard]] int agent_run(const struct settings *settings, int fd, struct diag *diag);
/* The stored session as it is now. */
[[nodiscard]] int agent_token(const struct agent *agent, struct token *out_token, struct diag *diag);
/* Ends soon. */
void agent_leave(struct agent *agent);

#endif

/* agent.h: the agent: the one process of a user that holds the connection to a gateway.
 *
 *      commands --socket--> visitor.c --+--> errand.c  (requests)   --+
 *                                       +--> passage.c (tunnels)    --+--> uplink.c --> the gateway
 *      local ports -----> entrance.c ---+                             |
 *                         netwatch.c, upkeep.c, news.c ---------------+
 *
 * news.c hears what the gateway ends and why; upkeep.c renews the certificate; stepup.c has the user log in anew in the
 * middle of the work. The latter two start programs of their own (child.c).
 *
 * It is started by the first command that needs it (agent_place.c) or by the service manager, and leaves when it is
 * sent away, when its socket is gone, or when nobody has needed it for a while and it was not asked to stay.
 */
#ifndef CLIENT_AGENT_H
#define CLIENT_AGENT_H

#include "agent_place.h"
#include "client.h"
#include "stepup.h"
#include "upkeep.h"
#include "uplink.h"

struct child;
struct entrance;
struct news;
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
	struct news *news; /* NULL: there are none */
	struct upkeep upkeep;
	struct stepup stepup;
	struct child *children;
	struct errand *check; /* of the session, after a new connection */
	bool stays;
	bool leaving; /* and is about to end */
	bool closing; /* everything is being closed */
	uint64_t started_ms, needed_ms;
};

/* Runs until it leaves. `fd`: the listening socket that was handed down, or -1: then it makes one, connects and stays. */
[[nodiscard]] int agent_run(const struct settings *settings, int fd, struct diag *diag);
/* A sentence for whoever uses the tunnels, or only for those of a tunnel to there. */
void agent_note(struct agent *agent, const struct destination *destination, const char *sentence);
/* Session or device are no longer good: whoever keeps a local port is told. */
void agent_hopeless(struct agent *agent, int status, const struct diag *diag);
/* Ends soon. */
void agent_leave(struct agent *agent);

#endif

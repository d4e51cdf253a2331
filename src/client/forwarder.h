/* forwarder.h: local ports of a command: bound here, so that what is wrong with them is said here, and handed to the
 * agent, which accepts and carries. When the agent ends, another one gets the same ports: they stay open all the time.
 * Used by cmd_forward.c and cmd_exec.c. */
#ifndef CLIENT_FORWARDER_H
#define CLIENT_FORWARDER_H

#include "client.h"
#include "options.h"

enum forwarder_talk { FORWARDER_QUIET, FORWARDER_TELLS };

struct forwarder {
	struct client client;
	struct forward *forward; /* the caller's; port 0 becomes the port that was found */
	size_t count;
	int fd[FORWARDS_MAX];
	size_t bound;
};

/* Session checked, ports bound and handed over. Close in any case. */
[[nodiscard]] int forwarder_open(struct forwarder *forwarder, const struct settings *settings, struct forward *forward,
				 size_t count, enum forwarder_talk talk, struct diag *diag);
/* The agent was lost: the next one gets the ports. */
[[nodiscard]] int forwarder_open_again(struct forwarder *forwarder, struct diag *diag);
void forwarder_close(struct forwarder *forwarder);

#endif

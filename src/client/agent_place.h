/* agent_place.h: where the agent's socket is, who made it, and how an agent is started.
 *
 * One agent per gateway, authority, certificate and key. The socket stands in the folder of token.h (0700) with mode
 * 0600, and both ends ask the kernel who the other is (SO_PEERCRED): nobody but the same user gets through, not even
 * with the descriptor of the folder. Whoever starts an agent binds the socket first and hands it down, so that a
 * connection made in the next moment waits instead of failing.
 */
#ifndef CLIENT_AGENT_PLACE_H
#define CLIENT_AGENT_PLACE_H

#include <stdbool.h>
#include <sys/types.h>

#include "settings.h"

struct agent_place {
	char folder[3072];
	char socket[48], lock[48], log[48], kept[48]; /* names in it */
};

/* STATUS_FAILED with a sentence when there is no folder to put it in. */
[[nodiscard]] int agent_place_find(const struct settings *settings, struct agent_place *out_place, struct diag *diag);
/* A connection to the agent, or *out_fd -1 when there is none. */
[[nodiscard]] int agent_place_connect(const struct agent_place *place, int *out_fd, struct diag *diag);
/* The same, and an agent is started when there is none. */
[[nodiscard]] int agent_place_reach(const struct agent_place *place, const struct settings *settings, int *out_fd,
				    struct diag *diag);
/* A listening socket at that place. *out_fd -1: another agent has it. */
[[nodiscard]] int agent_place_listen(const struct agent_place *place, int *out_fd, struct diag *diag);
/* Is the other end the same user? */
bool agent_place_is_same_user(int socket);
/* Does the name still lead to the socket that was bound there? *inout_inode 0: takes what is found. */
bool agent_place_stands(const struct agent_place *place, ino_t *inout_inode);
/* Opens a file of that name in the folder, 0600. -1 with errno. */
int agent_place_open(const struct agent_place *place, const char *name, int flags);

#endif

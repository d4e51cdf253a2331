/* identity.h: become somebody else, for good; keep few capabilities or none. */
#ifndef SALLYPORT_ROOM_IDENTITY_H
#define SALLYPORT_ROOM_IDENTITY_H

#include <stdbool.h>
#include <sys/types.h>

#include "jail.h"

#define IDENTITY_GROUPS_MAX 256
struct identity {
	bool changes; /* false: the present one stays */
	uid_t user;
	gid_t group;
	gid_t groups[IDENTITY_GROUPS_MAX]; /* supplementary */
	int group_count;
};

/* Finds the plan's identity; reads the user database, so this comes before the root goes away.
 * ERR_NOT_FOUND, ERR_DENIED (root where the plan forbids it), ERR_LIMIT. */
[[nodiscard]] int identity_find(const struct jail *jail, struct identity *out_identity, struct diag *diag);
/* As root: leaves root's powers except `capabilities` (bits) in every set, and the bounding set. */
[[nodiscard]] int identity_assume(const struct identity *identity, uint64_t capabilities, struct diag *diag);
/* Gives up all capabilities of this process, for whoever is not root (a user namespace grants them). */
[[nodiscard]] int identity_drop_capabilities(uint64_t capabilities, struct diag *diag);

#endif

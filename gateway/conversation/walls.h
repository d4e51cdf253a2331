/* walls.h: the plan of a conversation's walls; tests/jail stands behind the same. */
#ifndef SALLYPORT_CONVERSATION_WALLS_H
#define SALLYPORT_CONVERSATION_WALLS_H

#include "../room/jail.h"
#include "sallyport/conf.h"

#define CONVERSATION_PATHS_MAX 64

struct conversation_walls {
	struct jail jail;
	struct jail_path paths[CONVERSATION_PATHS_MAX];
	char texts[CONVERSATION_PATHS_MAX][256]; /* paths that come from settings */
};

/* Fills in the plan from the settings (conversation_user, pam_directory, pam_writable). ERR_BAD_CONFIG for a
 * path that is too long. The result refers to itself: do not copy it. */
[[nodiscard]] int conversation_walls_plan(const struct conf *conf, struct conversation_walls *out_walls, struct diag *diag);

#endif

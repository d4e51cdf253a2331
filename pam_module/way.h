/* way.h: by which TCP connection did the user of this process come to this host? */
#ifndef SALLYPORT_PAM_WAY_H
#define SALLYPORT_PAM_WAY_H

#include <stdbool.h>
#include <stdint.h>

#include "sallyport/err.h"

#define WAY_TEXT_MAX 64

/* Both ends as this host sees them, "ADDRESS:PORT" or "[ADDRESS]:PORT": source is the far one. */
struct way {
	char source[WAY_TEXT_MAX], target[WAY_TEXT_MAX];
};

/* Looks at this process and its ancestors up to the first that is root's alone (all its user ids are 0) and holds a
 * connection which was accepted here: sshd's own, also from within sudo. What users' processes hold is not looked at, and
 * neither are a process's standard descriptors: users choose those of sudo. ERR_NOT_FOUND with a sentence: at a console, in
 * a detached tmux, in a job. */
[[nodiscard]] int way_find(struct way *out_way, struct diag *diag);

/* One row of /proc/net/tcp or tcp6. Pure. False for what is none. */
struct way_row {
	bool is_listening, is_established;
	uint64_t inode;
	uint16_t local_port;
	struct way way;
};
bool way_read_row(const char *line, struct way_row *out_row);

#endif

/* greeting.h: what is said on an accepted connection before its tunnel: where to, and how it went. */
#ifndef CLIENT_GREETING_H
#define CLIENT_GREETING_H

#include <uv.h>

#include "destination.h"
#include "sallyport/buf.h"

struct greeting;

/* In what words the caller is answered. */
enum greeting_tongue { GREETING_SILENT, GREETING_SOCKS, GREETING_CONNECT, GREETING_PLAIN_HTTP };

struct greeting_wish {
	enum greeting_tongue tongue;
	struct destination destination;
	struct view preface; /* to be said at the destination first; valid during the call */
};
/* `wish` is NULL when none was said (or none that is understood): the descriptor is to be closed. The greeting is gone. */
typedef void (*greeting_done_handler)(void *owner, const struct greeting_wish *wish);

/* Reads from `fd`, which stays the caller's, not a byte more than the greeting. STATUS_FAILED without memory. */
[[nodiscard]] int greeting_start(uv_loop_t *loop, enum forward_kind kind, int fd, greeting_done_handler on_done,
				 void *owner, struct greeting **out_greeting);
/* The owner goes: nobody is told. NULL is allowed. */
void greeting_drop(struct greeting *greeting);

/* The tunnel stands. */
void greeting_welcome(enum greeting_tongue tongue, int fd);
/* It will not; says why in the caller's words and closes the descriptor. */
void greeting_turn_away(enum greeting_tongue tongue, int fd, int status, const struct diag *diag);

#endif

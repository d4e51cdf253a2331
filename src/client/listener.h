/* listener.h: a local port that hands out what connects to it. */
#ifndef CLIENT_LISTENER_H
#define CLIENT_LISTENER_H

#include <stdbool.h>
#include <uv.h>

#include "destination.h"

struct listener;
/* A connection was accepted; `fd` (non-blocking) is the receiver's. */
typedef void (*listener_accept_handler)(struct listener *listener, int fd);

struct listener {
	const struct forward *forward;
	void *owner;
	listener_accept_handler on_accept;
	int fd;
	bool opened; /* the handles are to be closed */
	unsigned handles;
	void (*on_closed)(struct listener *listener);
	uv_poll_t poll;
	uv_timer_t pause; /* out of descriptors: look again a little later */
};

/* A bound socket; connections are refused until listener_begin. Port 0: any. STATUS_FAILED with a sentence (a port
 * in use). */
[[nodiscard]] int listener_bind(const struct forward *forward, int *out_fd, struct diag *diag);
[[nodiscard]] int listener_begin(const struct forward *forward, int fd, struct diag *diag);
/* Accepts on `fd`, which becomes the listener's; on error it stays the caller's. `forward` must stay. */
[[nodiscard]] int listener_open(struct listener *listener, uv_loop_t *loop, const struct forward *forward, int fd,
				listener_accept_handler on_accept, void *owner, struct diag *diag);
/* Closes the port; on_closed (may be NULL) runs later on the loop, and the memory must stay until then. Idempotent. */
void listener_close(struct listener *listener, void (*on_closed)(struct listener *listener));
/* "127.0.0.1:5432" */
void listener_text(const struct forward *forward, char *out_text, size_t capacity);

#endif

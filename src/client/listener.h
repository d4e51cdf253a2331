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
	uv_poll_t poll;
	uv_timer_t pause; /* out of descriptors: look again a little later */
};

/* Binds; nothing is accepted before listener_begin. STATUS_FAILED with a sentence (a port in use). */
[[nodiscard]] int listener_open(struct listener *listener, uv_loop_t *loop, const struct forward *forward,
				listener_accept_handler on_accept, void *owner, struct diag *diag);
[[nodiscard]] int listener_begin(struct listener *listener, struct diag *diag);
/* Closes the port; the memory must stay until the loop has run (loop_fini). Idempotent. */
void listener_close(struct listener *listener);
/* "127.0.0.1:5432" */
void listener_text(const struct forward *forward, char *out_text, size_t capacity);

#endif

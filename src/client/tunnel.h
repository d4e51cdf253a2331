/* tunnel.h: one CONNECT stream between a local descriptor (or a pair) and a destination behind the gateway. */
#ifndef CLIENT_TUNNEL_H
#define CLIENT_TUNNEL_H

#include "connection.h"
#include "destination.h"
#include "problem.h"
#include "sallyport/pump.h"
#include "token.h"

struct tunnel;

/* What the tunnel's owner is told, once, when all of it is over: stream, pump and descriptors. */
struct tunnel_ending {
	int status;         /* STATUS_OK: both directions ended in good order */
	struct diag diag;   /* the sentence otherwise */
	bool refused;       /* it never stood: the gateway said no */
	bool session_ended; /* and that because the session is gone */
	bool wants_fresh_login; /* or because the login is not fresh enough */
	enum pump_end pump; /* when it stood: who ended it */
	enum h2_code code;  /* and with what the stream was closed */
	bool stood;         /* false: the descriptors are the owner's again */
};
typedef void (*tunnel_over_handler)(void *owner, const struct tunnel_ending *ending);

struct tunnel_options {
	uv_loop_t *loop;
	struct connection *connection;
	const struct token *token;
	const struct destination *destination;
	int in_fd, out_fd;   /* one socket: give it twice */
	struct view preface; /* sent before what is read from in_fd; copied */
	void (*on_stands)(void *owner); /* the gateway has opened it; nothing was moved yet. May be NULL */
	tunnel_over_handler on_over;
	void *owner;
};

/* Nothing is read from the descriptors before the gateway has opened the tunnel; then they are the tunnel's. On error,
 * and when the tunnel ends without having stood, they stay the owner's. */
[[nodiscard]] int tunnel_start(const struct tunnel_options *options, struct tunnel **out_tunnel, struct diag *diag);
/* Bytes that have passed so far. */
void tunnel_bytes(const struct tunnel *tunnel, uint64_t *out_sent, uint64_t *out_received);
/* Ends it at once; the owner is told later, on the loop. */
void tunnel_abort(struct tunnel *tunnel);

/* Closes a socket so that the other side sees an RST, not an orderly end. */
void tunnel_close_with_reset(int fd);

#endif

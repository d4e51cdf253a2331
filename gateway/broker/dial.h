/* dial.h: connects to the first of several addresses that answers (Happy Eyeballs, RFC 8305). */
#ifndef SALLYPORT_BROKER_DIAL_H
#define SALLYPORT_BROKER_DIAL_H

#include <sys/socket.h>
#include <uv.h>

#include "sallyport/err.h"

#define DIAL_ADDRESSES_MAX 16

struct dial;

/* Where connections come from, and how a dead target is noticed. */
struct dial_manner {
	struct sockaddr_storage sources[2]; /* of IPv4, of IPv6; ss_family 0: as the kernel chooses */
	char interface[16];                 /* empty: any */
	uint64_t keepalive_ms;              /* 0: none */
};
/* `sources` is a LIST of addresses, one of a family. ERR_BAD_CONFIG with the sentence. */
[[nodiscard]] int dial_manner_parse(const char *sources, const char *interface, uint64_t keepalive_ms, struct dial_manner *out_manner,
				    struct diag *diag);

struct dial_request {
	/* In the order of preference (RFC 6724), each with its port; the families are interleaved here. Exactly
	 * these are dialed: whoever calls has checked each. */
	struct sockaddr_storage addresses[DIAL_ADDRESSES_MAX];
	unsigned count;
	uint64_t attempt_delay_ms, limit_ms;
	const struct dial_manner *manner; /* NULL: none; must live until `done` */
	/* Called once on the loop, never from inside dial_start. result 0: `fd` is connected, non-blocking and
	 * the callee's, `address` the one that answered. ERR_TIMEOUT: nobody answered in time. ERR_DENIED: all
	 * refused or are unreachable, the sentence says how. After it the dial is gone. */
	void (*done)(void *context, int result, int fd, const struct sockaddr *address, const struct diag *diag);
	void *context;
};

/* The request is copied. ERR_SYSTEM without memory or handles, ERR_BAD_INPUT without an address. */
[[nodiscard]] int dial_start(uv_loop_t *loop, const struct dial_request *request, struct dial **out_dial);
/* Gives up without calling `done`. */
void dial_cancel(struct dial *dial);

#endif

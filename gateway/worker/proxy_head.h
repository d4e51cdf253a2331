/* proxy_head.h: what a trusted sender says in front of TLS: where the client really is (PROXY protocol, versions 1 and 2).
 *
 * https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt. A pure parser: not one byte behind the head is wanted.
 */
#ifndef SALLYPORT_WORKER_PROXY_HEAD_H
#define SALLYPORT_WORKER_PROXY_HEAD_H

#include <stdint.h>

#include "sallyport/buf.h"
#include "sallyport/err.h"

/* The longest head of version 2 that is read, with what it says besides addresses. */
#define PROXY_HEAD_MAX 2048
/* How much is certainly part of a head of either version. */
#define PROXY_HEAD_LEAST 15

struct proxy_head {
	char address[46]; /* of the client; empty: the sender speaks for itself (a health check), or does not know */
	uint16_t port;
};

/* `have` is what was read so far. 0: the head is whole, and nothing else is in `have`. ERR_AGAIN: *out_more bytes at least
 * are missing, all of them the head's. ERR_BAD_INPUT: it is none; the sentence says why. */
[[nodiscard]] int proxy_head_parse(struct view have, struct proxy_head *out_head, size_t *out_more, struct diag *diag);

#endif

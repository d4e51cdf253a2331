/* dial.h: a TCP connection to a name, by several addresses at once where the first are slow (RFC 8305).
 *
 * Addresses come from getaddrinfo in the order of RFC 6724 and are tried with families taking turns, the
 * next one 250 ms after the last or as soon as it fails. The first that connects wins.
 */
#ifndef CLIENT_DIAL_H
#define CLIENT_DIAL_H

#include <stdbool.h>
#include <uv.h>

#include "status.h"

struct dial;
/* `fd` is a connected non-blocking socket and the receiver's; or -1, and the diag says why. The dial is over
 * and frees itself. */
typedef void (*dial_done_handler)(void *owner, int fd, const struct diag *diag);

/* ERR_SYSTEM with a sentence when it cannot even start; on_done is not called then. */
[[nodiscard]] int dial_start(uv_loop_t *loop, const char *host, uint16_t port, dial_done_handler on_done, void *owner,
			     struct dial **out_dial, struct diag *diag);
/* Gives up; on_done is not called. */
void dial_cancel(struct dial *dial);

/* Puts addresses into the order of RFC 8305 4: families take turns, beginning with that of the first;
 * within a family the order stays. `order` receives indices. Pure. */
void dial_interleave(const int *families, size_t count, size_t *out_order);

#endif

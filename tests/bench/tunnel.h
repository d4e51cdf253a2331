/* tunnel.h: what a figure sees of a tunnel, whatever carries it (direct.c: a connection; h2.c: a stream).
 *
 * Outgoing bytes are a short head (an order, a small message) and after it any number of filler bytes, which are
 * made as they are sent.
 */
#ifndef BENCH_TUNNEL_H
#define BENCH_TUNNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TUNNEL_HEAD_MAX 128

struct tunnel;

struct tunnel_events {
	void (*opened)(struct tunnel *tunnel);
	void (*received)(struct tunnel *tunnel, const uint8_t *bytes, size_t size);
	/* Over in both directions after tunnel_finish; the memory is gone when this returns. */
	void (*finished)(struct tunnel *tunnel);
};

struct tunnel_carrier {
	/* There is something to send. */
	void (*kick)(struct tunnel *tunnel);
	/* Ends the sending direction; `finished` follows when the other side has ended its own. */
	void (*finish)(struct tunnel *tunnel);
};

struct tunnel {
	const struct tunnel_carrier *carrier;
	const struct tunnel_events *events;
	void *owner; /* the figure's */
	uint8_t head[TUNNEL_HEAD_MAX];
	size_t head_size, head_sent;
	uint64_t filler_left;
};

void tunnel_send(struct tunnel *tunnel, const void *head, size_t size, uint64_t filler);
void tunnel_finish(struct tunnel *tunnel);
bool tunnel_has_bytes(const struct tunnel *tunnel);
/* For carriers: moves up to `size` outgoing bytes into `space`; returns how many. */
size_t tunnel_take(struct tunnel *tunnel, uint8_t *space, size_t size);

#endif

/* tunnel.c: the outgoing bytes of a tunnel. */
#include "tunnel.h"

#include <string.h>

#include "fail.h"

static size_t smaller(size_t a, uint64_t b)
{
	return a < b ? a : (size_t)b;
}

void tunnel_send(struct tunnel *tunnel, const void *head, size_t size, uint64_t filler)
{
	if (tunnel->head_sent == tunnel->head_size)
		tunnel->head_sent = tunnel->head_size = 0;
	if (size > TUNNEL_HEAD_MAX - tunnel->head_size || tunnel->filler_left)
		fail("a tunnel was given more before it had sent the last");
	memcpy(tunnel->head + tunnel->head_size, head, size);
	tunnel->head_size += size;
	tunnel->filler_left = filler;
	tunnel->carrier->kick(tunnel);
}

void tunnel_finish(struct tunnel *tunnel)
{
	tunnel->carrier->finish(tunnel);
}

bool tunnel_has_bytes(const struct tunnel *tunnel)
{
	return tunnel->head_sent < tunnel->head_size || tunnel->filler_left > 0;
}

size_t tunnel_take(struct tunnel *tunnel, uint8_t *space, size_t size)
{
	size_t head = smaller(size, tunnel->head_size - tunnel->head_sent);
	memcpy(space, tunnel->head + tunnel->head_sent, head);
	tunnel->head_sent += head;
	size_t filler = smaller(size - head, tunnel->filler_left);
	memset(space + head, 0, filler);
	tunnel->filler_left -= filler;
	return head + filler;
}

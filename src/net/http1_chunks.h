/* http1_chunks.h: the chunked coding (RFC 9112 7.1), taken out in place. Pure; http1_response.c is its caller.
 *
 * Strict: sizes are hexadecimal digits and nothing else, lines end in CRLF, and lines and trailer have bounds. Extensions
 * and trailer fields are dropped.
 */
#ifndef SALLYPORT_NET_HTTP1_CHUNKS_H
#define SALLYPORT_NET_HTTP1_CHUNKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sallyport/err.h"

/* All zero at the beginning. */
struct http1_chunks {
	unsigned state;
	uint64_t left;    /* of the chunk */
	unsigned digits;  /* of its size */
	unsigned framing; /* bytes of this line, or of the trailer */
};

/* Content moves to the front, *size becomes its number. ERR_BAD_PEER: that is no chunked coding. */
[[nodiscard]] int http1_chunks_take(struct http1_chunks *chunks, uint8_t *bytes, size_t *size);
/* The last chunk and the trailer have come. */
bool http1_chunks_are_whole(const struct http1_chunks *chunks);

#endif

/* proxy_head.h: the head of a request to an HTTP proxy: where it leads, and what to say there. Pure functions.
 *
 *   CONNECT host:port HTTP/1.1       a tunnel; the head is answered here
 *   GET http://host/path HTTP/1.1    the head is rewritten for the origin, as one request per connection
 *
 * The second kind is for plain-text sites behind the gateway. "Connection: close" is asked of the origin, so that what
 * follows on the same connection can never be meant for another one.
 */
#ifndef CLIENT_PROXY_HEAD_H
#define CLIENT_PROXY_HEAD_H

#include <stdbool.h>

#include "destination.h"
#include "sallyport/buf.h"

enum { PROXY_HEAD_BYTES_MAX = 64 * 1024 };

/* The bytes of a whole head at the front of `bytes` (with the empty line), 0 when it is not whole yet. */
size_t proxy_head_size(struct view bytes);
/* Takes a whole head apart. `*out_is_connect`, or the head for the origin is appended to out_head. ERR_BAD_INPUT for
 * what is not a request to a proxy. */
[[nodiscard]] int proxy_head_parse(struct view head, struct destination *out_destination, bool *out_is_connect,
				   struct buf *out_head);

#endif

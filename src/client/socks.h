/* socks.h: what a SOCKS5 client says before its bytes begin (RFC 1928). Pure functions; greeting.c moves the bytes.
 *
 * Only CONNECT without a password is understood: the port is the user's own. Names are handed on as they are; the
 * gateway resolves them.
 */
#ifndef CLIENT_SOCKS_H
#define CLIENT_SOCKS_H

#include "destination.h"
#include "sallyport/buf.h"

enum { SOCKS_BYTES_MAX = 262, SOCKS_REPLY_BYTES = 10 };

struct socks {
	uint8_t bytes[SOCKS_BYTES_MAX]; /* of the message at hand */
	size_t size, wanted;            /* so many are there, so many must be there for the next step */
	bool greeted;
};

enum socks_step {
	SOCKS_MORE,        /* read until `size` is `wanted` */
	SOCKS_WELCOMED,    /* the same, after socks_method_reply */
	SOCKS_DESTINATION, /* *out_destination is what it wants */
	SOCKS_REFUSED,     /* send *out_reply (it may be empty) and close */
};

void socks_init(struct socks *socks);
/* Call when size == wanted. */
enum socks_step socks_next(struct socks *socks, struct destination *out_destination, struct view *out_reply);

/* "No password needed." */
struct view socks_method_reply(void);
/* The answer to the request: 0 succeeded, else a code of RFC 1928 6. */
enum socks_code { SOCKS_SUCCEEDED = 0, SOCKS_FAILED = 1, SOCKS_NOT_ALLOWED = 2, SOCKS_UNREACHABLE = 4, SOCKS_TIMED_OUT = 6 };
void socks_reply(enum socks_code code, uint8_t out_reply[SOCKS_REPLY_BYTES]);

#endif

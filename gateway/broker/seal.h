/* seal.h: what may stand in the store only closed. The key is not in the store: the monitor opens its file.
 *
 * The owner of nettle's ChaCha20-Poly1305 is seal.c. Everything here is pure but for random nonces, and may run on the
 * store's thread: a key does not change once it was read.
 */
#ifndef SALLYPORT_BROKER_SEAL_H
#define SALLYPORT_BROKER_SEAL_H

#include <stdbool.h>
#include <stdint.h>

#include "sallyport/buf.h"
#include "sallyport/err.h"

#define SEAL_KEY_BYTES 32
#define SEAL_SECRET_MAX 64
/* Nonce, secret, tag; hexadecimal and NUL. */
#define SEAL_TEXT_MAX (2 * (12 + SEAL_SECRET_MAX + 16) + 1)
#define SEAL_MARK_CHARACTERS 64

struct seal {
	bool present;
	uint8_t key[SEAL_KEY_BYTES];
};

/* Reads the key's file: 64 hexadecimal digits and a line break. ERR_BAD_CONFIG for anything else. */
[[nodiscard]] int seal_read(int fd, struct seal *out_seal, struct diag *diag);
/* Closes at most SEAL_SECRET_MAX bytes; only the same `owner` opens them again. ERR_LIMIT. */
[[nodiscard]] int seal_close(const struct seal *seal, const char *owner, struct view secret,
			     char out_text[SEAL_TEXT_MAX]);
/* ERR_BAD_INPUT when the text was not closed with this key for this owner. out_secret takes SEAL_SECRET_MAX bytes. */
[[nodiscard]] int seal_open(const struct seal *seal, const char *owner, const char *text, uint8_t *out_secret,
			    size_t *out_size);
/* A mark by which a code is known again and from which it cannot be found: HMAC-SHA-256, hexadecimal. */
void seal_mark(const struct seal *seal, const char *owner, const char *code, char out_text[SEAL_MARK_CHARACTERS + 1]);

#endif

/* hash.h: SHA-256, base64. The owner of nettle in this room is hash.c. */
#ifndef SALLYPORT_BROKER_HASH_H
#define SALLYPORT_BROKER_HASH_H

#include <stdbool.h>
#include <stdint.h>

#include "sallyport/buf.h"
#include "sallyport/err.h"

#define HASH_BYTES 32

void hash_sha256(struct view bytes, uint8_t out_hash[HASH_BYTES]);
/* The same as 64 lower-case hexadecimal characters and NUL. */
void hash_sha256_hex(struct view bytes, char *out_text);

/* Whether two secrets are the same, in a time that does not tell where they differ. */
bool hash_equal(const void *one, const void *other, size_t size);
/* DER of the first certificate of a text in PEM, which is changed by it. ERR_BAD_INPUT. */
[[nodiscard]] int hash_pem_certificate(struct buf *pem, struct buf *out_der);
/* Base64, with line ends or without, into bytes. Appends. ERR_BAD_INPUT. */
[[nodiscard]] int hash_base64(const char *base64, struct buf *out_bytes);

#endif

/* hash.h: SHA-256. The owner of nettle in this room is hash.c. */
#ifndef SALLYPORT_BROKER_HASH_H
#define SALLYPORT_BROKER_HASH_H

#include <stdint.h>

#include "sallyport/buf.h"

#define HASH_BYTES 32

void hash_sha256(struct view bytes, uint8_t out_hash[HASH_BYTES]);
/* The same as 64 lower-case hexadecimal characters and NUL. */
void hash_sha256_hex(struct view bytes, char *out_text);

#endif

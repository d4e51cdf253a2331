/* hash.c: SHA-256 by nettle. */
#include "hash.h"

#include <nettle/sha2.h>

#include "sallyport/str.h"

void hash_sha256(struct view bytes, uint8_t out_hash[HASH_BYTES])
{
	struct sha256_ctx context;
	sha256_init(&context);
	sha256_update(&context, bytes.size, bytes.data);
	sha256_digest(&context, HASH_BYTES, out_hash);
}

void hash_sha256_hex(struct view bytes, char *out_text)
{
	uint8_t hash[HASH_BYTES];
	hash_sha256(bytes, hash);
	str_hex(view_of(hash, sizeof(hash)), out_text);
}

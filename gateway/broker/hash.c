/* hash.c: SHA-256 and base64 by nettle. */
#include "hash.h"

#include <nettle/base64.h>
#include <nettle/memops.h>
#include <nettle/sha2.h>
#include <string.h>

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

bool hash_equal(const void *one, const void *other, size_t size)
{
	return memeql_sec(one, other, size);
}

int hash_base64(const char *base64, struct buf *out_bytes)
{
	struct base64_decode_ctx context;
	size_t length = strlen(base64), size = BASE64_DECODE_LENGTH(length);
	uint8_t *place = buf_reserve(out_bytes, size);
	if (!place)
		return ERR_BAD_INPUT;
	base64_decode_init(&context);
	if (!base64_decode_update(&context, &size, place, length, base64) || !base64_decode_final(&context))
		return ERR_BAD_INPUT;
	buf_grown(out_bytes, size);
	return 0;
}

int hash_pem_certificate(struct buf *pem, struct buf *out_der)
{
	static const char begin[] = "-----BEGIN CERTIFICATE-----", end[] = "-----END CERTIFICATE-----";
	if (buf_add(pem, view_of("", 1)) < 0)
		return ERR_BAD_INPUT;
	char *from = strstr((char *)pem->data, begin), *to = from ? strstr(from, end) : NULL;
	if (!to)
		return ERR_BAD_INPUT;
	*to = 0;
	return hash_base64(from + sizeof(begin) - 1, out_der);
}

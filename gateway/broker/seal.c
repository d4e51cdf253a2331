/* seal.c: ChaCha20-Poly1305 (RFC 8439) and HMAC by nettle. Format of the texts: sql/0006_factor.sql. */
#include "seal.h"

#include <nettle/chacha-poly1305.h>
#include <nettle/hmac.h>
#include <string.h>

#include "sallyport/fd.h"
#include "sallyport/str.h"

enum { NONCE = CHACHA_POLY1305_NONCE_SIZE, TAG = CHACHA_POLY1305_DIGEST_SIZE };

int seal_read(int fd, struct seal *out_seal, struct diag *diag)
{
	OWN_SECRET_BUF struct buf text = BUF_INIT(2 * SEAL_KEY_BYTES + 1);
	struct seal seal = {.present = true};
	int result = fd_read_all(fd, &text);
	if (result == 0 && text.size && text.data[text.size - 1] == '\n')
		text.size--;
	if (result == 0)
		result = str_from_hex(buf_view(&text), seal.key, sizeof(seal.key));
	if (result == 0)
		*out_seal = seal;
	wipe(&seal, sizeof(seal));
	if (result < 0)
		return diag_set(diag, ERR_BAD_CONFIG, "factor_key does not hold %d hexadecimal digits", 2 * SEAL_KEY_BYTES);
	return 0;
}

static void begin(struct chacha_poly1305_ctx *context, const struct seal *seal, const char *owner, const uint8_t *nonce)
{
	chacha_poly1305_set_key(context, seal->key);
	chacha_poly1305_set_nonce(context, nonce);
	chacha_poly1305_update(context, strlen(owner), (const uint8_t *)owner);
}

int seal_close(const struct seal *seal, const char *owner, struct view secret, char out_text[SEAL_TEXT_MAX])
{
	struct chacha_poly1305_ctx context;
	uint8_t closed[NONCE + SEAL_SECRET_MAX + TAG];
	if (secret.size > SEAL_SECRET_MAX)
		return ERR_LIMIT;
	fd_random(closed, NONCE);
	begin(&context, seal, owner, closed);
	chacha_poly1305_encrypt(&context, secret.size, closed + NONCE, secret.data);
	chacha_poly1305_digest(&context, TAG, closed + NONCE + secret.size);
	str_hex(view_of(closed, NONCE + secret.size + TAG), out_text);
	wipe(&context, sizeof(context));
	return 0;
}

int seal_open(const struct seal *seal, const char *owner, const char *text, uint8_t *out_secret, size_t *out_size)
{
	struct chacha_poly1305_ctx context;
	uint8_t closed[NONCE + SEAL_SECRET_MAX + TAG], tag[TAG];
	size_t size = strlen(text) / 2;
	if (size < NONCE + TAG || size > sizeof(closed) || str_from_hex(view_string(text), closed, size) < 0)
		return ERR_BAD_INPUT;
	size_t length = size - NONCE - TAG;
	begin(&context, seal, owner, closed);
	chacha_poly1305_decrypt(&context, length, out_secret, closed + NONCE);
	chacha_poly1305_digest(&context, TAG, tag);
	wipe(&context, sizeof(context));
	if (!view_equal_secret(view_of(tag, TAG), view_of(closed + NONCE + length, TAG))) {
		wipe(out_secret, length);
		return ERR_BAD_INPUT;
	}
	*out_size = length;
	return 0;
}

static void hmac(const uint8_t *key, size_t key_size, struct view text, uint8_t out_digest[SHA256_DIGEST_SIZE])
{
	struct hmac_sha256_ctx context;
	hmac_sha256_set_key(&context, key_size, key);
	hmac_sha256_update(&context, text.size, text.data);
	hmac_sha256_digest(&context, SHA256_DIGEST_SIZE, out_digest);
	wipe(&context, sizeof(context));
}

void seal_mark(const struct seal *seal, const char *owner, const char *code, char out_text[SEAL_MARK_CHARACTERS + 1])
{
	uint8_t first[SHA256_DIGEST_SIZE], second[SHA256_DIGEST_SIZE];
	/* A key of its own for this purpose and this owner. */
	hmac(seal->key, sizeof(seal->key), view_string("sallyport recovery code"), first);
	hmac(first, sizeof(first), view_string(owner), second);
	hmac(second, sizeof(second), view_string(code), first);
	str_hex(view_of(first, sizeof(first)), out_text);
	wipe(second, sizeof(second));
}

/* tls_signing.c: a server's private key that is elsewhere.
 *
 * GnuTLS is given a key made of callbacks. What GnuTLS asks to have signed is ignored: the sign handler gets
 * the transcript, and whoever holds the key (gateway/signer/sign.c) hashes it and builds the content itself.
 */
#include <string.h>

#include "tls_internal.h"

/* Signature schemes of TLS 1.3 (RFC 8446 4.2.3). */
static const struct {
	gnutls_sign_algorithm_t algorithm;
	uint16_t scheme;
} schemes[] = {
	{GNUTLS_SIGN_ECDSA_SECP256R1_SHA256, 0x0403}, {GNUTLS_SIGN_ECDSA_SECP384R1_SHA384, 0x0503},
	{GNUTLS_SIGN_EDDSA_ED25519, 0x0807},          {GNUTLS_SIGN_RSA_PSS_RSAE_SHA256, 0x0804},
	{GNUTLS_SIGN_RSA_PSS_RSAE_SHA384, 0x0805},    {GNUTLS_SIGN_RSA_PSS_RSAE_SHA512, 0x0806},
	{GNUTLS_SIGN_RSA_PSS_SHA256, 0x0809},         {GNUTLS_SIGN_RSA_PSS_SHA384, 0x080a},
	{GNUTLS_SIGN_RSA_PSS_SHA512, 0x080b},
};

static uint16_t scheme_of(gnutls_sign_algorithm_t algorithm)
{
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		if (schemes[i].algorithm == algorithm)
			return schemes[i].scheme;
	return 0;
}

int tls_suite_hash(const struct tls *tls, enum tls_hash *out_hash)
{
	switch (gnutls_prf_hash_get(tls->session)) {
	case GNUTLS_DIG_SHA256:
		*out_hash = TLS_SHA256;
		return 0;
	case GNUTLS_DIG_SHA384:
		*out_hash = TLS_SHA384;
		return 0;
	default:
		return ERR_BUG;
	}
}

static int ask_signer(struct tls *tls, uint16_t scheme, struct buf *out_signature)
{
	struct tls_transcript *transcript = tls->transcript;
	if (!transcript || transcript->failure || transcript->signed_size || !scheme)
		return ERR_BUG;
	struct tls_signing signing = {.scheme = scheme, .transcript = buf_view(&transcript->messages)};
	int result = tls_suite_hash(tls, &signing.hash);
	if (result < 0)
		return result;
	transcript->signed_size = transcript->messages.size;
	return tls->sign(tls->sign_owner, &signing, out_signature);
}

static int sign(gnutls_privkey_t key, gnutls_sign_algorithm_t algorithm, void *userdata, unsigned flags,
		const gnutls_datum_t *content, gnutls_datum_t *out_signature)
{
	(void)key, (void)flags, (void)content;
	struct tls *tls = userdata;
	OWN_BUF struct buf signature = BUF_INIT(2048);
	tls->sign_result = ask_signer(tls, scheme_of(algorithm), &signature);
	if (tls->sign_result < 0 || signature.size == 0)
		return GNUTLS_E_PK_SIGN_FAILED;
	out_signature->data = gnutls_malloc(signature.size);
	if (!out_signature->data)
		return GNUTLS_E_MEMORY_ERROR;
	memcpy(out_signature->data, signature.data, signature.size);
	out_signature->size = (unsigned)signature.size;
	return 0;
}

static int key_info(gnutls_privkey_t key, unsigned flags, void *userdata)
{
	(void)key;
	const struct tls *tls = userdata;
	if (flags & GNUTLS_PRIVKEY_INFO_PK_ALGO)
		return tls->credentials->key_algorithm;
	if (flags & GNUTLS_PRIVKEY_INFO_PK_ALGO_BITS)
		return (int)tls->credentials->key_bits;
	if (flags & GNUTLS_PRIVKEY_INFO_HAVE_SIGN_ALGO)
		return scheme_of((gnutls_sign_algorithm_t)GNUTLS_FLAGS_TO_SIGN_ALGO(flags)) != 0;
	return -1;
}

int tls_signing_setup(struct tls *tls)
{
	if (gnutls_privkey_init(&tls->key) < 0)
		return ERR_SYSTEM;
	return gnutls_privkey_import_ext4(tls->key, tls, sign, sign, NULL, NULL, key_info, 0) < 0 ? ERR_BUG : 0;
}

int tls_signing_retrieve(gnutls_session_t session, const struct gnutls_cert_retr_st *info, gnutls_pcert_st **out_chain,
			 unsigned *out_length, gnutls_ocsp_data_st **out_ocsp, unsigned *out_ocsp_length,
			 gnutls_privkey_t *out_key, unsigned *out_flags)
{
	(void)info;
	struct tls *tls = gnutls_session_get_ptr(session);
	/* GnuTLS only reads the chain; it is shared by all sessions. */
	*out_chain = (gnutls_pcert_st *)(uintptr_t)tls->credentials->chain;
	*out_length = tls->credentials->chain_length;
	*out_ocsp = NULL;
	*out_ocsp_length = 0;
	*out_key = tls->key;
	*out_flags = 0; /* both stay ours */
	return 0;
}

/* scheme.c: which signature scheme fits which key. Pure functions. */
#include "scheme.h"

#include <stddef.h>

static const struct scheme schemes[] = {
	{0x0403, GNUTLS_SIGN_ECDSA_SECP256R1_SHA256, GNUTLS_PK_ECDSA, GNUTLS_ECC_CURVE_SECP256R1, true,
	 "ecdsa_secp256r1_sha256"},
	{0x0503, GNUTLS_SIGN_ECDSA_SECP384R1_SHA384, GNUTLS_PK_ECDSA, GNUTLS_ECC_CURVE_SECP384R1, true,
	 "ecdsa_secp384r1_sha384"},
	{0x0804, GNUTLS_SIGN_RSA_PSS_RSAE_SHA256, GNUTLS_PK_RSA, GNUTLS_ECC_CURVE_INVALID, true, "rsa_pss_rsae_sha256"},
	{0x0805, GNUTLS_SIGN_RSA_PSS_RSAE_SHA384, GNUTLS_PK_RSA, GNUTLS_ECC_CURVE_INVALID, true, "rsa_pss_rsae_sha384"},
	{0x0806, GNUTLS_SIGN_RSA_PSS_RSAE_SHA512, GNUTLS_PK_RSA, GNUTLS_ECC_CURVE_INVALID, true, "rsa_pss_rsae_sha512"},
	{0x0807, GNUTLS_SIGN_EDDSA_ED25519, GNUTLS_PK_EDDSA_ED25519, GNUTLS_ECC_CURVE_ED25519, false, "ed25519"},
};
static const size_t scheme_count = sizeof(schemes) / sizeof(schemes[0]);

static bool fits(const struct scheme *scheme, gnutls_pubkey_t key)
{
	unsigned bits = 0;
	gnutls_ecc_curve_t curve = GNUTLS_ECC_CURVE_INVALID;
	if (gnutls_pubkey_get_pk_algorithm(key, &bits) != (int)scheme->key)
		return false;
	if (scheme->curve == GNUTLS_ECC_CURVE_INVALID)
		return bits >= SCHEME_RSA_BITS_MIN && bits <= SCHEME_RSA_BITS_MAX;
	return gnutls_pubkey_export_ecc_raw2(key, &curve, NULL, NULL, 0) == 0 && curve == scheme->curve;
}

int scheme_find(uint32_t number, gnutls_pubkey_t key, const struct scheme **out_scheme, struct diag *diag)
{
	for (size_t i = 0; i < scheme_count; i++) {
		if (schemes[i].number != number)
			continue;
		if (!fits(&schemes[i], key))
			return diag_set(diag, ERR_DENIED, "the scheme %s does not fit the key", schemes[i].name);
		*out_scheme = &schemes[i];
		return 0;
	}
	return diag_set(diag, ERR_DENIED, "the signature scheme 0x%04x is not among ours", number);
}

static const struct scheme *first_fitting(gnutls_pubkey_t key)
{
	for (size_t i = 0; i < scheme_count; i++)
		if (fits(&schemes[i], key))
			return &schemes[i];
	return NULL;
}

int scheme_check_key(gnutls_pubkey_t key, struct diag *diag)
{
	unsigned bits = 0;
	int kind = gnutls_pubkey_get_pk_algorithm(key, &bits);
	if (first_fitting(key))
		return 0;
	const char *name = kind < 0 ? NULL : gnutls_pk_get_name((gnutls_pk_algorithm_t)kind);
	return diag_set(diag, ERR_DENIED,
			"a key of the kind %s with %u bits is not accepted: use EC P-256 or P-384, Ed25519, or "
			"RSA of %d to %d bits",
			name ? name : "unknown", bits, SCHEME_RSA_BITS_MIN, SCHEME_RSA_BITS_MAX);
}

bool scheme_key_is_fresh(gnutls_pubkey_t key)
{
	const struct scheme *scheme = first_fitting(key);
	return scheme && scheme->fresh;
}

int scheme_digest(gnutls_privkey_t key, gnutls_digest_algorithm_t *out_digest)
{
	gnutls_pubkey_t public = NULL;
	*out_digest = GNUTLS_DIG_SHA256;
	int code = gnutls_pubkey_init(&public);
	if (code == 0)
		code = gnutls_pubkey_import_privkey(public, key, 0, 0);
	if (code == 0)
		code = gnutls_pubkey_get_preferred_hash_algorithm(public, out_digest, NULL);
	gnutls_pubkey_deinit(public);
	return code;
}

/* x509_profile.c: which keys and which device certificates are good enough (promise A6). Pure functions.
 *
 * Chain and validity are judged in the handshake (tls_verify.c), state and generation by the broker.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "sallyport/str.h"
#include "x509_internal.h"

/* Above RSA_MOST a signature check becomes a way to burn our time. */
enum { RSA_LEAST = 2048, RSA_MOST = 8192 };

static const struct {
	gnutls_ecc_curve_t curve;
	const char *kind;
} curves[] = {
	{GNUTLS_ECC_CURVE_SECP256R1, "ec-p256"},
	{GNUTLS_ECC_CURVE_SECP384R1, "ec-p384"},
	{GNUTLS_ECC_CURVE_ED25519, "ed25519"},
};

static const char *curve_kind(gnutls_pubkey_t key)
{
	gnutls_ecc_curve_t curve = GNUTLS_ECC_CURVE_INVALID;
	if (gnutls_pubkey_export_ecc_raw2(key, &curve, NULL, NULL, 0) < 0)
		return NULL;
	for (size_t i = 0; i < sizeof(curves) / sizeof(curves[0]); i++)
		if (curves[i].curve == curve)
			return curves[i].kind;
	return NULL;
}

static bool is_rsa(int algorithm)
{
	return algorithm == GNUTLS_PK_RSA || algorithm == GNUTLS_PK_RSA_PSS;
}

int x509_check_strength(gnutls_pubkey_t key, struct diag *diag)
{
	unsigned bits = 0;
	int algorithm = gnutls_pubkey_get_pk_algorithm(key, &bits);
	if (is_rsa(algorithm) && bits >= RSA_LEAST && bits <= RSA_MOST)
		return 0;
	if (is_rsa(algorithm))
		return diag_set(diag, ERR_DENIED,
				"an RSA key of %u bits is too %s: take EC P-256, or RSA with %d to %d bits", bits,
				bits < RSA_LEAST ? "weak" : "long", RSA_LEAST, RSA_MOST);
	bool curve = algorithm == GNUTLS_PK_ECDSA || algorithm == GNUTLS_PK_EDDSA_ED25519;
	if (curve && curve_kind(key))
		return 0;
	const char *name = algorithm < 0 ? "unknown" : gnutls_pk_algorithm_get_name((gnutls_pk_algorithm_t)algorithm);
	return diag_set(diag, ERR_DENIED,
			"a key of kind %s with %u bits is not accepted: take EC P-256 or P-384, Ed25519, or RSA with "
			"%d bits or more", name ? name : "unknown", bits, RSA_LEAST);
}

int x509_check_public_key(struct view public_key, struct diag *diag)
{
	OWN(own_public_key) gnutls_pubkey_t key = NULL;
	int result = x509_read_public_key(public_key, &key, diag);
	return result < 0 ? result : x509_check_strength(key, diag);
}

int x509_key_kind(struct view public_key, char *out_kind, size_t capacity)
{
	OWN(own_public_key) gnutls_pubkey_t key = NULL;
	int result = x509_read_public_key(public_key, &key, NULL);
	if (result < 0)
		return result;
	unsigned bits = 0;
	int algorithm = gnutls_pubkey_get_pk_algorithm(key, &bits);
	const char *curve = curve_kind(key);
	if (is_rsa(algorithm))
		snprintf(out_kind, capacity, "rsa-%u", bits);
	else
		snprintf(out_kind, capacity, "%s", curve ? curve : "other");
	return 0;
}

/* ---- the leaf ---- */

struct refusal {
	const char **out_code;
	struct diag *diag;
};

static int refuse(const struct refusal *refusal, const char *code, const char *sentence)
{
	*refusal->out_code = code;
	return diag_set(refusal->diag, ERR_DENIED, "%s", sentence);
}

static bool has_purpose(gnutls_x509_crt_t leaf, const char *wanted)
{
	for (unsigned i = 0;; i++) {
		char oid[128];
		size_t size = sizeof(oid);
		int result = gnutls_x509_crt_get_key_purpose_oid(leaf, i, oid, &size, NULL);
		if (result == GNUTLS_E_SHORT_MEMORY_BUFFER)
			continue;
		if (result < 0)
			return false;
		if (strcmp(oid, wanted) == 0)
			return true;
	}
}

static int check_purpose(gnutls_x509_crt_t leaf, const struct refusal *refusal)
{
	unsigned is_authority = 0, usage = 0;
	if (gnutls_x509_crt_get_basic_constraints(leaf, NULL, &is_authority, NULL) >= 0 && is_authority)
		return refuse(refusal, "wrong_purpose", "an authority's certificate is not a device's");
	/* Absent or anyExtendedKeyUsage is not enough: clientAuth must be said. */
	if (!has_purpose(leaf, GNUTLS_KP_TLS_WWW_CLIENT))
		return refuse(refusal, "wrong_purpose",
			      "the certificate is not for TLS clients (clientAuth is not among its purposes)");
	if (gnutls_x509_crt_get_key_usage(leaf, &usage, NULL) >= 0 && !(usage & GNUTLS_KEY_DIGITAL_SIGNATURE))
		return refuse(refusal, "wrong_purpose",
			      "the certificate's key may not sign (digitalSignature is missing)");
	return 0;
}

static int check_key(gnutls_x509_crt_t leaf, const struct refusal *refusal)
{
	OWN(own_public_key) gnutls_pubkey_t key = NULL;
	*refusal->out_code = "weak_key";
	if (gnutls_pubkey_init(&key) < 0 || gnutls_pubkey_import_x509(key, leaf, 0) < 0)
		return refuse(refusal, "weak_key", "the certificate's public key is of no known kind");
	int result = x509_check_strength(key, refusal->diag);
	if (result < 0)
		return result;
	gnutls_sign_algorithm_t algorithm = (gnutls_sign_algorithm_t)gnutls_x509_crt_get_signature_algorithm(leaf);
	if (!gnutls_sign_is_secure2(algorithm, GNUTLS_SIGN_FLAG_SECURE_FOR_CERTS))
		return refuse(refusal, "weak_key", "the certificate is signed with a weak hash (MD5 or SHA-1)");
	return 0;
}

/* "laptop" and "laptop.corp.example" name one device, "laptop" and "desktop" do not. */
static bool names_agree(const char *common, const char *dns)
{
	size_t length = strlen(common);
	return strncasecmp(common, dns, length) == 0 && (dns[length] == 0 || dns[length] == '.');
}

static int check_names(gnutls_x509_crt_t leaf, const struct refusal *refusal)
{
	static const char several[] = "the certificate names several devices";
	static const char wildcard[] = "the certificate is a wildcard";
	char common[256] = "", more[256];
	unsigned of_kind[32] = {0};
	x509_common_name(leaf, 0, common, sizeof(common));
	if (x509_common_name(leaf, 1, more, sizeof(more)))
		return refuse(refusal, "wrong_purpose", several);
	if (strchr(common, '*'))
		return refuse(refusal, "wrong_purpose", wildcard);
	for (unsigned i = 0;; i++) {
		char name[1024];
		size_t size = sizeof(name);
		int kind = gnutls_x509_crt_get_subject_alt_name(leaf, i, name, &size, NULL);
		if (kind == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
			return 0;
		if (kind < 0 && kind != GNUTLS_E_X509_UNKNOWN_SAN)
			return refuse(refusal, "wrong_purpose", "the certificate's alternative names cannot be read");
		if (kind != GNUTLS_SAN_DNSNAME && kind != GNUTLS_SAN_URI && kind != GNUTLS_SAN_IPADDRESS)
			continue; /* mail addresses and principals name a person, not a device */
		if (of_kind[kind]++)
			return refuse(refusal, "wrong_purpose", several);
		if (kind == GNUTLS_SAN_IPADDRESS)
			continue;
		if (memchr(name, '*', size))
			return refuse(refusal, "wrong_purpose", wildcard);
		if (kind == GNUTLS_SAN_DNSNAME && common[0] && !names_agree(common, name))
			return refuse(refusal, "wrong_purpose", several);
	}
}

int x509_check_leaf(struct view der, const char **out_code, struct diag *diag)
{
	static int (*const checks[])(gnutls_x509_crt_t, const struct refusal *) = {
		check_key, check_purpose, check_names};
	const char *code = "not_trusted";
	struct refusal refusal = {&code, diag};
	OWN(own_certificate) gnutls_x509_crt_t leaf = NULL;
	int result = x509_read_certificate(der, &leaf, diag);
	for (size_t i = 0; result == 0 && i < sizeof(checks) / sizeof(checks[0]); i++)
		result = checks[i](leaf, &refusal);
	if (result < 0)
		*out_code = code;
	return result;
}

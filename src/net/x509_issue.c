/* x509_issue.c: keys and certificates of our own making.
 *
 * A certificate is built from an order of ours (a public key and a name), never from a request's fields.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "sallyport/fd.h"
#include "x509_internal.h"

static const struct {
	unsigned usage;
	const char *purpose; /* extended key usage; NULL for none */
} profiles[] = {
	[X509_AUTHORITY] = {GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN, NULL},
	[X509_SERVER] = {GNUTLS_KEY_DIGITAL_SIGNATURE, GNUTLS_KP_TLS_WWW_SERVER},
	[X509_DEVICE] = {GNUTLS_KEY_DIGITAL_SIGNATURE, GNUTLS_KP_TLS_WWW_CLIENT},
};

enum { KEY_ID_SIZE = 20 };

int x509_key_make(struct buf *out_key_pem, struct diag *diag)
{
	OWN(own_raw_private_key) gnutls_x509_privkey_t key = NULL;
	OWN(own_secret_datum) gnutls_datum_t pem = {0};
	int result;
	if ((result = gnutls_x509_privkey_init(&key)) < 0 ||
	    (result = gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA,
						   GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0)) < 0 ||
	    (result = gnutls_x509_privkey_export2_pkcs8(key, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN, &pem)) < 0)
		return diag_set(diag, ERR_SYSTEM, "a key cannot be made (%s)", gnutls_strerror(result));
	return buf_add(out_key_pem, datum_view(&pem));
}

/* The first 160 bits of SHA-256 of the public key; an opaque value (RFC 5280 4.2.1.2). */
static int set_key_id(gnutls_x509_crt_t certificate, gnutls_pubkey_t key)
{
	uint8_t id[32];
	size_t size = sizeof(id);
	int result = gnutls_pubkey_get_key_id(key, GNUTLS_KEYID_USE_SHA256, id, &size);
	return result < 0 ? result : gnutls_x509_crt_set_subject_key_id(certificate, id, KEY_ID_SIZE);
}

static int set_authority_id(gnutls_x509_crt_t certificate, gnutls_x509_crt_t issuer)
{
	uint8_t id[64];
	size_t size = sizeof(id);
	int result = gnutls_x509_crt_get_subject_key_id(issuer, id, &size, NULL);
	if (result < 0)
		return 0; /* an authority made elsewhere need not have one */
	return gnutls_x509_crt_set_authority_key_id(certificate, id, size);
}

static int set_server_name(gnutls_x509_crt_t certificate, const char *name)
{
	uint8_t address[16];
	unsigned size = inet_pton(AF_INET, name, address) == 1 ? 4 : inet_pton(AF_INET6, name, address) == 1 ? 16 : 0;
	if (size)
		return gnutls_x509_crt_set_subject_alt_name(certificate, GNUTLS_SAN_IPADDRESS, address, size,
							    GNUTLS_FSAN_SET);
	return gnutls_x509_crt_set_subject_alt_name(certificate, GNUTLS_SAN_DNSNAME, name, (unsigned)strlen(name),
						    GNUTLS_FSAN_SET);
}

static int set_serial(gnutls_x509_crt_t certificate, const uint8_t *given)
{
	uint8_t serial[X509_SERIAL_SIZE];
	if (given)
		memcpy(serial, given, sizeof(serial));
	else
		fd_random(serial, sizeof(serial));
	serial[0] = (serial[0] & 0x7f) | 0x40; /* positive, and of full length */
	return gnutls_x509_crt_set_serial(certificate, serial, sizeof(serial));
}

/* Everything but issuer and signature. Returns GnuTLS's result. */
static int fill_in(gnutls_x509_crt_t certificate, const struct x509_order *order, gnutls_pubkey_t key)
{
	bool authority = order->purpose == X509_AUTHORITY;
	const char *purpose = profiles[order->purpose].purpose;
	int result;
	if ((result = gnutls_x509_crt_set_version(certificate, 3)) < 0 ||
	    (result = set_serial(certificate, order->serial)) < 0 ||
	    (result = gnutls_x509_crt_set_activation_time(certificate, (time_t)order->not_before_s)) < 0 ||
	    (result = gnutls_x509_crt_set_expiration_time(certificate, (time_t)order->not_after_s)) < 0 ||
	    (result = gnutls_x509_crt_set_dn_by_oid(certificate, GNUTLS_OID_X520_COMMON_NAME, 0, order->name,
						    (unsigned)strlen(order->name))) < 0 ||
	    (result = gnutls_x509_crt_set_pubkey(certificate, key)) < 0 ||
	    (result = gnutls_x509_crt_set_basic_constraints(certificate, authority, authority ? 0 : -1)) < 0 ||
	    (result = gnutls_x509_crt_set_key_usage(certificate, profiles[order->purpose].usage)) < 0 ||
	    (purpose && (result = gnutls_x509_crt_set_key_purpose_oid(certificate, purpose, 0)) < 0) ||
	    (order->purpose == X509_SERVER && (result = set_server_name(certificate, order->name)) < 0) ||
	    (result = set_key_id(certificate, key)) < 0)
		return result;
	return 0;
}

static int sign(gnutls_x509_crt_t certificate, gnutls_x509_crt_t issuer, gnutls_privkey_t issuer_key)
{
	int result = set_authority_id(certificate, issuer);
	if (result < 0)
		return result;
	OWN(own_public_key) gnutls_pubkey_t key = NULL;
	gnutls_digest_algorithm_t hash = GNUTLS_DIG_SHA256;
	if ((result = gnutls_pubkey_init(&key)) < 0 ||
	    (result = gnutls_pubkey_import_privkey(key, issuer_key, 0, 0)) < 0 ||
	    (result = gnutls_pubkey_get_preferred_hash_algorithm(key, &hash, NULL)) < 0)
		return result;
	return gnutls_x509_crt_privkey_sign(certificate, issuer, issuer_key, hash, 0);
}

static int check_order(const struct x509_order *order, struct diag *diag)
{
	size_t length = strlen(order->name);
	if (length == 0 || length > 64)
		return diag_set(diag, ERR_BAD_INPUT, "a certificate's name must have 1 to 64 characters, not %zu",
				length);
	if (order->not_after_s <= order->not_before_s)
		return diag_set(diag, ERR_BAD_INPUT, "a certificate must not end before it begins");
	return 0;
}

int x509_issue(const struct x509_order *order, struct buf *out_der, struct diag *diag)
{
	OWN(own_certificate) gnutls_x509_crt_t certificate = NULL;
	OWN(own_certificate) gnutls_x509_crt_t issuer = NULL;
	OWN(own_public_key) gnutls_pubkey_t key = NULL;
	OWN(own_private_key) gnutls_privkey_t issuer_key = NULL;
	OWN(own_datum) gnutls_datum_t der = {0};
	int result = check_order(order, diag);
	if (result == 0)
		result = x509_read_public_key(order->public_key, &key, diag);
	if (result == 0)
		result = x509_read_private_key(order->issuer_key_pem, &issuer_key, diag);
	if (result == 0 && order->issuer_certificate.size)
		result = x509_read_certificate(order->issuer_certificate, &issuer, diag);
	if (result < 0)
		return result;
	if (gnutls_x509_crt_init(&certificate) < 0)
		return diag_set(diag, ERR_SYSTEM, "out of memory");
	if ((result = fill_in(certificate, order, key)) < 0 ||
	    (result = sign(certificate, issuer ? issuer : certificate, issuer_key)) < 0 ||
	    (result = gnutls_x509_crt_export2(certificate, GNUTLS_X509_FMT_DER, &der)) < 0)
		return diag_set(diag, ERR_BAD_INPUT, "the certificate for \"%s\" cannot be made (%s)", order->name,
				gnutls_strerror(result));
	return buf_add(out_der, datum_view(&der));
}

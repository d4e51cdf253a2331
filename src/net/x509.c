/* x509.c: certificates, requests and keys read: PEM, DER, public keys, facts.
 *
 * The rules on a device's leaf are in x509_profile.c, the making of certificates in x509_issue.c.
 */
#include "sallyport/x509.h"

#include <gnutls/crypto.h>
#include <stdio.h>
#include <string.h>

#include "sallyport/str.h"
#include "x509_internal.h"

void x509_fingerprint(struct view der, uint8_t out_fingerprint[X509_FINGERPRINT_SIZE])
{
	gnutls_hash_fast(GNUTLS_DIG_SHA256, der.data, der.size, out_fingerprint);
}

int x509_pem_to_der(struct view pem, const char *label, struct buf *out_der)
{
	if (pem.size > X509_INPUT_MAX)
		return ERR_BAD_INPUT;
	gnutls_datum_t input = datum_of(pem);
	OWN(own_datum) gnutls_datum_t der = {0};
	int result = gnutls_pem_base64_decode2(label, &input, &der);
	if (result < 0 && strcmp(label, "CERTIFICATE REQUEST") == 0)
		result = gnutls_pem_base64_decode2("NEW CERTIFICATE REQUEST", &input, &der); /* an older name */
	return result < 0 ? ERR_BAD_INPUT : buf_add(out_der, datum_view(&der));
}

int x509_der_to_pem(struct view der, const char *label, struct buf *out_pem)
{
	gnutls_datum_t input = datum_of(der);
	OWN(own_datum) gnutls_datum_t pem = {0};
	if (gnutls_pem_base64_encode2(label, &input, &pem) < 0)
		return ERR_SYSTEM;
	return buf_add(out_pem, datum_view(&pem));
}

gnutls_x509_crt_fmt_t x509_format(struct view input)
{
	static const char begin[] = "-----BEGIN ";
	bool pem = input.size && memmem(input.data, input.size, begin, sizeof(begin) - 1);
	return pem ? GNUTLS_X509_FMT_PEM : GNUTLS_X509_FMT_DER;
}

int x509_read_certificate(struct view input, gnutls_x509_crt_t *out_certificate, struct diag *diag)
{
	if (input.size > X509_INPUT_MAX)
		return diag_set(diag, ERR_BAD_INPUT, "a certificate of %zu bytes is too large", input.size);
	OWN(own_certificate) gnutls_x509_crt_t certificate = NULL;
	if (gnutls_x509_crt_init(&certificate) < 0)
		return diag_set(diag, ERR_SYSTEM, "out of memory");
	gnutls_datum_t datum = datum_of(input);
	int result = gnutls_x509_crt_import(certificate, &datum, x509_format(input));
	if (result < 0)
		return diag_set(diag, ERR_BAD_INPUT, "this is not a certificate (%s)", gnutls_strerror(result));
	*out_certificate = take_pointer(&certificate);
	return 0;
}

int x509_read_public_key(struct view der, gnutls_pubkey_t *out_key, struct diag *diag)
{
	if (der.size > X509_INPUT_MAX)
		return diag_set(diag, ERR_BAD_INPUT, "a public key of %zu bytes is too large", der.size);
	OWN(own_public_key) gnutls_pubkey_t key = NULL;
	if (gnutls_pubkey_init(&key) < 0)
		return diag_set(diag, ERR_SYSTEM, "out of memory");
	gnutls_datum_t datum = datum_of(der);
	int result = gnutls_pubkey_import(key, &datum, GNUTLS_X509_FMT_DER);
	if (result < 0)
		return diag_set(diag, ERR_BAD_INPUT, "this is not a public key (%s)", gnutls_strerror(result));
	*out_key = take_pointer(&key);
	return 0;
}

int x509_read_private_key(struct view pem, gnutls_privkey_t *out_key, struct diag *diag)
{
	OWN(own_private_key) gnutls_privkey_t key = NULL;
	if (gnutls_privkey_init(&key) < 0)
		return diag_set(diag, ERR_SYSTEM, "out of memory");
	char url[1024];
	gnutls_datum_t datum = datum_of(pem);
	bool is_url = pem.size > 7 && memcmp(pem.data, "pkcs11:", 7) == 0 && view_to_string(pem, url, sizeof(url)) == 0;
	int result = is_url ? gnutls_privkey_import_url(key, url, 0)
			    : gnutls_privkey_import_x509_raw(key, &datum, GNUTLS_X509_FMT_PEM, NULL, 0);
	if (result < 0)
		return diag_set(diag, ERR_BAD_INPUT, is_url ? "the token's key cannot be used (%s)" : "this is not a private key (%s)",
				gnutls_strerror(result));
	*out_key = take_pointer(&key);
	return 0;
}

int x509_add_public_key(gnutls_pubkey_t key, struct buf *out_public_key, struct diag *diag)
{
	OWN(own_datum) gnutls_datum_t der = {0};
	int result = gnutls_pubkey_export2(key, GNUTLS_X509_FMT_DER, &der);
	if (result < 0)
		return diag_set(diag, ERR_BAD_INPUT, "the public key cannot be written (%s)", gnutls_strerror(result));
	result = buf_add(out_public_key, datum_view(&der));
	return result < 0 ? diag_set(diag, result, "the public key does not fit") : 0;
}

/* ---- requests ---- */

static int read_request(struct view input, gnutls_x509_crq_t *out_request, struct diag *diag)
{
	if (input.size > X509_INPUT_MAX)
		return diag_set(diag, ERR_BAD_INPUT, "a certificate request of %zu bytes is too large (at most %d)",
				input.size, X509_INPUT_MAX);
	OWN(own_request) gnutls_x509_crq_t request = NULL;
	if (gnutls_x509_crq_init(&request) < 0)
		return diag_set(diag, ERR_SYSTEM, "out of memory");
	gnutls_datum_t datum = datum_of(input);
	int result = gnutls_x509_crq_import(request, &datum, x509_format(input));
	if (result < 0)
		return diag_set(diag, ERR_BAD_INPUT, "this is not a certificate request (PKCS#10 in PEM or DER): %s",
				gnutls_strerror(result));
	*out_request = take_pointer(&request);
	return 0;
}

int x509_request_public_key(struct view input, struct buf *out_public_key, struct diag *diag)
{
	OWN(own_request) gnutls_x509_crq_t request = NULL;
	int result = read_request(input, &request, diag);
	if (result < 0)
		return result;
	OWN(own_public_key) gnutls_pubkey_t key = NULL;
	if (gnutls_pubkey_init(&key) < 0)
		return diag_set(diag, ERR_SYSTEM, "out of memory");
	result = gnutls_pubkey_import_x509_crq(key, request, 0);
	if (result < 0)
		return diag_set(diag, ERR_BAD_INPUT, "the certificate request holds no usable public key (%s)",
				gnutls_strerror(result));
	/* Strength first: a weak key's signature would be refused too, with a sentence that helps nobody. */
	result = x509_check_strength(key, diag);
	if (result < 0)
		return result;
	result = gnutls_x509_crq_verify(request, 0);
	if (result < 0)
		return diag_set(diag, ERR_DENIED,
				"the certificate request is not signed by its own key, or with a weak hash (%s)",
				gnutls_strerror(result));
	return x509_add_public_key(key, out_public_key, diag);
}

static void add_name(struct buf *lines, const char *name, size_t size)
{
	char text[128];
	if (view_to_string(view_of(name, size), text, sizeof(text)) < 0 || !*text)
		return;
	str_make_printable(text);
	if (lines->size + strlen(text) + 1 <= X509_NAMES_MAX)
		(void)!buf_add_format(lines, "%s\n", text);
}

void x509_request_names(struct view input, struct buf *out_lines)
{
	OWN(own_request) gnutls_x509_crq_t request = NULL;
	struct diag ignored;
	char name[256];
	if (read_request(input, &request, &ignored) < 0)
		return;
	size_t size = sizeof(name);
	for (int i = 0; gnutls_x509_crq_get_dn_by_oid(request, GNUTLS_OID_X520_COMMON_NAME, i, 0, name, &size) >= 0; i++) {
		add_name(out_lines, name, strnlen(name, sizeof(name)));
		size = sizeof(name);
	}
	unsigned kind = 0, critical = 0;
	size = sizeof(name);
	for (unsigned i = 0; gnutls_x509_crq_get_subject_alt_name(request, i, name, &size, &kind, &critical) >= 0; i++) {
		if (kind == GNUTLS_SAN_DNSNAME || kind == GNUTLS_SAN_URI || kind == GNUTLS_SAN_RFC822NAME)
			add_name(out_lines, name, size);
		size = sizeof(name);
	}
}

int x509_request_make(struct view key_pem, const char *name, struct buf *out_request_pem, struct diag *diag)
{
	OWN(own_private_key) gnutls_privkey_t key = NULL;
	int result = x509_read_private_key(key_pem, &key, diag);
	if (result < 0)
		return result;
	OWN(own_request) gnutls_x509_crq_t request = NULL;
	OWN(own_public_key) gnutls_pubkey_t public_key = NULL;
	OWN(own_datum) gnutls_datum_t der = {0};
	if (gnutls_x509_crq_init(&request) < 0 || gnutls_pubkey_init(&public_key) < 0)
		return diag_set(diag, ERR_SYSTEM, "out of memory");
	if ((result = gnutls_pubkey_import_privkey(public_key, key, 0, 0)) < 0 ||
	    (result = gnutls_x509_crq_set_version(request, 1)) < 0 ||
	    (result = gnutls_x509_crq_set_pubkey(request, public_key)) < 0 ||
	    (result = gnutls_x509_crq_set_dn_by_oid(request, GNUTLS_OID_X520_COMMON_NAME, 0, name,
						    (unsigned)strlen(name))) < 0 ||
	    (result = gnutls_x509_crq_privkey_sign(request, key, GNUTLS_DIG_UNKNOWN, 0)) < 0 ||
	    (result = gnutls_x509_crq_export2(request, GNUTLS_X509_FMT_DER, &der)) < 0)
		return diag_set(diag, ERR_BAD_INPUT, "the certificate request cannot be made (%s)",
				gnutls_strerror(result));
	return x509_der_to_pem(datum_view(&der), "CERTIFICATE REQUEST", out_request_pem);
}

/* ---- facts ---- */

bool x509_common_name(gnutls_x509_crt_t certificate, unsigned index, char *out_name, size_t capacity)
{
	size_t size = capacity;
	int result = gnutls_x509_crt_get_dn_by_oid(certificate, GNUTLS_OID_X520_COMMON_NAME, (int)index, 0, out_name,
						   &size);
	if (result < 0)
		out_name[0] = 0;
	return result != GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE;
}

/* The issuer's common name, or its whole name when it has none; empty when it does not fit. */
static void issuer_name(gnutls_x509_crt_t certificate, char *out_name, size_t capacity)
{
	size_t size = capacity;
	if (gnutls_x509_crt_get_issuer_dn_by_oid(certificate, GNUTLS_OID_X520_COMMON_NAME, 0, 0, out_name, &size) >= 0)
		return;
	size = capacity;
	if (gnutls_x509_crt_get_issuer_dn(certificate, out_name, &size) < 0)
		out_name[0] = 0;
}

/* The first that can be reached by HTTP (RFC 5280 4.2.2.1). */
static void responder_of(gnutls_x509_crt_t certificate, char *out_url, size_t capacity)
{
	for (unsigned i = 0; i < 16; i++) {
		OWN(own_datum) gnutls_datum_t url = {0};
		int result = gnutls_x509_crt_get_authority_info_access(certificate, i, GNUTLS_IA_OCSP_URI, &url, NULL);
		if (result == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
			break;
		bool is_http = result >= 0 && url.size > 7 && (memcmp(url.data, "http://", 7) == 0 || memcmp(url.data, "https:/", 7) == 0);
		if (is_http && view_to_string(datum_view(&url), out_url, capacity) == 0)
			return;
	}
	out_url[0] = 0;
}

int x509_facts(struct view input, struct x509_facts *out_facts, struct diag *diag)
{
	OWN(own_certificate) gnutls_x509_crt_t certificate = NULL;
	int result = x509_read_certificate(input, &certificate, diag);
	if (result < 0)
		return result;
	struct x509_facts facts = {0};
	uint8_t serial[20];
	size_t serial_size = sizeof(serial), fingerprint_size = sizeof(facts.fingerprint);
	if (gnutls_x509_crt_get_serial(certificate, serial, &serial_size) < 0 ||
	    gnutls_x509_crt_get_fingerprint(certificate, GNUTLS_DIG_SHA256, facts.fingerprint, &fingerprint_size) < 0)
		return diag_set(diag, ERR_BAD_INPUT, "the certificate's serial number cannot be read");
	str_hex(view_of(serial, serial_size), facts.serial);
	x509_common_name(certificate, 0, facts.name, sizeof(facts.name));
	issuer_name(certificate, facts.issuer, sizeof(facts.issuer));
	responder_of(certificate, facts.responder, sizeof(facts.responder));
	str_make_printable(facts.responder);
	str_make_printable(facts.name);
	str_make_printable(facts.issuer);
	facts.not_before_s = gnutls_x509_crt_get_activation_time(certificate);
	facts.not_after_s = gnutls_x509_crt_get_expiration_time(certificate);
	OWN_BUF struct buf key = BUF_INIT(X509_INPUT_MAX);
	result = x509_certificate_public_key(input, &key, diag);
	if (result < 0)
		return result;
	result = x509_key_kind(buf_view(&key), facts.key_kind, sizeof(facts.key_kind));
	if (result < 0)
		return diag_set(diag, result, "the certificate's public key cannot be read");
	*out_facts = facts;
	return 0;
}

int x509_certificate_public_key(struct view input, struct buf *out_public_key, struct diag *diag)
{
	OWN(own_certificate) gnutls_x509_crt_t certificate = NULL;
	int result = x509_read_certificate(input, &certificate, diag);
	if (result < 0)
		return result;
	OWN(own_public_key) gnutls_pubkey_t key = NULL;
	if (gnutls_pubkey_init(&key) < 0)
		return diag_set(diag, ERR_SYSTEM, "out of memory");
	result = gnutls_pubkey_import_x509(key, certificate, 0);
	if (result < 0)
		return diag_set(diag, ERR_BAD_INPUT, "the certificate holds no usable public key (%s)",
				gnutls_strerror(result));
	return x509_add_public_key(key, out_public_key, diag);
}

bool x509_is_signed_by(struct view input, struct view authority_input)
{
	OWN(own_certificate) gnutls_x509_crt_t certificate = NULL;
	OWN(own_certificate) gnutls_x509_crt_t authority = NULL;
	struct diag ignored;
	unsigned verdict = 0;
	return x509_read_certificate(input, &certificate, &ignored) == 0 && x509_read_certificate(authority_input, &authority, &ignored) == 0 &&
	       gnutls_x509_crt_check_issuer(certificate, authority) &&
	       gnutls_x509_crt_verify(certificate, &authority, 1, GNUTLS_VERIFY_DISABLE_TIME_CHECKS,
				      &verdict) == 0 &&
	       verdict == 0;
}

bool x509_names_host(struct view input, const char *host)
{
	OWN(own_certificate) gnutls_x509_crt_t certificate = NULL;
	struct diag ignored;
	return x509_read_certificate(input, &certificate, &ignored) == 0 && gnutls_x509_crt_check_hostname(certificate, host) != 0;
}

int x509_key_public(struct view key_pem, struct buf *out_public_key, struct diag *diag)
{
	OWN(own_private_key) gnutls_privkey_t key = NULL;
	int result = x509_read_private_key(key_pem, &key, diag);
	if (result < 0)
		return result;
	OWN(own_public_key) gnutls_pubkey_t public_key = NULL;
	if (gnutls_pubkey_init(&public_key) < 0)
		return diag_set(diag, ERR_SYSTEM, "out of memory");
	result = gnutls_pubkey_import_privkey(public_key, key, 0, 0);
	if (result < 0)
		return diag_set(diag, ERR_BAD_INPUT, "the private key has no public half (%s)",
				gnutls_strerror(result));
	return x509_add_public_key(public_key, out_public_key, diag);
}

/* x509_bundle.c: certificates in company: EST's certs-only messages (RFC 7030 4.1.3), and base64.
 *
 * Used by the worker and by the clients; what a single certificate says is in x509.c.
 */
#include <gnutls/pkcs7.h>
#include <string.h>

#include "x509_internal.h"

enum { BUNDLE_MAX = 64, BASE64_LINE = 64 };

DEFINE_OWN(pkcs7, gnutls_pkcs7_t, gnutls_pkcs7_deinit)

/* ---- base64 ---- */

int x509_to_base64(struct view bytes, struct buf *out_base64)
{
	gnutls_datum_t input = datum_of(bytes);
	OWN(own_datum) gnutls_datum_t text = {0};
	if (gnutls_base64_encode2(&input, &text) < 0)
		return ERR_SYSTEM;
	for (unsigned at = 0; at < text.size; at += BASE64_LINE) {
		unsigned size = text.size - at < BASE64_LINE ? text.size - at : BASE64_LINE;
		if (buf_add(out_base64, view_of(text.data + at, size)) < 0 || buf_add_string(out_base64, "\n") < 0)
			return ERR_LIMIT;
	}
	return 0;
}

int x509_from_base64(struct view base64, struct buf *out_bytes)
{
	OWN_BUF struct buf packed = BUF_INIT(2 * X509_INPUT_MAX);
	OWN(own_datum) gnutls_datum_t bytes = {0};
	for (size_t i = 0; i < base64.size; i++)
		if (!memchr("\r\n \t", base64.data[i], 4) && buf_add(&packed, view_of(base64.data + i, 1)) < 0)
			return ERR_BAD_INPUT;
	gnutls_datum_t input = datum_of(buf_view(&packed));
	if (packed.size == 0 || gnutls_base64_decode2(&input, &bytes) < 0)
		return ERR_BAD_INPUT;
	return buf_add(out_bytes, datum_view(&bytes));
}

/* ---- writing ---- */

static int add_all(gnutls_pkcs7_t bundle, struct view certificates, struct diag *diag)
{
	gnutls_x509_crt_t *list = NULL;
	unsigned count = 0;
	gnutls_datum_t input = datum_of(certificates);
	if (certificates.size == 0)
		return 0;
	int result = gnutls_x509_crt_list_import2(&list, &count, &input, x509_format(certificates), 0);
	if (result < 0)
		return diag_set(diag, ERR_BAD_INPUT, "these are not certificates (%s)", gnutls_strerror(result));
	for (unsigned i = 0; i < count; i++) {
		if (result >= 0)
			result = gnutls_pkcs7_set_crt(bundle, list[i]);
		gnutls_x509_crt_deinit(list[i]);
	}
	gnutls_free(list);
	return result < 0 ? diag_set(diag, ERR_SYSTEM, "certificates cannot be put together") : 0;
}

int x509_certs_only(const struct view *certificates, size_t count, struct buf *out_base64, struct diag *diag)
{
	OWN(own_pkcs7) gnutls_pkcs7_t bundle = NULL;
	OWN(own_datum) gnutls_datum_t der = {0};
	if (gnutls_pkcs7_init(&bundle) < 0)
		return diag_set(diag, ERR_SYSTEM, "out of memory");
	for (size_t i = 0; i < count; i++) {
		int result = add_all(bundle, certificates[i], diag);
		if (result < 0)
			return result;
	}
	if (gnutls_pkcs7_export2(bundle, GNUTLS_X509_FMT_DER, &der) < 0)
		return diag_set(diag, ERR_SYSTEM, "certificates cannot be put together");
	return x509_to_base64(datum_view(&der), out_base64);
}

/* ---- reading ---- */

/* Is this certificate the wanted one? */
typedef bool (*bundle_match)(struct view der, struct view wanted);

static bool holds_key(struct view der, struct view public_key)
{
	OWN_BUF struct buf found = BUF_INIT(X509_INPUT_MAX);
	struct diag ignored;
	return x509_certificate_public_key(der, &found, &ignored) == 0 && view_equal(buf_view(&found), public_key);
}

static bool has_fingerprint(struct view der, struct view fingerprint)
{
	uint8_t found[X509_FINGERPRINT_SIZE];
	x509_fingerprint(der, found);
	return view_equal(view_of(found, sizeof(found)), fingerprint);
}

static int find(struct view base64, bundle_match match, struct view wanted, struct buf *out_der, struct diag *diag)
{
	OWN_BUF struct buf message = BUF_INIT(2 * X509_INPUT_MAX);
	OWN(own_pkcs7) gnutls_pkcs7_t bundle = NULL;
	if (x509_from_base64(base64, &message) < 0)
		return diag_set(diag, ERR_BAD_INPUT, "the answer is not base64");
	if (gnutls_pkcs7_init(&bundle) < 0)
		return diag_set(diag, ERR_SYSTEM, "out of memory");
	gnutls_datum_t input = datum_of(buf_view(&message));
	int count = gnutls_pkcs7_import(bundle, &input, GNUTLS_X509_FMT_DER);
	count = count < 0 ? count : gnutls_pkcs7_get_crt_count(bundle);
	if (count < 0 || count > BUNDLE_MAX)
		return diag_set(diag, ERR_BAD_INPUT, "the answer holds no certificates as EST has them (RFC 7030)");
	for (int i = 0; i < count; i++) {
		OWN(own_datum) gnutls_datum_t der = {0};
		if (gnutls_pkcs7_get_crt_raw2(bundle, (unsigned)i, &der) == 0 && match(datum_view(&der), wanted))
			return buf_add(out_der, datum_view(&der));
	}
	return diag_set(diag, ERR_NOT_FOUND, "the answer does not hold the certificate that was asked for");
}

int x509_certs_only_find(struct view base64, struct view public_key, struct buf *out_der, struct diag *diag)
{
	return find(base64, holds_key, public_key, out_der, diag);
}

int x509_certs_only_pinned(struct view base64, const uint8_t fingerprint[X509_FINGERPRINT_SIZE], struct buf *out_der,
			   struct diag *diag)
{
	return find(base64, has_fingerprint, view_of(fingerprint, X509_FINGERPRINT_SIZE), out_der, diag);
}

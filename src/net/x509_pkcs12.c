/* x509_pkcs12.c: certificate and key in the form that browsers import (PKCS#12, RFC 7292). */
#include <gnutls/pkcs12.h>

#include "x509_internal.h"

DEFINE_OWN(pkcs12, gnutls_pkcs12_t, gnutls_pkcs12_deinit)
DEFINE_OWN(bag, gnutls_pkcs12_bag_t, gnutls_pkcs12_bag_deinit)

struct contents {
	gnutls_x509_crt_t certificate;
	gnutls_x509_privkey_t key;
	const char *name, *passphrase;
	gnutls_datum_t id; /* binds the one to the other */
};

static int add_bag(gnutls_pkcs12_t pkcs12, const struct contents *contents, gnutls_pkcs12_bag_t bag, int index)
{
	int result = index < 0 ? index : gnutls_pkcs12_bag_set_friendly_name(bag, (unsigned)index, contents->name);
	if (result >= 0)
		result = gnutls_pkcs12_bag_set_key_id(bag, (unsigned)index, &contents->id);
	return result < 0 ? result : gnutls_pkcs12_set_bag(pkcs12, bag);
}

static int add_certificate(gnutls_pkcs12_t pkcs12, const struct contents *contents)
{
	OWN(own_bag) gnutls_pkcs12_bag_t bag = NULL;
	int result = gnutls_pkcs12_bag_init(&bag);
	return result < 0 ? result : add_bag(pkcs12, contents, bag, gnutls_pkcs12_bag_set_crt(bag, contents->certificate));
}

static int add_key(gnutls_pkcs12_t pkcs12, const struct contents *contents)
{
	OWN(own_bag) gnutls_pkcs12_bag_t bag = NULL;
	OWN(own_secret_datum) gnutls_datum_t der = {0};
	int result = gnutls_x509_privkey_export2_pkcs8(contents->key, GNUTLS_X509_FMT_DER, contents->passphrase,
						       GNUTLS_PKCS_PBES2_AES_256, &der);
	if (result >= 0)
		result = gnutls_pkcs12_bag_init(&bag);
	if (result < 0)
		return result;
	return add_bag(pkcs12, contents, bag, gnutls_pkcs12_bag_set_data(bag, GNUTLS_BAG_PKCS8_ENCRYPTED_KEY, &der));
}

static int write_out(const struct contents *contents, struct buf *out_der)
{
	OWN(own_pkcs12) gnutls_pkcs12_t pkcs12 = NULL;
	OWN(own_datum) gnutls_datum_t der = {0};
	int result = gnutls_pkcs12_init(&pkcs12);
	if (result >= 0)
		result = add_certificate(pkcs12, contents);
	if (result >= 0)
		result = add_key(pkcs12, contents);
	if (result >= 0)
		result = gnutls_pkcs12_generate_mac2(pkcs12, GNUTLS_MAC_SHA256, contents->passphrase);
	if (result >= 0)
		result = gnutls_pkcs12_export2(pkcs12, GNUTLS_X509_FMT_DER, &der);
	return result < 0 ? result : buf_add(out_der, datum_view(&der)) < 0 ? GNUTLS_E_MEMORY_ERROR : 0;
}

int x509_pkcs12(struct view certificate_pem, struct view key_pem, const char *name, const char *passphrase,
		struct buf *out_der, struct diag *diag)
{
	uint8_t id[X509_FINGERPRINT_SIZE];
	OWN(own_certificate) gnutls_x509_crt_t certificate = NULL;
	OWN(own_raw_private_key) gnutls_x509_privkey_t key = NULL;
	size_t size = sizeof(id);
	int result = x509_read_certificate(certificate_pem, &certificate, diag);
	if (result < 0)
		return result;
	gnutls_datum_t datum = datum_of(key_pem);
	if (gnutls_x509_privkey_init(&key) < 0 || gnutls_x509_privkey_import2(key, &datum, GNUTLS_X509_FMT_PEM, NULL, 0) < 0)
		return diag_set(diag, ERR_BAD_INPUT, "the private key cannot be read (a key in a token cannot leave it)");
	result = gnutls_x509_privkey_get_key_id(key, GNUTLS_KEYID_USE_SHA256, id, &size);
	const struct contents contents = {.certificate = certificate, .key = key, .name = name, .passphrase = passphrase,
					  .id = {.data = id, .size = (unsigned)size}};
	if (result >= 0)
		result = write_out(&contents, out_der);
	return result < 0 ? diag_set(diag, ERR_SYSTEM, "PKCS#12 cannot be written (%s)", gnutls_strerror(result)) : 0;
}

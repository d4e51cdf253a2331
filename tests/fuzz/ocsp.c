/* ocsp.c: fuzz target: answers of OCSP responders: nobody without the authority's key has one that counts. */
#include "../../gateway/signer/ocsp.h"

#include "fuzz.h"

/* An authority whose key nobody has kept. */
static const struct issuers *authorities(void)
{
	static struct issuers issuers;
	gnutls_x509_privkey_t key;
	struct issuer_entry *entry = &issuers.list[0];
	if (issuers.count)
		return &issuers;
	MUST(gnutls_x509_privkey_init(&key) == 0 && gnutls_x509_crt_init(&entry->certificate) == 0 && gnutls_pubkey_init(&entry->public) == 0);
	MUST(gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0) == 0);
	MUST(gnutls_x509_crt_set_version(entry->certificate, 3) == 0 && gnutls_x509_crt_set_serial(entry->certificate, "\1", 1) == 0);
	MUST(gnutls_x509_crt_set_dn(entry->certificate, "CN=c", NULL) == 0 && gnutls_x509_crt_set_key(entry->certificate, key) == 0);
	MUST(gnutls_x509_crt_set_activation_time(entry->certificate, 1) == 0);
	MUST(gnutls_x509_crt_set_expiration_time(entry->certificate, 4000000000) == 0);
	MUST(gnutls_x509_crt_sign2(entry->certificate, entry->certificate, key, GNUTLS_DIG_SHA256, 0) == 0);
	/* Exported and read again: only then it knows its own name. */
	gnutls_datum_t der;
	MUST(gnutls_x509_crt_export2(entry->certificate, GNUTLS_X509_FMT_DER, &der) == 0);
	gnutls_x509_crt_deinit(entry->certificate);
	MUST(gnutls_x509_crt_init(&entry->certificate) == 0 && gnutls_x509_crt_import(entry->certificate, &der, GNUTLS_X509_FMT_DER) == 0);
	MUST(gnutls_pubkey_import_x509(entry->public, entry->certificate, 0) == 0);
	gnutls_free(der.data);
	gnutls_x509_privkey_deinit(key);
	entry->name[0] = 'c';
	issuers.count = 1;
	return &issuers;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t serial[20] = {[19] = 5}, nonce[16] = {0};
	struct diag diag = {""};
	uint64_t next_s = 0;
	const struct broker_signer_ocsp_answer answer = {.issuer = view_string("c"), .serial = view_of(serial, sizeof(serial)),
							 .nonce = view_of(nonce, sizeof(nonce)), .answer = view_of(data, size)};
	MUST(ocsp_judge(authorities(), &answer, &next_s, &diag) == BROKER_SIGNER_OCSP_NONE && diag.text[0]);
	return 0;
}

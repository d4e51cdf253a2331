/* issuers.c: other authorities, and the lists of revoked certificates that they have signed. No I/O but the room's. */
#include "issuers.h"

#include <string.h>

#include "sallyport/edge/broker_signer.h"
#include "sallyport/fd.h"
#include "sallyport/own.h"
#include "sallyport/str.h"

enum { PEM_MAX = 262144 };

static inline void own_datum(gnutls_datum_t *datum)
{
	gnutls_free(datum->data);
}

static gnutls_datum_t datum_of(struct view bytes)
{
	return (gnutls_datum_t){.data = (unsigned char *)(uintptr_t)bytes.data, .size = (unsigned)bytes.size};
}

/* ---- whom we know ---- */

static int read_certificate(const struct room_descriptor *file, struct issuer_entry *entry, struct diag *diag)
{
	OWN_BUF struct buf pem = BUF_INIT(PEM_MAX);
	int result = fd_read_all(file->fd, &pem);
	gnutls_datum_t datum = datum_of(buf_view(&pem));
	if (result == 0 && (gnutls_x509_crt_init(&entry->certificate) < 0 || gnutls_pubkey_init(&entry->public) < 0))
		return diag_system(diag, "no memory for an authority");
	if (result < 0 || gnutls_x509_crt_import(entry->certificate, &datum, GNUTLS_X509_FMT_PEM) < 0 ||
	    gnutls_pubkey_import_x509(entry->public, entry->certificate, 0) < 0)
		return diag_set(diag, ERR_BAD_CONFIG, "the authority \"%s\": its file holds no certificate in PEM", file->name);
	return 0;
}

static int check_certificate(const struct issuer_entry *entry, gnutls_x509_crt_t const *trusted, unsigned count, struct diag *diag)
{
	unsigned usage = 0, critical = 0;
	bool known = false;
	for (unsigned i = 0; i < count; i++)
		known = known || (trusted[i] && gnutls_x509_crt_equals(trusted[i], entry->certificate));
	if (!known)
		return diag_set(diag, ERR_BAD_CONFIG,
				"the authority \"%s\" is not among the other authorities in device_authority (sallyport-admin ca trust FILE)",
				entry->name);
	if (gnutls_x509_crt_get_key_usage(entry->certificate, &usage, &critical) == 0 && !(usage & GNUTLS_KEY_CRL_SIGN))
		return diag_set(diag, ERR_BAD_CONFIG, "the authority \"%s\" may not sign lists (keyUsage without cRLSign)", entry->name);
	return 0;
}

int issuers_load(struct room *room, gnutls_x509_crt_t const *trusted, unsigned trusted_count, struct issuers *out_issuers,
		 struct diag *diag)
{
	const struct room_descriptor *file;
	size_t position = 0;
	int result = 0;
	while (result == 0 && (file = room_descriptor(room, MONITOR_ROOM_PURPOSE_ISSUER, &position))) {
		if (out_issuers->count == ISSUERS_MAX)
			return diag_set(diag, ERR_BAD_CONFIG, "there are more than %d authorities", ISSUERS_MAX);
		struct issuer_entry *entry = &out_issuers->list[out_issuers->count++];
		str_copy(entry->name, sizeof(entry->name), file->name);
		result = read_certificate(file, entry, diag);
		if (result == 0)
			result = check_certificate(entry, trusted, trusted_count, diag);
	}
	return result;
}

void issuers_fini(struct issuers *issuers)
{
	for (unsigned i = 0; i < issuers->count; i++) {
		gnutls_x509_crt_deinit(issuers->list[i].certificate);
		gnutls_pubkey_deinit(issuers->list[i].public);
	}
	issuers->count = 0;
}

/* ---- lists ---- */

const struct issuer_entry *issuers_find(const struct issuers *issuers, struct view name)
{
	for (unsigned i = 0; i < issuers->count; i++)
		if (view_is(name, issuers->list[i].name))
			return &issuers->list[i];
	return NULL;
}

/* As a file of openssl's, or as the network carries it. */
static int to_der(struct view bytes, struct buf *out_der)
{
	static const char begin[] = "-----BEGIN X509 CRL-----";
	if (!bytes.size || !memmem(bytes.data, bytes.size, begin, sizeof(begin) - 1))
		return buf_add(out_der, bytes);
	OWN(own_datum) gnutls_datum_t der = {NULL, 0};
	gnutls_datum_t pem = datum_of(bytes);
	return gnutls_pem_base64_decode2("X509 CRL", &pem, &der) < 0 ? ERR_BAD_INPUT : buf_add(out_der, view_of(der.data, der.size));
}

static int check_signer(const struct issuer_entry *entry, const struct crl *crl, struct diag *diag)
{
	OWN(own_datum) gnutls_datum_t name = {NULL, 0};
	gnutls_datum_t text = datum_of(crl->to_be_signed), signature = datum_of(crl->signature);
	gnutls_sign_algorithm_t algorithm = gnutls_oid_to_sign(crl->algorithm);
	if (gnutls_x509_crt_get_raw_dn(entry->certificate, &name) < 0 || !view_equal(crl->issuer, view_of(name.data, name.size)))
		return diag_set(diag, ERR_DENIED, "the list is another authority's");
	if (algorithm == GNUTLS_SIGN_UNKNOWN || !gnutls_sign_is_secure2(algorithm, GNUTLS_SIGN_FLAG_SECURE_FOR_CERTS))
		return diag_set(diag, ERR_DENIED, "the list is signed in a way that is unknown or too weak (%s)", crl->algorithm);
	return gnutls_pubkey_verify_data2(entry->public, algorithm, 0, &text, &signature) < 0
		       ? diag_set(diag, ERR_DENIED, "the list's signature is not this authority's")
		       : 0;
}

int issuers_open_list(const struct issuers *issuers, struct view name, struct view bytes, struct buf *out_der, struct crl *out_crl,
		      struct diag *diag)
{
	const struct issuer_entry *entry = issuers_find(issuers, name);
	if (!entry)
		return diag_set(diag, ERR_NOT_FOUND, "the signer does not know this authority yet");
	if (to_der(bytes, out_der) < 0)
		return diag_set(diag, ERR_BAD_INPUT, "the list cannot be read, or is larger than %d MiB", BROKER_SIGNER_LIST_BYTES_MAX >> 20);
	int result = crl_open(buf_view(out_der), out_crl, diag);
	if (result == 0)
		result = check_signer(entry, out_crl, diag);
	return result < 0 ? result : crl_read(out_crl, diag);
}

/* revocations.c: builds and signs the list of revoked certificates. No I/O. */
#include "revocations.h"

#include <gnutls/x509.h>

#include "scheme.h"

enum { SERIAL_BYTES = 20, ENTRY_BYTES = 28, NUMBER_BYTES = 8 };

DEFINE_OWN(crl, gnutls_x509_crl_t, gnutls_x509_crl_deinit)

static uint64_t number_of(const uint8_t *bytes)
{
	uint64_t number = 0;
	for (int i = 0; i < 8; i++)
		number = number << 8 | bytes[i];
	return number;
}

static int add_entries(gnutls_x509_crl_t crl, struct view entries)
{
	int code = 0;
	for (size_t at = 0; code == 0 && at < entries.size; at += ENTRY_BYTES) {
		const uint8_t *serial = entries.data + at;
		size_t skip = 0;
		while (skip < SERIAL_BYTES - 1 && serial[skip] == 0)
			skip++;
		code = gnutls_x509_crl_set_crt_serial(crl, serial + skip, SERIAL_BYTES - skip,
						      (time_t)number_of(serial + SERIAL_BYTES));
	}
	return code;
}

static int set_frame(gnutls_x509_crl_t crl, const struct keyring *keyring, const struct broker_signer_revoked *order)
{
	uint8_t id[64], number[NUMBER_BYTES];
	size_t size = sizeof(id);
	for (int i = 0; i < NUMBER_BYTES; i++)
		number[i] = (uint8_t)(order->number >> (56 - 8 * i));
	int code = gnutls_x509_crl_set_version(crl, 2);
	if (code == 0)
		code = gnutls_x509_crl_set_this_update(crl, (time_t)order->this_s);
	if (code == 0)
		code = gnutls_x509_crl_set_next_update(crl, (time_t)order->next_s);
	if (code == 0)
		code = gnutls_x509_crl_set_number(crl, number, sizeof(number));
	if (code == 0 && gnutls_x509_crt_get_subject_key_id(keyring->authority, id, &size, NULL) == 0)
		code = gnutls_x509_crl_set_authority_key_id(crl, id, size);
	return code;
}

static int sign(gnutls_x509_crl_t crl, const struct keyring *keyring)
{
	gnutls_digest_algorithm_t digest;
	int code = scheme_digest(keyring->authority_key, &digest);
	return code < 0 ? code : gnutls_x509_crl_privkey_sign(crl, keyring->authority, keyring->authority_key, digest, 0);
}

int revocations_sign(const struct keyring *keyring, const struct broker_signer_revoked *order, struct buf *out_list,
		     struct diag *diag)
{
	OWN(own_crl) gnutls_x509_crl_t crl = NULL;
	gnutls_datum_t der = {NULL, 0};
	if (order->entries.size % ENTRY_BYTES != 0)
		return diag_set(diag, ERR_BAD_INPUT, "the entries of the list are cut");
	int code = gnutls_x509_crl_init(&crl);
	if (code == 0)
		code = set_frame(crl, keyring, order);
	if (code == 0)
		code = add_entries(crl, order->entries);
	if (code == 0)
		code = sign(crl, keyring);
	if (code == 0)
		code = gnutls_x509_crl_export2(crl, GNUTLS_X509_FMT_DER, &der);
	if (code < 0)
		return diag_set(diag, ERR_SYSTEM, "the list of revoked certificates cannot be made (%s)", gnutls_strerror(code));
	int result = buf_add(out_list, view_of(der.data, der.size));
	gnutls_free(der.data);
	return result < 0 ? diag_set(diag, result, "the list of revoked certificates is too large") : 0;
}

/* ocsp.c: makes questions for OCSP responders, judges their answers. No I/O but the clock. */
#include "ocsp.h"

#include <gnutls/crypto.h>
#include <gnutls/ocsp.h>
#include <string.h>
#include <time.h>

#include "sallyport/own.h"

enum { SHA1_BYTES = 20, SERIAL_BYTES = 20, NONCE_BYTES = 16, SKEW_S = 300 };

DEFINE_OWN(request, gnutls_ocsp_req_t, gnutls_ocsp_req_deinit)
DEFINE_OWN(response, gnutls_ocsp_resp_t, gnutls_ocsp_resp_deinit)

static inline void own_datum(gnutls_datum_t *datum)
{
	gnutls_free(datum->data);
}

/* How a responder knows a certificate (CertID): two hashes of its issuer and its number. SHA-1 is what all of them speak; it
 * is a name here and proves nothing. */
struct certificate_id {
	uint8_t name_hash[SHA1_BYTES], key_hash[SHA1_BYTES];
	uint8_t serial[SERIAL_BYTES + 1];
	size_t serial_size;
};

static gnutls_datum_t datum(const void *bytes, size_t size)
{
	return (gnutls_datum_t){.data = (unsigned char *)(uintptr_t)bytes, .size = (unsigned)size};
}

/* As DER has a positive number. */
static void take_serial(struct view padded, struct certificate_id *id)
{
	while (padded.size > 1 && padded.data[0] == 0)
		padded = view_of(padded.data + 1, padded.size - 1);
	size_t front = padded.data[0] & 0x80 ? 1 : 0;
	id->serial[0] = 0;
	memcpy(id->serial + front, padded.data, padded.size);
	id->serial_size = front + padded.size;
}

static int identify(const struct issuer_entry *entry, struct view serial, struct certificate_id *out_id)
{
	OWN(own_datum) gnutls_datum_t name = {NULL, 0};
	OWN(own_datum) gnutls_datum_t key = {NULL, 0};
	struct view bits;
	if (!entry || serial.size != SERIAL_BYTES)
		return ERR_NOT_FOUND;
	if (gnutls_x509_crt_get_raw_dn(entry->certificate, &name) < 0 ||
	    gnutls_pubkey_export2(entry->public, GNUTLS_X509_FMT_DER, &key) < 0 || !crl_key_bits(view_of(key.data, key.size), &bits) ||
	    gnutls_hash_fast(GNUTLS_DIG_SHA1, name.data, name.size, out_id->name_hash) < 0 ||
	    gnutls_hash_fast(GNUTLS_DIG_SHA1, bits.data, bits.size, out_id->key_hash) < 0)
		return ERR_SYSTEM;
	take_serial(serial, out_id);
	return 0;
}

int ocsp_question(const struct issuers *issuers, const struct broker_signer_ocsp_ask *order, struct buf *out_question)
{
	OWN(own_request) gnutls_ocsp_req_t request = NULL;
	OWN(own_datum) gnutls_datum_t der = {NULL, 0};
	struct certificate_id id;
	int result = identify(issuers_find(issuers, order->issuer), order->serial, &id);
	gnutls_datum_t name = datum(id.name_hash, SHA1_BYTES), key = datum(id.key_hash, SHA1_BYTES);
	gnutls_datum_t serial = datum(id.serial, id.serial_size), nonce = datum(order->nonce.data, order->nonce.size);
	if (result < 0 || order->nonce.size != NONCE_BYTES)
		return ERR_NOT_FOUND;
	if (gnutls_ocsp_req_init(&request) < 0 || gnutls_ocsp_req_add_cert_id(request, GNUTLS_DIG_SHA1, &name, &key, &serial) < 0 ||
	    gnutls_ocsp_req_set_nonce(request, 0, &nonce) < 0 || gnutls_ocsp_req_export(request, &der) < 0)
		return ERR_SYSTEM;
	return buf_add(out_question, view_of(der.data, der.size));
}

/* ---- answers ---- */

static int check_signer(const struct issuer_entry *entry, gnutls_ocsp_resp_t response, struct diag *diag)
{
	gnutls_x509_trust_list_t trust = NULL;
	unsigned verdict = GNUTLS_OCSP_VERIFY_SIGNER_NOT_FOUND;
	gnutls_x509_crt_t issuer = entry->certificate;
	if (gnutls_x509_trust_list_init(&trust, 0) < 0)
		return diag_set(diag, ERR_SYSTEM, "memory");
	int code = gnutls_x509_trust_list_add_cas(trust, &issuer, 1, 0);
	code = code < 0 ? code : gnutls_ocsp_resp_verify(response, trust, &verdict, 0);
	/* The authority's certificate stays the keyring's. */
	gnutls_x509_trust_list_deinit(trust, 0);
	return code < 0 || verdict ? diag_set(diag, ERR_DENIED, "the answer is not signed by the authority or its responder") : 0;
}

/* One without a nonce may have been made beforehand (RFC 6960 4.4.1): then only its dates tell. */
static bool is_ours(gnutls_ocsp_resp_t response, struct view nonce)
{
	OWN(own_datum) gnutls_datum_t found = {NULL, 0};
	if (gnutls_ocsp_resp_get_nonce(response, NULL, &found) < 0)
		return true;
	return view_equal(view_of(found.data, found.size), nonce);
}

struct single {
	gnutls_datum_t name, key, serial;
	gnutls_digest_algorithm_t digest;
	unsigned status;
	time_t this, next, revoked;
};

static void own_single(struct single *single)
{
	gnutls_free(single->name.data);
	gnutls_free(single->key.data);
	gnutls_free(single->serial.data);
}

static bool is_about(const struct single *single, const struct certificate_id *id)
{
	struct view serial = view_of(single->serial.data, single->serial.size);
	return single->digest == GNUTLS_DIG_SHA1 && view_equal(view_of(single->name.data, single->name.size), view_of(id->name_hash, SHA1_BYTES)) &&
	       view_equal(view_of(single->key.data, single->key.size), view_of(id->key_hash, SHA1_BYTES)) &&
	       view_equal(serial, view_of(id->serial, id->serial_size));
}

static enum broker_signer_ocsp meaning_of(const struct single *single, uint64_t *out_next_s, struct diag *diag)
{
	time_t now = time(NULL);
	*out_next_s = single->next > 0 ? (uint64_t)single->next : 0;
	if (single->this > now + SKEW_S || (single->next > 0 && single->next + SKEW_S < now) ||
	    (single->next <= 0 && single->this + SKEW_S < now)) {
		diag_set(diag, ERR_DENIED, "the answer is not of now");
		return BROKER_SIGNER_OCSP_NONE;
	}
	return single->status == GNUTLS_OCSP_CERT_GOOD      ? BROKER_SIGNER_OCSP_GOOD
	       : single->status == GNUTLS_OCSP_CERT_REVOKED ? BROKER_SIGNER_OCSP_REVOKED
							    : BROKER_SIGNER_OCSP_UNKNOWN;
}

static enum broker_signer_ocsp find(gnutls_ocsp_resp_t response, const struct certificate_id *id, uint64_t *out_next_s, struct diag *diag)
{
	for (unsigned i = 0;; i++) {
		OWN(own_single) struct single single = {.status = GNUTLS_OCSP_CERT_UNKNOWN};
		if (gnutls_ocsp_resp_get_single(response, i, &single.digest, &single.name, &single.key, &single.serial, &single.status,
						&single.this, &single.next, &single.revoked, NULL) < 0)
			break;
		if (is_about(&single, id))
			return meaning_of(&single, out_next_s, diag);
	}
	diag_set(diag, ERR_DENIED, "the answer is about another certificate");
	return BROKER_SIGNER_OCSP_NONE;
}

enum broker_signer_ocsp ocsp_judge(const struct issuers *issuers, const struct broker_signer_ocsp_answer *answer, uint64_t *out_next_s,
				   struct diag *diag)
{
	OWN(own_response) gnutls_ocsp_resp_t response = NULL;
	const struct issuer_entry *entry = issuers_find(issuers, answer->issuer);
	gnutls_datum_t der = datum(answer->answer.data, answer->answer.size);
	struct certificate_id id;
	if (identify(entry, answer->serial, &id) < 0)
		diag_set(diag, ERR_NOT_FOUND, "the signer does not know this authority yet");
	else if (gnutls_ocsp_resp_init(&response) < 0 || gnutls_ocsp_resp_import(response, &der) < 0)
		diag_set(diag, ERR_BAD_INPUT, "the answer is none (OCSP)");
	else if (gnutls_ocsp_resp_get_status(response) != GNUTLS_OCSP_RESP_SUCCESSFUL)
		diag_set(diag, ERR_DENIED, "the responder gives no answer (status %d)", gnutls_ocsp_resp_get_status(response));
	else if (check_signer(entry, response, diag) < 0)
		;
	else if (!is_ours(response, answer->nonce))
		diag_set(diag, ERR_DENIED, "the answer is to another question (nonce)");
	else
		return find(response, &id, out_next_s, diag);
	return BROKER_SIGNER_OCSP_NONE;
}

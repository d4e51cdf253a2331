/* revocations.c: builds and signs the list of revoked certificates. No I/O.
 *
 * GnuTLS makes and signs an empty list; the entries are put into it here and it is signed anew, since GnuTLS walks all
 * entries for each one that it adds, and whoever signs handshakes has no time for that.
 *
 *     CertificateList { TBSCertList { version, signature, issuer, thisUpdate, nextUpdate, >entries<, extensions },
 *                       signatureAlgorithm, signature }
 */
#include "revocations.h"

#include <string.h>
#include <time.h>

#include <gnutls/x509.h>

#include "scheme.h"

enum { SERIAL_BYTES = 20, TIME_AT = SERIAL_BYTES, ISSUER_AT = 28, ISSUER_BYTES = 32, NUMBER_BYTES = 8 };
enum { TAG_INTEGER = 0x02, TAG_BITS = 0x03, TAG_UTC_TIME = 0x17, TAG_TIME = 0x18, TAG_SEQUENCE = 0x30 };
enum { BEFORE_ENTRIES = 5 };

DEFINE_OWN(crl, gnutls_x509_crl_t, gnutls_x509_crl_deinit)

static uint64_t number_of(const uint8_t *bytes)
{
	uint64_t number = 0;
	for (int i = 0; i < 8; i++)
		number = number << 8 | bytes[i];
	return number;
}

/* ---- DER ---- */

static int add_head(struct buf *out, uint8_t tag, size_t size)
{
	const uint8_t digits[] = {(uint8_t)(size >> 16), (uint8_t)(size >> 8), (uint8_t)size};
	size_t skip = size > 0xffff ? 0 : size > 0xff ? 1 : 2;
	const uint8_t head[] = {tag, size < 0x80 ? (uint8_t)size : (uint8_t)(0x80 | (sizeof(digits) - skip))};
	int result = buf_add(out, view_of(head, sizeof(head)));
	return result < 0 || size < 0x80 ? result : buf_add(out, view_of(digits + skip, sizeof(digits) - skip));
}

static int add_element(struct buf *out, uint8_t tag, struct view content)
{
	int result = add_head(out, tag, content.size);
	return result < 0 ? result : buf_add(out, content);
}

/* The next element of `rest`, whole and its content; false when there is none. */
static bool take(struct view *rest, struct view *out_whole, struct view *out_content)
{
	size_t head = 2, size = rest->size > 2 ? rest->data[1] : 0;
	if (rest->size <= 2)
		return false;
	if (size & 0x80) {
		size_t digits = size & 0x7f;
		size = 0;
		for (size_t i = 0; i < digits && i < 3 && head < rest->size; i++)
			size = size << 8 | rest->data[head++];
	}
	if (rest->size - head < size)
		return false;
	*out_whole = view_of(rest->data, head + size);
	*out_content = view_of(rest->data + head, size);
	*rest = view_of(rest->data + head + size, rest->size - head - size);
	return true;
}

/* ---- entries ---- */

static int add_time(struct buf *out, uint64_t at_s)
{
	char text[32];
	struct tm parts;
	time_t at = (time_t)at_s;
	if (!gmtime_r(&at, &parts))
		return ERR_BAD_INPUT;
	/* RFC 5280 5.1.2.4 */
	bool is_late = parts.tm_year >= 150;
	strftime(text, sizeof(text), "%Y%m%d%H%M%SZ", &parts);
	return is_late ? add_element(out, TAG_TIME, view_string(text)) : add_element(out, TAG_UTC_TIME, view_string(text + 2));
}

static int add_entry(struct buf *out, const uint8_t *entry)
{
	size_t skip = 0;
	OWN_BUF struct buf content = BUF_INIT(64);
	/* Without zeros in front, but positive. */
	while (skip + 1 < SERIAL_BYTES && entry[skip] == 0 && !(entry[skip + 1] & 0x80))
		skip++;
	int result = add_element(&content, TAG_INTEGER, view_of(entry + skip, SERIAL_BYTES - skip));
	if (result == 0)
		result = add_time(&content, number_of(entry + TIME_AT));
	return result < 0 ? result : add_element(out, TAG_SEQUENCE, buf_view(&content));
}

static int add_own(struct buf *out, const struct keyring *keyring, struct view entries)
{
	int result = 0;
	for (size_t at = 0; result == 0 && at < entries.size; at += BROKER_SIGNER_ENTRY_BYTES)
		if (memcmp(entries.data + at + ISSUER_AT, keyring->authority_fingerprint, ISSUER_BYTES) == 0)
			result = add_entry(out, entries.data + at);
	return result;
}

/* ---- the list ---- */

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

static int make_empty(const struct keyring *keyring, const struct broker_signer_revoked *order, gnutls_x509_crl_t *out_crl,
		      struct buf *out_der)
{
	gnutls_datum_t der = {NULL, 0};
	gnutls_digest_algorithm_t digest;
	int code = gnutls_x509_crl_init(out_crl);
	if (code == 0)
		code = set_frame(*out_crl, keyring, order);
	if (code == 0)
		code = scheme_digest(keyring->authority_key, &digest);
	if (code == 0)
		code = gnutls_x509_crl_privkey_sign(*out_crl, keyring->authority, keyring->authority_key, digest, 0);
	if (code == 0)
		code = gnutls_x509_crl_export2(*out_crl, GNUTLS_X509_FMT_DER, &der);
	if (code < 0)
		return code;
	int result = buf_add(out_der, view_of(der.data, der.size));
	gnutls_free(der.data);
	return result < 0 ? GNUTLS_E_MEMORY_ERROR : 0;
}

/* The entries stand behind the fifth element of what is signed. */
static int splice(struct view signed_part, struct view entries, struct buf *out)
{
	struct view whole, content, rest;
	OWN_BUF struct buf inside = BUF_INIT(out->limit);
	if (!take(&signed_part, &whole, &content))
		return ERR_BUG;
	rest = content;
	for (int i = 0; i < BEFORE_ENTRIES; i++)
		if (!take(&rest, &whole, &(struct view){0}))
			return ERR_BUG;
	int result = buf_add(&inside, view_of(content.data, content.size - rest.size));
	/* GnuTLS writes an empty one where RFC 5280 wants none. */
	if (rest.size && rest.data[0] == TAG_SEQUENCE && !take(&rest, &whole, &(struct view){0}))
		return ERR_BUG;
	if (result == 0 && entries.size)
		result = add_element(&inside, TAG_SEQUENCE, entries);
	if (result == 0)
		result = buf_add(&inside, rest);
	return result < 0 ? result : add_element(out, TAG_SEQUENCE, buf_view(&inside));
}

static int add_signature(const struct keyring *keyring, gnutls_sign_algorithm_t algorithm, struct view text, struct buf *out)
{
	static const uint8_t no_unused_bits = 0;
	gnutls_datum_t signature = {NULL, 0}, data = {(unsigned char *)(uintptr_t)text.data, (unsigned)text.size};
	if (gnutls_privkey_sign_data2(keyring->authority_key, algorithm, 0, &data, &signature) < 0)
		return ERR_SYSTEM;
	int result = add_head(out, TAG_BITS, signature.size + 1);
	if (result == 0)
		result = buf_add(out, view_of(&no_unused_bits, 1));
	if (result == 0)
		result = buf_add(out, view_of(signature.data, signature.size));
	gnutls_free(signature.data);
	return result;
}

static int fill(const struct keyring *keyring, gnutls_sign_algorithm_t algorithm, struct view empty, struct view entries,
		struct buf *out_list)
{
	struct view whole, content, signed_part, name;
	OWN_BUF struct buf inside = BUF_INIT(out_list->limit);
	if (!take(&empty, &whole, &content) || !take(&content, &signed_part, &whole) || !take(&content, &name, &whole))
		return ERR_BUG;
	int result = splice(signed_part, entries, &inside);
	struct view text = buf_view(&inside);
	OWN_BUF struct buf end = BUF_INIT(4096);
	if (result == 0)
		result = add_signature(keyring, algorithm, text, &end);
	if (result == 0)
		result = buf_add(&inside, name);
	if (result == 0)
		result = buf_add(&inside, buf_view(&end));
	return result < 0 ? result : add_element(out_list, TAG_SEQUENCE, buf_view(&inside));
}

int revocations_sign(const struct keyring *keyring, const struct broker_signer_revoked *order, struct view entries,
		     struct buf *out_list, struct diag *diag)
{
	OWN(own_crl) gnutls_x509_crl_t crl = NULL;
	OWN_BUF struct buf empty = BUF_INIT(65536);
	OWN_BUF struct buf own = BUF_INIT(out_list->limit);
	if (entries.size % BROKER_SIGNER_ENTRY_BYTES != 0)
		return diag_set(diag, ERR_BAD_INPUT, "the entries of the list are cut");
	int code = make_empty(keyring, order, &crl, &empty);
	if (code < 0)
		return diag_set(diag, ERR_SYSTEM, "the list of revoked certificates cannot be made (%s)", gnutls_strerror(code));
	int result = add_own(&own, keyring, entries);
	gnutls_sign_algorithm_t algorithm = (gnutls_sign_algorithm_t)gnutls_x509_crl_get_signature_algorithm(crl);
	if (result == 0)
		result = fill(keyring, algorithm, buf_view(&empty), buf_view(&own), out_list);
	return result < 0 ? diag_set(diag, result, "the list of revoked certificates cannot be made (%s)", err_name(result)) : 0;
}

/* issue.c: builds and signs device certificates. No I/O. */
#include "issue.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "scheme.h"

#define NAME_MAX_SIZE 64
#define DEVICE_URI "sallyport:device:"

DEFINE_OWN(public, gnutls_pubkey_t, gnutls_pubkey_deinit)
DEFINE_OWN(certificate, gnutls_x509_crt_t, gnutls_x509_crt_deinit)

struct names {
	char id[NAME_MAX_SIZE + 1];
	char name[NAME_MAX_SIZE + 1];
	char uri[sizeof(DEVICE_URI) + NAME_MAX_SIZE];
};

struct life {
	time_t from, until;
};

static int import_key(struct view der, gnutls_pubkey_t *out_key, struct diag *diag)
{
	gnutls_datum_t datum = {(unsigned char *)(uintptr_t)der.data, (unsigned)der.size};
	if (gnutls_pubkey_init(out_key) < 0 || gnutls_pubkey_import(*out_key, &datum, GNUTLS_X509_FMT_DER) < 0)
		return diag_set(diag, ERR_BAD_INPUT, "this is no public key");
	return scheme_check_key(*out_key, diag);
}

/* No wildcard, no separator of several names, nothing invisible: a certificate names one device. */
static bool is_device_name(const char *name)
{
	for (const char *c = name; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f || strchr("*,;/\\\"<>", *c))
			return false;
	return name[0] != '\0' && name[0] != ' ' && name[strlen(name) - 1] != ' ';
}

static bool is_device_id(const char *id)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
	return id[0] != '\0' && id[strspn(id, allowed)] == '\0';
}

static int take_names(const struct broker_signer_issue *order, struct names *out_names, struct diag *diag)
{
	if (view_to_string(order->device_id, out_names->id, sizeof(out_names->id)) < 0 || !is_device_id(out_names->id))
		return diag_set(diag, ERR_DENIED,
				"a device id has 1 to %d letters, digits, hyphens, dots or underscores", NAME_MAX_SIZE);
	if (view_to_string(order->device_name, out_names->name, sizeof(out_names->name)) < 0 ||
	    !is_device_name(out_names->name))
		return diag_set(diag, ERR_DENIED,
				"a device name has 1 to %d characters, no wildcard, comma, slash or quote",
				NAME_MAX_SIZE);
	snprintf(out_names->uri, sizeof(out_names->uri), "%s%s", DEVICE_URI, out_names->id);
	return 0;
}

static uint64_t lesser(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static int take_life(const struct keyring *keyring, const struct broker_signer_issue *order, struct life *out_life,
		     struct diag *diag)
{
	time_t begins = gnutls_x509_crt_get_activation_time(keyring->authority);
	time_t ends = gnutls_x509_crt_get_expiration_time(keyring->authority);
	if (begins < 0 || ends < 0)
		return diag_set(diag, ERR_SYSTEM, "the device authority's validity cannot be read");
	uint64_t from = order->not_before_s < (uint64_t)begins ? (uint64_t)begins : order->not_before_s;
	uint64_t until = lesser(order->not_after_s, (uint64_t)ends);
	if (from >= until)
		return diag_set(diag, ERR_DENIED,
				"no time is left: the certificate would end before it begins (the device authority "
				"may have expired)");
	out_life->from = (time_t)from;
	out_life->until = (time_t)lesser(until, from + ISSUE_LIFE_MAX_S);
	return 0;
}

/* RFC 5280 4.1.2.2: positive. The next bit is set so that the length is always the same. */
static int set_serial(gnutls_x509_crt_t certificate, struct view serial, struct diag *diag)
{
	uint8_t bytes[ISSUE_SERIAL_SIZE];
	if (serial.size != sizeof(bytes))
		return diag_set(diag, ERR_DENIED, "a serial number has %d bytes", ISSUE_SERIAL_SIZE);
	memcpy(bytes, serial.data, sizeof(bytes));
	bytes[0] = (uint8_t)((bytes[0] & 0x7f) | 0x40);
	return gnutls_x509_crt_set_serial(certificate, bytes, sizeof(bytes)) < 0
		       ? diag_set(diag, ERR_SYSTEM, "the serial number cannot be set")
		       : 0;
}

static int set_identifiers(gnutls_x509_crt_t certificate, const struct keyring *keyring)
{
	uint8_t id[64];
	size_t size = sizeof(id);
	int code = gnutls_x509_crt_get_key_id(certificate, 0, id, &size);
	if (code == 0)
		code = gnutls_x509_crt_set_subject_key_id(certificate, id, size);
	if (code < 0)
		return code;
	size = sizeof(id);
	/* The authority's own identifier as its certificate says it, else computed as ours is. */
	code = gnutls_x509_crt_get_subject_key_id(keyring->authority, id, &size, NULL);
	if (code < 0) {
		size = sizeof(id);
		code = gnutls_x509_crt_get_key_id(keyring->authority, 0, id, &size);
	}
	return code < 0 ? code : gnutls_x509_crt_set_authority_key_id(certificate, id, size);
}

static int set_profile(gnutls_x509_crt_t certificate, const struct names *names, struct life life, gnutls_pubkey_t key)
{
	int code = gnutls_x509_crt_set_version(certificate, 3);
	if (code == 0)
		code = gnutls_x509_crt_set_dn_by_oid(certificate, GNUTLS_OID_X520_COMMON_NAME, 0, names->name,
						     (unsigned)strlen(names->name));
	if (code == 0)
		code = gnutls_x509_crt_set_activation_time(certificate, life.from);
	if (code == 0)
		code = gnutls_x509_crt_set_expiration_time(certificate, life.until);
	if (code == 0)
		code = gnutls_x509_crt_set_pubkey(certificate, key);
	if (code == 0)
		code = gnutls_x509_crt_set_basic_constraints(certificate, 0, -1);
	if (code == 0)
		code = gnutls_x509_crt_set_key_usage(certificate, GNUTLS_KEY_DIGITAL_SIGNATURE);
	if (code == 0)
		code = gnutls_x509_crt_set_key_purpose_oid(certificate, GNUTLS_KP_TLS_WWW_CLIENT, 0);
	if (code == 0)
		code = gnutls_x509_crt_set_subject_alt_name(certificate, GNUTLS_SAN_URI, names->uri,
							    (unsigned)strlen(names->uri), GNUTLS_FSAN_SET);
	return code;
}

static int sign_certificate(gnutls_x509_crt_t certificate, const struct keyring *keyring)
{
	gnutls_digest_algorithm_t digest;
	int code = scheme_digest(keyring->authority_key, &digest);
	return code < 0 ? code
			: gnutls_x509_crt_privkey_sign(certificate, keyring->authority, keyring->authority_key, digest,
						       0);
}

static int build(const struct keyring *keyring, gnutls_x509_crt_t certificate, const struct names *names,
		 struct life life, gnutls_pubkey_t key, struct buf *out_certificate, struct diag *diag)
{
	gnutls_datum_t der = {NULL, 0};
	int code = set_profile(certificate, names, life, key);
	if (code == 0)
		code = set_identifiers(certificate, keyring);
	if (code == 0)
		code = sign_certificate(certificate, keyring);
	if (code == 0)
		code = gnutls_x509_crt_export2(certificate, GNUTLS_X509_FMT_DER, &der);
	if (code < 0)
		return diag_set(diag, ERR_SYSTEM, "the certificate cannot be made (%s)", gnutls_strerror(code));
	int result = buf_add(out_certificate, view_of(der.data, der.size));
	gnutls_free(der.data);
	return result < 0 ? diag_set(diag, result, "the certificate is too large") : 0;
}

int issue_certificate(const struct keyring *keyring, const struct broker_signer_issue *order,
		      struct buf *out_certificate, struct diag *diag)
{
	OWN(own_public) gnutls_pubkey_t key = NULL;
	OWN(own_certificate) gnutls_x509_crt_t certificate = NULL;
	struct names names;
	struct life life = {0};
	int result = import_key(order->public_key, &key, diag);
	if (result == 0)
		result = take_names(order, &names, diag);
	if (result == 0)
		result = take_life(keyring, order, &life, diag);
	if (result == 0 && gnutls_x509_crt_init(&certificate) < 0)
		result = diag_set(diag, ERR_SYSTEM, "no memory for a certificate");
	if (result == 0)
		result = set_serial(certificate, order->serial, diag);
	return result == 0 ? build(keyring, certificate, &names, life, key, out_certificate, diag) : result;
}

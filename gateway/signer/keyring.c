/* keyring.c: loads the private keys, and refuses those that would weaken a promise. */
#include "keyring.h"

#include <stdlib.h>
#include <string.h>

#include "sallyport/token_url.h"
#include "scheme.h"

#define FILE_MAX 262144
#define CHAIN_MAX 16
#define AUTHORITIES_MAX 64

DEFINE_OWN(public, gnutls_pubkey_t, gnutls_pubkey_deinit)
DEFINE_OWN(certificate, gnutls_x509_crt_t, gnutls_x509_crt_deinit)

static gnutls_datum_t datum_of(const struct buf *bytes)
{
	return (gnutls_datum_t){.data = bytes->data, .size = (unsigned)bytes->size};
}

static int load_key_file(struct room *room, const char *purpose, gnutls_privkey_t *out_key, struct diag *diag)
{
	OWN_SECRET_BUF struct buf pem = BUF_INIT(FILE_MAX);
	const char *name = NULL;
	int result = room_read_descriptor(room, purpose, &pem, &name, diag);
	if (result < 0)
		return result;
	gnutls_datum_t datum = datum_of(&pem);
	int code = gnutls_privkey_init(out_key);
	if (code == 0)
		code = gnutls_privkey_import_x509_raw(*out_key, &datum, GNUTLS_X509_FMT_PEM, NULL, 0);
	if (code == GNUTLS_E_DECRYPTION_FAILED)
		return diag_set(diag, ERR_BAD_CONFIG,
				"%s is protected with a password; the gateway starts unattended and needs it "
				"without (openssl pkey -in OLD -out NEW)",
				name);
	if (code < 0)
		return diag_set(diag, ERR_BAD_CONFIG, "%s holds no private key in PEM (%s)", name,
				gnutls_strerror(code));
	return 0;
}

/* `place` is the setting of the same name: a path (the monitor has opened the file) or the URL of a token's key. */
static int load_key(struct room *room, const char *purpose, const char *place, struct token_pin *pin,
		    gnutls_privkey_t *out_key, struct diag *diag)
{
	struct diag why;
	if (!token_url_is(place))
		return load_key_file(room, purpose, out_key, diag);
	int result = token_key(room, purpose, place, pin, out_key, &why);
	return result < 0 ? diag_set(diag, result, "%s: %s", purpose, why.text) : 0;
}

/* The first certificate of a PEM file. */
static int load_certificate(struct room *room, const char *purpose, gnutls_x509_crt_t *out_certificate,
			    struct diag *diag)
{
	OWN_BUF struct buf pem = BUF_INIT(FILE_MAX);
	const char *name = NULL;
	int result = room_read_descriptor(room, purpose, &pem, &name, diag);
	if (result < 0)
		return result;
	gnutls_datum_t datum = datum_of(&pem);
	gnutls_x509_crt_t chain[CHAIN_MAX];
	unsigned count = CHAIN_MAX;
	int code = gnutls_x509_crt_list_import(chain, &count, &datum, GNUTLS_X509_FMT_PEM, 0);
	if (code < 1)
		return diag_set(diag, ERR_BAD_CONFIG, "%s holds no certificate in PEM (%s)", name,
				code < 0 ? gnutls_strerror(code) : "it is empty");
	*out_certificate = chain[0];
	for (int i = 1; i < code; i++)
		gnutls_x509_crt_deinit(chain[i]);
	return 0;
}

static bool is_pair(gnutls_x509_crt_t certificate, gnutls_pubkey_t key)
{
	uint8_t of_certificate[64], of_key[64];
	size_t certificate_size = sizeof(of_certificate), key_size = sizeof(of_key);
	return gnutls_x509_crt_get_key_id(certificate, GNUTLS_KEYID_USE_SHA256, of_certificate, &certificate_size) ==
		       0 &&
	       gnutls_pubkey_get_key_id(key, GNUTLS_KEYID_USE_SHA256, of_key, &key_size) == 0 &&
	       certificate_size == key_size && memcmp(of_certificate, of_key, key_size) == 0;
}

static int public_of(gnutls_privkey_t key, gnutls_pubkey_t *out_public, struct diag *diag)
{
	if (gnutls_pubkey_init(out_public) < 0 || gnutls_pubkey_import_privkey(*out_public, key, 0, 0) < 0)
		return diag_set(diag, ERR_BAD_CONFIG, "a private key has no public half");
	return 0;
}

/* ---- the server's key ---- */

/* The device proof rests on a signature that nobody can have seen before: with a scheme that signs the
 * same bytes the same way each time, an old handshake could be played again. */
static int check_server_key(const struct keyring *keyring, gnutls_x509_crt_t leaf, struct diag *diag)
{
	struct diag why;
	if (!is_pair(leaf, keyring->server_public))
		return diag_set(diag, ERR_BAD_CONFIG,
				"server_key is not the key of the first certificate in server_certificate");
	if (scheme_check_key(keyring->server_public, &why) < 0)
		return diag_set(diag, ERR_BAD_CONFIG, "server_key: %s", why.text);
	if (!scheme_key_is_fresh(keyring->server_public))
		return diag_set(diag, ERR_BAD_CONFIG,
				"server_key is an Ed25519 key, whose signatures repeat; the device proof needs "
				"fresh ones: use EC P-256, P-384 or RSA for the gateway (devices may use Ed25519)");
	return 0;
}

static int keep_leaf(struct keyring *keyring, gnutls_x509_crt_t leaf, struct diag *diag)
{
	gnutls_datum_t der = {NULL, 0};
	keyring->server_leaf = BUF_INIT(FILE_MAX);
	int code = gnutls_x509_crt_export2(leaf, GNUTLS_X509_FMT_DER, &der);
	int result = code < 0 ? ERR_SYSTEM : buf_add(&keyring->server_leaf, view_of(der.data, der.size));
	gnutls_free(der.data);
	return result < 0 ? diag_set(diag, result, "the server certificate cannot be kept") : 0;
}

static int load_server(struct room *room, struct keyring *keyring, struct diag *diag)
{
	OWN(own_certificate) gnutls_x509_crt_t leaf = NULL;
	int result = load_key(room, MONITOR_ROOM_PURPOSE_SERVER_KEY, room_offered(room)->server_key, &keyring->server_pin,
			      &keyring->server_key, diag);
	if (result == 0)
		result = load_certificate(room, MONITOR_ROOM_PURPOSE_SERVER_CERTIFICATE, &leaf, diag);
	if (result == 0)
		result = public_of(keyring->server_key, &keyring->server_public, diag);
	if (result == 0)
		result = check_server_key(keyring, leaf, diag);
	return result == 0 ? keep_leaf(keyring, leaf, diag) : result;
}

/* ---- the device authority's ---- */

struct authorities {
	gnutls_x509_crt_t list[AUTHORITIES_MAX];
	unsigned count;
};

static void own_authorities(struct authorities *authorities)
{
	for (unsigned i = 0; i < authorities->count; i++)
		gnutls_x509_crt_deinit(authorities->list[i]);
}

static int read_authorities(struct room *room, struct authorities *authorities, struct diag *diag)
{
	OWN_BUF struct buf pem = BUF_INIT(FILE_MAX);
	const char *name = NULL;
	int result = room_read_descriptor(room, MONITOR_ROOM_PURPOSE_AUTHORITY, &pem, &name, diag);
	if (result < 0)
		return result;
	gnutls_datum_t datum = datum_of(&pem);
	unsigned count = AUTHORITIES_MAX;
	int code = gnutls_x509_crt_list_import(authorities->list, &count, &datum, GNUTLS_X509_FMT_PEM,
					       GNUTLS_X509_CRT_LIST_IMPORT_FAIL_IF_EXCEED);
	if (code < 1)
		return diag_set(diag, ERR_BAD_CONFIG, "%s holds no certificate in PEM, or more than %d (%s)", name,
				AUTHORITIES_MAX, code < 0 ? gnutls_strerror(code) : "it is empty");
	authorities->count = (unsigned)code;
	return 0;
}

static int check_authority(gnutls_x509_crt_t authority, const struct keyring *keyring, struct diag *diag)
{
	unsigned usage = 0, critical = 0;
	if (gnutls_x509_crt_get_ca_status(authority, &critical) <= 0)
		return diag_set(diag, ERR_BAD_CONFIG,
				"device_authority is not the certificate of an authority (CA:TRUE)");
	if (gnutls_x509_crt_get_key_usage(authority, &usage, &critical) == 0 && !(usage & GNUTLS_KEY_KEY_CERT_SIGN))
		return diag_set(diag, ERR_BAD_CONFIG,
				"device_authority may not sign certificates (keyUsage without keyCertSign)");
	if (is_pair(authority, keyring->server_public))
		return diag_set(diag, ERR_BAD_CONFIG,
				"server_key and device_authority_key are the same key; each needs its own");
	return 0;
}

static int note_fingerprint(struct keyring *keyring, struct diag *diag)
{
	size_t size = sizeof(keyring->authority_fingerprint);
	int code = gnutls_x509_crt_get_fingerprint(keyring->authority, GNUTLS_DIG_SHA256, keyring->authority_fingerprint, &size);
	return code < 0 ? diag_set(diag, ERR_SYSTEM, "the device authority has no fingerprint") : 0;
}

/* Several may be trusted: ours, our former ones, an enterprise's. Ours is the one whose key is here; of several
 * with that key the first. */
static int choose_own(struct keyring *keyring, struct authorities *authorities, struct diag *diag)
{
	OWN(own_public) gnutls_pubkey_t public = NULL;
	struct diag why;
	int result = public_of(keyring->authority_key, &public, diag);
	for (unsigned i = 0; result == 0 && i < authorities->count; i++)
		result = check_authority(authorities->list[i], keyring, diag);
	if (result < 0)
		return result;
	if (scheme_check_key(public, &why) < 0)
		return diag_set(diag, ERR_BAD_CONFIG, "device_authority_key: %s", why.text);
	for (unsigned i = 0; i < authorities->count; i++)
		if (is_pair(authorities->list[i], public)) {
			keyring->authority = authorities->list[i];
			authorities->list[i] = NULL;
			return note_fingerprint(keyring, diag);
		}
	return diag_set(diag, ERR_BAD_CONFIG, "device_authority_key is not the key of device_authority%s",
			authorities->count > 1 ? ": of no certificate in it" : "");
}

static int load_authority(struct room *room, struct keyring *keyring, struct diag *diag)
{
	OWN(own_authorities) struct authorities authorities = {.count = 0};
	int result = load_key(room, MONITOR_ROOM_PURPOSE_AUTHORITY_KEY, room_offered(room)->device_authority_key,
			      &keyring->authority_pin, &keyring->authority_key, diag);
	if (result == 0)
		result = read_authorities(room, &authorities, diag);
	if (result == 0)
		result = choose_own(keyring, &authorities, diag);
	return result < 0 ? result : issuers_load(room, authorities.list, authorities.count, &keyring->issuers, diag);
}

/* ---- the record's ---- */

/* Of its own: what it signs can never be taken for a handshake or a certificate, nor they for a checkpoint. */
static int check_audit_key(const struct keyring *keyring, gnutls_pubkey_t public, struct diag *diag)
{
	struct diag why;
	if (scheme_check_key(public, &why) < 0)
		return diag_set(diag, ERR_BAD_CONFIG, "audit_key: %s", why.text);
	if (gnutls_pubkey_get_pk_algorithm(public, NULL) != GNUTLS_PK_ECDSA)
		return diag_set(diag, ERR_BAD_CONFIG, "audit_key is no EC key; make one with: sallyport-admin audit key");
	if (is_pair(keyring->authority, public))
		return diag_set(diag, ERR_BAD_CONFIG, "audit_key and device_authority_key are the same key; each needs its own");
	return 0;
}

static int note_audit_key(struct keyring *keyring, gnutls_pubkey_t public, struct diag *diag)
{
	uint8_t of_server[32];
	size_t size = sizeof(keyring->audit_key_id), server_size = sizeof(of_server);
	if (gnutls_pubkey_get_key_id(public, GNUTLS_KEYID_USE_SHA256, keyring->audit_key_id, &size) < 0 ||
	    gnutls_pubkey_get_key_id(keyring->server_public, GNUTLS_KEYID_USE_SHA256, of_server, &server_size) < 0)
		return diag_set(diag, ERR_SYSTEM, "audit_key has no id");
	if (memcmp(of_server, keyring->audit_key_id, sizeof(of_server)) == 0)
		return diag_set(diag, ERR_BAD_CONFIG, "audit_key and server_key are the same key; each needs its own");
	return 0;
}

static int load_audit(struct room *room, struct keyring *keyring, struct diag *diag)
{
	OWN(own_public) gnutls_pubkey_t public = NULL;
	size_t position = 0;
	if (!room_descriptor(room, MONITOR_ROOM_PURPOSE_AUDIT_KEY, &position))
		return 0;
	int result = load_key_file(room, MONITOR_ROOM_PURPOSE_AUDIT_KEY, &keyring->audit_key, diag);
	if (result == 0)
		result = public_of(keyring->audit_key, &public, diag);
	if (result == 0)
		result = check_audit_key(keyring, public, diag);
	return result < 0 ? result : note_audit_key(keyring, public, diag);
}

int keyring_load(struct room *room, struct keyring **out_keyring, struct diag *diag)
{
	OWN(own_keyring) struct keyring *keyring = calloc(1, sizeof(*keyring));
	if (!keyring)
		return diag_system(diag, "no memory for the keys");
	int result = load_server(room, keyring, diag);
	if (result == 0)
		result = load_authority(room, keyring, diag);
	if (result == 0)
		result = load_audit(room, keyring, diag);
	if (result == 0)
		*out_keyring = take_pointer(&keyring);
	return result;
}

void keyring_free(struct keyring *keyring)
{
	if (!keyring)
		return;
	gnutls_privkey_deinit(keyring->server_key);
	gnutls_pubkey_deinit(keyring->server_public);
	gnutls_x509_crt_deinit(keyring->authority);
	gnutls_privkey_deinit(keyring->authority_key);
	gnutls_privkey_deinit(keyring->audit_key);
	issuers_fini(&keyring->issuers);
	buf_fini(&keyring->server_leaf);
	token_pin_forget(&keyring->server_pin);
	token_pin_forget(&keyring->authority_pin);
	free(keyring);
}

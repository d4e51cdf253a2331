/* tls_credentials.c: what sessions share: chain, trust list, priorities. Built once, before any fork.
 *
 * No private key of a gateway is ever here; a client's key is named by file or PKCS#11 URL.
 */
#include <stdlib.h>

#include "tls_internal.h"
#include "x509_internal.h"

/* TLS 1.3 only, AEAD only. The server chooses, AES-128-GCM first: it is the cheapest with AES
 * instructions. The signature list bounds chains too (no SHA-1); RSA keys from 2048 bits on. */
static const char priorities[] =
	"NORMAL:-VERS-ALL:+VERS-TLS1.3"
	":-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305"
	":-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1"
	":-SIGN-ALL:+SIGN-ECDSA-SECP256R1-SHA256:+SIGN-ECDSA-SECP384R1-SHA384:+SIGN-EDDSA-ED25519"
	":+SIGN-RSA-PSS-RSAE-SHA256:+SIGN-RSA-PSS-RSAE-SHA384:+SIGN-RSA-PSS-RSAE-SHA512"
	":+SIGN-RSA-PSS-SHA256:+SIGN-RSA-PSS-SHA384:+SIGN-RSA-PSS-SHA512"
	":+SIGN-ECDSA-SHA256:+SIGN-ECDSA-SHA384:+SIGN-RSA-SHA256:+SIGN-RSA-SHA384:+SIGN-RSA-SHA512"
	":%PROFILE_MEDIUM:%SERVER_PRECEDENCE";

static int new_credentials(enum tls_role role, struct tls_credentials **out_credentials, struct diag *diag)
{
	OWN(own_tls_credentials) struct tls_credentials *credentials = calloc(1, sizeof(*credentials));
	if (!credentials)
		return diag_set(diag, ERR_SYSTEM, "out of memory");
	credentials->role = role;
	const char *where = NULL;
	int result = gnutls_priority_init(&credentials->priority, priorities, &where);
	if (result < 0)
		return diag_set(diag, ERR_BUG, "GnuTLS does not take our priorities at \"%s\"", where ? where : "");
	if (gnutls_certificate_allocate_credentials(&credentials->certificate) < 0)
		return diag_set(diag, ERR_SYSTEM, "out of memory");
	gnutls_certificate_set_verify_flags(credentials->certificate, GNUTLS_VERIFY_DO_NOT_ALLOW_X509_V1_CA_CRT);
	gnutls_certificate_set_verify_limits(credentials->certificate, 8200, TLS_CHAIN_MAX);
	gnutls_certificate_set_verify_function(credentials->certificate, tls_verify_peer);
	*out_credentials = take_pointer(&credentials);
	return 0;
}

void tls_credentials_free(struct tls_credentials *credentials)
{
	if (!credentials)
		return;
	for (unsigned i = 0; i < credentials->chain_length; i++)
		gnutls_pcert_deinit(&credentials->chain[i]);
	if (credentials->certificate)
		gnutls_certificate_free_credentials(credentials->certificate);
	if (credentials->priority)
		gnutls_priority_deinit(credentials->priority);
	free(credentials);
}

/* ---- server ---- */

static int load_chain(struct tls_credentials *credentials, struct view pem, struct diag *diag)
{
	gnutls_datum_t datum = datum_of(pem);
	unsigned length = TLS_CHAIN_MAX;
	int result = gnutls_pcert_list_import_x509_raw(credentials->chain, &length, &datum, GNUTLS_X509_FMT_PEM, 0);
	if (result < 0 || length == 0)
		return diag_set(diag, ERR_BAD_CONFIG, "the server's certificate chain cannot be read as PEM (%s)",
				gnutls_strerror(result));
	credentials->chain_length = length;
	gnutls_pubkey_t key = credentials->chain[0].pubkey;
	credentials->key_algorithm = gnutls_pubkey_get_pk_algorithm(key, &credentials->key_bits);
	struct diag reason;
	if (x509_check_strength(key, &reason) < 0)
		return diag_set(diag, ERR_BAD_CONFIG, "the server's certificate: %s", reason.text);
	return 0;
}

static int load_authority(struct tls_credentials *credentials, struct view pem, struct diag *diag)
{
	gnutls_datum_t datum = datum_of(pem);
	int count = gnutls_certificate_set_x509_trust_mem(credentials->certificate, &datum, GNUTLS_X509_FMT_PEM);
	if (count <= 0)
		return diag_set(diag, ERR_BAD_CONFIG, "the device authority holds no certificate in PEM%s%s",
				count < 0 ? ": " : "", count < 0 ? gnutls_strerror(count) : "");
	return 0;
}

int tls_credentials_server(struct view chain_pem, struct view authority_pem, struct tls_credentials **out_credentials,
			   struct diag *diag)
{
	OWN(own_tls_credentials) struct tls_credentials *credentials = NULL;
	int result = new_credentials(TLS_SERVER, &credentials, diag);
	if (result == 0)
		result = load_chain(credentials, chain_pem, diag);
	if (result == 0)
		result = load_authority(credentials, authority_pem, diag);
	if (result < 0)
		return result;
	gnutls_certificate_set_retrieve_function3(credentials->certificate, tls_signing_retrieve);
	*out_credentials = take_pointer(&credentials);
	return 0;
}

/* ---- client ---- */

static int load_trust(struct tls_credentials *credentials, const char *path, struct diag *diag)
{
	if (!path || !*path) {
		int count = gnutls_certificate_set_x509_system_trust(credentials->certificate);
		return count > 0 ? 0 : diag_set(diag, ERR_BAD_CONFIG, "the system has no list of trusted authorities");
	}
	int count = gnutls_certificate_set_x509_trust_file(credentials->certificate, path, GNUTLS_X509_FMT_PEM);
	if (count <= 0)
		return diag_set(diag, ERR_BAD_CONFIG, "%s holds no certificate in PEM%s%s", path, count < 0 ? ": " : "",
				count < 0 ? gnutls_strerror(count) : "");
	return 0;
}

static int load_own(struct tls_credentials *credentials, const struct tls_client_files *files, struct diag *diag)
{
	if (!files->certificate || !*files->certificate)
		return 0;
	if (!files->key || !*files->key)
		return diag_set(diag, ERR_BAD_CONFIG, "there is a client certificate (%s) but no key for it",
				files->certificate);
	int result = gnutls_certificate_set_x509_key_file2(credentials->certificate, files->certificate, files->key,
							   GNUTLS_X509_FMT_PEM, NULL, 0);
	if (result == GNUTLS_E_CERTIFICATE_KEY_MISMATCH)
		return diag_set(diag, ERR_BAD_CONFIG, "the key %s does not belong to the certificate %s", files->key,
				files->certificate);
	if (result < 0)
		return diag_set(diag, ERR_BAD_CONFIG, "the certificate %s or its key %s cannot be read (%s)",
				files->certificate, files->key, gnutls_strerror(result));
	credentials->shows_certificate = true;
	return 0;
}

int tls_credentials_client(const struct tls_client_files *files, struct tls_credentials **out_credentials,
			   struct diag *diag)
{
	OWN(own_tls_credentials) struct tls_credentials *credentials = NULL;
	int result = new_credentials(TLS_CLIENT, &credentials, diag);
	if (result == 0)
		credentials->unverified = files->unverified;
	if (result == 0 && !files->unverified)
		result = load_trust(credentials, files->authority, diag);
	if (result == 0)
		result = load_own(credentials, files, diag);
	if (result < 0)
		return result;
	*out_credentials = take_pointer(&credentials);
	return 0;
}

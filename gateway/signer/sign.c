/* sign.c: one signature and one device proof per worker. No I/O. */
#include "sign.h"

#include "scheme.h"

#define OWN_SIGNATURE_MAX 1024
#define CLIENT_SIGNATURE_MAX 2048

DEFINE_OWN(public, gnutls_pubkey_t, gnutls_pubkey_deinit)

void proof_init(struct proof *proof)
{
	*proof = (struct proof){.state = WORKER_SIGNER_FRESH,
				.own_signature = BUF_INIT(OWN_SIGNATURE_MAX),
				.signature = BUF_INIT(CLIENT_SIGNATURE_MAX)};
}

static void forget_hash(struct proof *proof)
{
	if (proof->hash)
		gnutls_hash_deinit(proof->hash, NULL);
	proof->hash = NULL;
}

void proof_fini(struct proof *proof)
{
	forget_hash(proof);
	buf_fini(&proof->own_signature);
	buf_fini(&proof->signature);
}

static int start_hash(struct proof *proof, uint8_t hash, struct view transcript, struct diag *diag)
{
	static const gnutls_digest_algorithm_t algorithms[] = {
		[WORKER_SIGNER_SHA256] = GNUTLS_DIG_SHA256, [WORKER_SIGNER_SHA384] = GNUTLS_DIG_SHA384};
	if (hash != WORKER_SIGNER_SHA256 && hash != WORKER_SIGNER_SHA384)
		return diag_set(diag, ERR_BAD_PEER, "no known hash: %u", hash);
	proof->hash_size = gnutls_hash_get_len(algorithms[hash]);
	if (gnutls_hash_init(&proof->hash, algorithms[hash]) < 0 ||
	    gnutls_hash(proof->hash, transcript.data, transcript.size) < 0)
		return diag_set(diag, ERR_SYSTEM, "the hash does not start");
	return 0;
}

/* The hash up to here, while hashing can go on. */
static int hash_so_far(const struct proof *proof, uint8_t out_hash[TRANSCRIPT_HASH_MAX], struct diag *diag)
{
	gnutls_hash_hd_t copy = gnutls_hash_copy(proof->hash);
	if (!copy)
		return diag_set(diag, ERR_SYSTEM, "the hash cannot be copied");
	gnutls_hash_deinit(copy, out_hash);
	return 0;
}

static int sign_content(struct proof *proof, const struct keyring *keyring, const struct scheme *scheme,
			struct diag *diag)
{
	uint8_t hash[TRANSCRIPT_HASH_MAX], content[TRANSCRIPT_CONTENT_MAX];
	int result = hash_so_far(proof, hash, diag);
	if (result < 0)
		return result;
	gnutls_datum_t data = {.data = content};
	data.size = (unsigned)transcript_content(TRANSCRIPT_SERVER, view_of(hash, proof->hash_size), content);
	gnutls_datum_t signature = {NULL, 0};
	int code = gnutls_privkey_sign_data2(keyring->server_key, scheme->algorithm, 0, &data, &signature);
	if (code < 0)
		return diag_set(diag, ERR_SYSTEM, "the server key does not sign (%s)", gnutls_strerror(code));
	result = buf_add(&proof->own_signature, view_of(signature.data, signature.size));
	gnutls_free(signature.data);
	return result < 0 ? diag_set(diag, result, "the signature of the server key is too long") : 0;
}

int proof_sign(struct proof *proof, const struct keyring *keyring, const struct worker_signer_sign *message,
	       struct diag *diag)
{
	const struct scheme *scheme = NULL;
	if (proof->state != WORKER_SIGNER_FRESH)
		return diag_set(diag, ERR_BAD_PEER, "a second signature was asked for");
	if (scheme_find(message->scheme, keyring->server_public, &scheme, diag) < 0)
		return ERR_BAD_PEER;
	int result = transcript_check_start(message->transcript, buf_view(&keyring->server_leaf), &proof->asked, diag);
	if (result == 0)
		result = start_hash(proof, message->hash, message->transcript, diag);
	if (result == 0)
		result = sign_content(proof, keyring, scheme, diag);
	if (result < 0)
		return result;
	proof->own_scheme = scheme->number;
	proof->state = WORKER_SIGNER_SIGNED;
	return 0;
}

int proof_keep(struct proof *proof, const struct worker_signer_proof *message, struct diag *diag)
{
	if (proof->state != WORKER_SIGNER_SIGNED)
		return diag_set(diag, ERR_BAD_PEER, "a proof that was not to come now");
	if (!proof->asked)
		return diag_set(diag, ERR_BAD_PEER, "a proof of a handshake that asked for no certificate");
	int result = transcript_check_rest(message->rest, proof->own_scheme, buf_view(&proof->own_signature), diag);
	if (result < 0)
		return result;
	if (gnutls_hash(proof->hash, message->rest.data, message->rest.size) < 0)
		return diag_set(diag, ERR_SYSTEM, "the hash does not go on");
	result = hash_so_far(proof, proof->transcript, diag);
	if (result == 0)
		result = buf_add(&proof->signature, message->signature);
	if (result < 0)
		return result;
	proof->scheme = message->scheme;
	proof->state = WORKER_SIGNER_DONE;
	forget_hash(proof);
	buf_fini(&proof->own_signature);
	return 0;
}

static int check_signature(const struct proof *proof, gnutls_pubkey_t key, struct diag *diag)
{
	const struct scheme *scheme = NULL;
	int result = scheme_find(proof->scheme, key, &scheme, diag);
	if (result < 0)
		return result;
	uint8_t content[TRANSCRIPT_CONTENT_MAX];
	gnutls_datum_t data = {.data = content};
	data.size =
		(unsigned)transcript_content(TRANSCRIPT_CLIENT, view_of(proof->transcript, proof->hash_size), content);
	gnutls_datum_t signature = {proof->signature.data, (unsigned)proof->signature.size};
	if (gnutls_pubkey_verify_data2(key, scheme->algorithm, 0, &data, &signature) < 0)
		return diag_set(diag, ERR_DENIED,
				"the signature over the handshake was not made with the registered key");
	return 0;
}

int proof_verify(struct proof *proof, struct view public_key, struct diag *diag)
{
	OWN(own_public) gnutls_pubkey_t key = NULL;
	gnutls_datum_t der = {(unsigned char *)(uintptr_t)public_key.data, (unsigned)public_key.size};
	if (proof->state != WORKER_SIGNER_DONE || !proof->signature.size)
		return diag_set(diag, ERR_NOT_FOUND, "the worker has given no proof");
	int result = 0;
	if (gnutls_pubkey_init(&key) < 0 || gnutls_pubkey_import(key, &der, GNUTLS_X509_FMT_DER) < 0)
		result = diag_set(diag, ERR_DENIED, "the registered public key cannot be read");
	else
		result = check_signature(proof, key, diag);
	/* One verdict per proof. */
	buf_fini(&proof->signature);
	return result;
}

/* tls_transcript.c: the handshake's messages, collected for the device proof. Server only.
 *
 * GnuTLS shows each message without its header; header and body make the transcript of RFC 8446 4.4.1:
 *
 *     ClientHello .. server Certificate | CertificateVerify Finished, client Certificate | CertificateVerify
 *     '-------- given to be signed ----'  '------------------ rest --------------------'   '- signature -'
 *
 * After a HelloRetryRequest the first ClientHello is replaced by a message_hash message. Counterpart:
 * gateway/signer/sign.c, which hashes it again.
 */
#include <gnutls/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "tls_internal.h"

enum { MESSAGE_HASH = 254, HEADER_SIZE = 4 };

static int add_message(struct tls_transcript *transcript, unsigned type, struct view body)
{
	uint8_t header[HEADER_SIZE] = {(uint8_t)type, (uint8_t)(body.size >> 16), (uint8_t)(body.size >> 8),
				       (uint8_t)body.size};
	int result = buf_add(&transcript->messages, view_of(header, sizeof(header)));
	return result < 0 ? result : buf_add(&transcript->messages, body);
}

/* What is there (the first ClientHello) shrinks to its hash. */
static int replace_first_hello(struct tls *tls)
{
	struct tls_transcript *transcript = tls->transcript;
	uint8_t digest[64];
	enum tls_hash hash;
	if (tls_suite_hash(tls, &hash) < 0)
		return ERR_BUG;
	gnutls_digest_algorithm_t algorithm = hash == TLS_SHA256 ? GNUTLS_DIG_SHA256 : GNUTLS_DIG_SHA384;
	if (gnutls_hash_fast(algorithm, transcript->messages.data, transcript->messages.size, digest) < 0)
		return ERR_BUG;
	buf_reset(&transcript->messages);
	return add_message(transcript, MESSAGE_HASH, view_of(digest, gnutls_hash_get_len(algorithm)));
}

/* CertificateVerify: scheme (2 bytes), length (2 bytes), signature. */
static int keep_signature(struct tls_transcript *transcript, struct view body)
{
	if (body.size < 4 || body.size - 4 != ((size_t)body.data[2] << 8 | body.data[3]))
		return ERR_BAD_PEER;
	transcript->scheme = (uint16_t)(body.data[0] << 8 | body.data[1]);
	transcript->complete = true;
	return buf_add(&transcript->signature, view_of(body.data + 4, body.size - 4));
}

static int collect(struct tls *tls, unsigned type, bool incoming, struct view body)
{
	struct tls_transcript *transcript = tls->transcript;
	switch (type) {
	case GNUTLS_HANDSHAKE_CHANGE_CIPHER_SPEC: /* not a handshake message, whatever GnuTLS calls it */
		return 0;
	case GNUTLS_HANDSHAKE_HELLO_RETRY_REQUEST: {
		int result = replace_first_hello(tls);
		return result < 0 ? result : add_message(transcript, GNUTLS_HANDSHAKE_SERVER_HELLO, body);
	}
	case GNUTLS_HANDSHAKE_CERTIFICATE_VERIFY:
		return incoming ? keep_signature(transcript, body) : add_message(transcript, type, body);
	default:
		return type > UINT8_MAX ? ERR_BAD_PEER : add_message(transcript, type, body);
	}
}

static int on_message(gnutls_session_t session, unsigned type, unsigned when, unsigned incoming,
		      const gnutls_datum_t *message)
{
	(void)when;
	struct tls *tls = gnutls_session_get_ptr(session);
	struct tls_transcript *transcript = tls->transcript;
	if (!transcript || transcript->complete)
		return 0;
	transcript->failure = collect(tls, type, incoming, datum_view(message));
	return transcript->failure < 0 ? GNUTLS_E_HANDSHAKE_TOO_LARGE : 0;
}

int tls_transcript_setup(struct tls *tls)
{
	tls->transcript = calloc(1, sizeof(*tls->transcript));
	if (!tls->transcript)
		return ERR_SYSTEM;
	tls->transcript->messages = BUF_INIT(TLS_TRANSCRIPT_MAX);
	tls->transcript->signature = BUF_INIT(2048);
	gnutls_handshake_set_hook_function(tls->session, GNUTLS_HANDSHAKE_ANY, GNUTLS_HOOK_PRE, on_message);
	return 0;
}

int tls_proof(const struct tls *tls, struct tls_proof *out_proof)
{
	const struct tls_transcript *transcript = tls->transcript;
	if (!tls->ready || !transcript || !transcript->complete || !transcript->signed_size)
		return ERR_NOT_FOUND;
	struct view all = buf_view(&transcript->messages);
	struct tls_proof proof = {
		.transcript = view_of(all.data, transcript->signed_size),
		.rest = view_of(all.data + transcript->signed_size, all.size - transcript->signed_size),
		.scheme = transcript->scheme,
		.signature = buf_view(&transcript->signature),
	};
	int result = tls_suite_hash(tls, &proof.hash);
	if (result == 0)
		*out_proof = proof;
	return result;
}

void tls_proof_release(struct tls *tls)
{
	if (!tls->transcript)
		return;
	buf_fini(&tls->transcript->messages);
	buf_fini(&tls->transcript->signature);
	free(take_pointer(&tls->transcript));
	tls_trim(tls);
}

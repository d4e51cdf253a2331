/* sign.h: one signature and one device proof per worker.
 *
 * FRESH --sign--> SIGNED --keep--> DONE --verify (once)--> DONE. The proof shows that the holder of a
 * private key has just now signed a handshake that contains a signature which this signer made for this
 * worker a moment before; so nothing recorded earlier, and nothing made for another server, serves.
 * Counterparts: gateway/worker/remote_key.c (asks), gateway/broker/signer_edge.c (wants the verdict).
 */
#ifndef SALLYPORT_SIGNER_SIGN_H
#define SALLYPORT_SIGNER_SIGN_H

#include <gnutls/crypto.h>

#include "keyring.h"
#include "sallyport/edge/worker_signer.h"
#include "transcript.h"

struct proof {
	enum worker_signer_state state;
	gnutls_hash_hd_t hash; /* over all messages so far; NULL when none */
	size_t hash_size;
	bool asked; /* the handshake asks the client for a certificate */
	uint32_t own_scheme;
	struct buf own_signature;                /* what this signer has given */
	uint8_t transcript[TRANSCRIPT_HASH_MAX]; /* the hash that the client has signed */
	uint32_t scheme;
	struct buf signature; /* the client's */
};

void proof_init(struct proof *proof);
void proof_fini(struct proof *proof);

/* Hashes the transcript and signs it. The signature is in proof->own_signature. ERR_BAD_PEER for a message
 * that breaks the protocol (the caller drops the worker), ERR_SYSTEM; a sentence in diag. */
[[nodiscard]] int proof_sign(struct proof *proof, const struct keyring *keyring,
			     const struct worker_signer_sign *message, struct diag *diag);
/* Takes the rest of the handshake and the client's signature. ERR_BAD_PEER, ERR_SYSTEM. */
[[nodiscard]] int proof_keep(struct proof *proof, const struct worker_signer_proof *message, struct diag *diag);
/* Was it made with the private key of this public key (DER SubjectPublicKeyInfo)? Answers once, then the
 * proof is gone. 0: yes. ERR_DENIED: no; ERR_NOT_FOUND: there is none; diag says why. */
[[nodiscard]] int proof_verify(struct proof *proof, struct view public_key, struct diag *diag);

#endif

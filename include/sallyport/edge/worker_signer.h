/* worker_signer.h: one signature, one device proof.
 *
 * First end: a worker. Second end: the signer. The signer signs one TLS 1.3 CertificateVerify (RFC 8446
 * 4.4.3) over a transcript that it hashes itself, and then takes one device proof; a second of either
 * is a breach. The transcript is opaque bytes here: handshake messages with their 4-byte headers; after
 * a HelloRetryRequest the worker has put the message_hash message in place of the first ClientHello
 * (RFC 8446 4.4.1). Counterparts: gateway/worker/remote_key.c and gateway/signer/sign.c.
 */
#ifndef SALLYPORT_EDGE_WORKER_SIGNER_H
#define SALLYPORT_EDGE_WORKER_SIGNER_H

#include "sallyport/edge.h"

/* States of the signer's end; the worker's end takes what comes in any. */
enum worker_signer_state {
	WORKER_SIGNER_FRESH = 1 << 0,  /* nothing signed */
	WORKER_SIGNER_SIGNED = 1 << 1, /* one signature given; the proof may come */
	WORKER_SIGNER_DONE = 1 << 2,   /* proof kept; nothing more */
};

/* `hash`: which hash the cipher suite uses. */
enum worker_signer_hash { WORKER_SIGNER_SHA256 = 1, WORKER_SIGNER_SHA384 = 2 };

#define worker_signer_MESSAGES(M)                                                                     \
	/* worker: sign the transcript from ClientHello to the server's Certificate */                \
	M(worker_signer, sign, EDGE_FROM_FIRST, WORKER_SIGNER_FRESH, EDGE_NO_FD)                      \
	/* signer: the signature; scheme as in RFC 8446 4.2.3 */                                      \
	M(worker_signer, signature, EDGE_FROM_SECOND, EDGE_ANY, EDGE_NO_FD)                           \
	/* worker: the messages from the server's CertificateVerify to the client's Certificate, and the \
	 * client's signature from its CertificateVerify */                                           \
	M(worker_signer, proof, EDGE_FROM_FIRST, WORKER_SIGNER_SIGNED, EDGE_NO_FD)                    \
	/* signer: kept; the broker may ask for the verdict now. It does not say whether it is good. */\
	M(worker_signer, proof_kept, EDGE_FROM_SECOND, EDGE_ANY, EDGE_NO_FD)

#define worker_signer_sign_FIELDS(F) F(u8, hash, 0) F(u32, scheme, 0) F(bytes, transcript, 65536)
#define worker_signer_signature_FIELDS(F) F(u32, scheme, 0) F(bytes, signature, 1024)
#define worker_signer_proof_FIELDS(F) F(bytes, rest, 65536) F(u32, scheme, 0) F(bytes, signature, 2048)
#define worker_signer_proof_kept_FIELDS(F)
EDGE_DECLARE(worker_signer)

#endif

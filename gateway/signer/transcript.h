/* transcript.h: the handshake as the signer sees it (RFC 8446 4.4): whole messages in their order, hashed.
 *
 * The bytes come from a worker and mean nothing here except in one respect: where each message begins and
 * ends, that they come in the one order that a handshake has, and that the server's Certificate shows our
 * own leaf. Without that, a worker could pass off bytes *inside* a message of another server's handshake
 * (a Certificate with a CertificateVerify of ours in its text) as our part, and use a signature that the
 * device made for that server. Pure functions.
 */
#ifndef SALLYPORT_SIGNER_TRANSCRIPT_H
#define SALLYPORT_SIGNER_TRANSCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sallyport/buf.h"
#include "sallyport/err.h"

#define TRANSCRIPT_HASH_MAX 48
/* 64 spaces, the context with its NUL, the hash. */
#define TRANSCRIPT_CONTENT_MAX (64 + 34 + TRANSCRIPT_HASH_MAX)

enum transcript_side { TRANSCRIPT_SERVER, TRANSCRIPT_CLIENT };

/* What a CertificateVerify of that side signs: RFC 8446 4.4.3. Returns its size. */
size_t transcript_content(enum transcript_side side, struct view hash, uint8_t out_content[TRANSCRIPT_CONTENT_MAX]);

/* ClientHello to the server's Certificate (with message_hash and HelloRetryRequest in front of it after a
 * retry), each once, and that Certificate begins with `leaf` (DER). out_asked: whether it asks the client for a
 * certificate; on the enrolment listener it does not, and no proof can follow. ERR_BAD_PEER with a sentence. */
[[nodiscard]] int transcript_check_start(struct view transcript, struct view leaf, bool *out_asked, struct diag *diag);
/* The server's CertificateVerify that holds exactly this scheme and signature, its Finished, the client's
 * Certificate. ERR_BAD_PEER with a sentence. */
[[nodiscard]] int transcript_check_rest(struct view rest, uint32_t scheme, struct view signature, struct diag *diag);

#endif

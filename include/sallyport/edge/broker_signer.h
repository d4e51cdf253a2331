/* broker_signer.h: verdicts on device proofs, and device certificates.
 *
 * First end: the broker. Second end: the signer. The signer builds a certificate from a public key and a
 * name of the gateway's own making, never from a CSR. Counterparts: gateway/broker/signer_edge.c and
 * gateway/signer/{sign,issue,checkpoint,issuers}.c.
 */
#ifndef SALLYPORT_EDGE_BROKER_SIGNER_H
#define SALLYPORT_EDGE_BROKER_SIGNER_H

#include "sallyport/edge.h"

#define broker_signer_MESSAGES(M)                                                                     \
	/* broker: was that worker's proof made with the private key of this public key (DER SPKI)? */\
	M(broker_signer, verify, EDGE_FROM_FIRST, EDGE_ANY, EDGE_NO_FD)                               \
	/* signer: yes (good = 1), or no and why */                                                   \
	M(broker_signer, verified, EDGE_FROM_SECOND, EDGE_ANY, EDGE_NO_FD)                            \
	/* broker: issue a device certificate; times in seconds since 1970 */                         \
	M(broker_signer, issue, EDGE_FROM_FIRST, EDGE_ANY, EDGE_NO_FD)                                \
	/* signer: the certificate (DER) */                                                           \
	M(broker_signer, issued, EDGE_FROM_SECOND, EDGE_ANY, EDGE_NO_FD)                              \
	/* broker: sign a list of revoked certificates (CRL); the descriptor holds the entries */     \
	M(broker_signer, revoked, EDGE_FROM_FIRST, EDGE_ANY, EDGE_WITH_FD)                            \
	/* signer: the list (DER), in pieces up to the last; all of it empty: it could not */         \
	M(broker_signer, revocation_list, EDGE_FROM_SECOND, EDGE_ANY, EDGE_NO_FD)                     \
	/* broker: which authority signs now? */                                                      \
	M(broker_signer, authority_wanted, EDGE_FROM_FIRST, EDGE_ANY, EDGE_NO_FD)                     \
	/* signer: SHA-256 of its certificate */                                                      \
	M(broker_signer, authority, EDGE_FROM_SECOND, EDGE_ANY, EDGE_NO_FD)                           \
	/* broker: sign that the audit record's chain has this hash at this number (checkpoint.h) */  \
	M(broker_signer, checkpoint, EDGE_FROM_FIRST, EDGE_ANY, EDGE_NO_FD)                           \
	/* signer: the same with what else it says, and the signature; or no signature, and why */    \
	M(broker_signer, checkpoint_signed, EDGE_FROM_SECOND, EDGE_ANY, EDGE_NO_FD)                   \
	/* broker: a list of revoked certificates of the authority of that section (CRL; memory or a file) */ \
	M(broker_signer, foreign_list, EDGE_FROM_FIRST, EDGE_ANY, EDGE_WITH_FD)                       \
	/* signer: serial numbers of the list, as many as there are, before: */                       \
	M(broker_signer, foreign_serials, EDGE_FROM_SECOND, EDGE_ANY, EDGE_NO_FD)                     \
	/* signer: what else it says; with a reason: it is not good, and nothing of it counts */      \
	M(broker_signer, foreign_read, EDGE_FROM_SECOND, EDGE_ANY, EDGE_NO_FD)                        \
	/* broker: a question for an OCSP responder about that certificate; answered by the question (DER) */ \
	M(broker_signer, ocsp_ask, EDGE_FROM_FIRST, EDGE_ANY, EDGE_NO_FD)                             \
	M(broker_signer, ocsp_question, EDGE_FROM_SECOND, EDGE_ANY, EDGE_NO_FD)                       \
	/* broker: what the responder has answered to it; answered by what that means */              \
	M(broker_signer, ocsp_answer, EDGE_FROM_FIRST, EDGE_ANY, EDGE_NO_FD)                          \
	M(broker_signer, ocsp_verdict, EDGE_FROM_SECOND, EDGE_ANY, EDGE_NO_FD)                        \
	/* signer: not issued, and why (a weak key, a key that is none) */                            \
	M(broker_signer, not_issued, EDGE_FROM_SECOND, EDGE_ANY, EDGE_NO_FD)

#define broker_signer_verify_FIELDS(F) F(u64, worker, 0) F(bytes, public_key, 4096)
#define broker_signer_verified_FIELDS(F) F(u64, worker, 0) F(u8, good, 0) F(str, reason, 256)
#define broker_signer_issue_FIELDS(F)                                                                 \
	F(u32, request, 0) F(bytes, public_key, 4096) F(str, device_id, 64) F(str, device_name, 64)   \
	F(bytes, serial, 16) F(u64, not_before_s, 0) F(u64, not_after_s, 0)
/* authority: SHA-256 of the certificate of the authority that has signed */
#define broker_signer_issued_FIELDS(F) F(u32, request, 0) F(bytes, certificate, 16384) F(bytes, authority, 32)
/* An entry: 20 bytes of serial number, 8 of seconds since 1970, highest byte first; 32: which authority has issued it. The
 * signer lists those of its own. */
#define BROKER_SIGNER_ENTRY_BYTES 60
#define BROKER_SIGNER_ENTRIES_MAX 24000
/* Of the whole list: what a worker may hold for its client. */
#define BROKER_SIGNER_LIST_MAX 1000000
#define broker_signer_revoked_FIELDS(F) F(u64, number, 0) F(u64, this_s, 0) F(u64, next_s, 0)
#define broker_signer_revocation_list_FIELDS(F) F(bytes, piece, 65536) F(u8, last, 0)
#define broker_signer_authority_wanted_FIELDS(F)
#define broker_signer_authority_FIELDS(F) F(bytes, fingerprint, 32)
#define broker_signer_foreign_list_FIELDS(F) F(str, issuer, 32)
/* serials: 20 bytes each, zeros in front */
#define broker_signer_foreign_serials_FIELDS(F) F(str, issuer, 32) F(bytes, serials, 65520)
/* number: 20 bytes, zeros in front, all zero for a list without one; times in seconds since 1970 */
#define broker_signer_foreign_read_FIELDS(F)                                                          \
	F(str, issuer, 32) F(bytes, number, 20) F(u64, this_s, 0) F(u64, next_s, 0) F(u32, count, 0) F(str, reason, 256)
/* serial: 20 bytes, zeros in front; nonce: random bytes of the broker's */
#define broker_signer_ocsp_ask_FIELDS(F) F(u32, check, 0) F(str, issuer, 32) F(bytes, serial, 20) F(bytes, nonce, 16)
/* empty: it cannot be made */
#define broker_signer_ocsp_question_FIELDS(F) F(u32, check, 0) F(bytes, question, 4096)
#define broker_signer_ocsp_answer_FIELDS(F)                                                           \
	F(u32, check, 0) F(str, issuer, 32) F(bytes, serial, 20) F(bytes, nonce, 16) F(bytes, answer, 32768)
/* meaning: enum broker_signer_ocsp; next_s: 0 where it does not say; reason: of NONE */
#define broker_signer_ocsp_verdict_FIELDS(F) F(u32, check, 0) F(u8, meaning, 0) F(u64, next_s, 0) F(str, reason, 256)
#define broker_signer_not_issued_FIELDS(F) F(u32, request, 0) F(str, reason, 512)
/* kind: enum checkpoint_kind */
#define broker_signer_checkpoint_FIELDS(F) F(u8, kind, 0) F(u64, sequence, 0) F(bytes, hash, 32)
#define broker_signer_checkpoint_signed_FIELDS(F)                                                     \
	F(u8, kind, 0) F(u64, sequence, 0) F(bytes, hash, 32) F(str, gateway, 253) F(u64, at_ms, 0)   \
	F(bytes, key, 32) F(bytes, signature, 160) F(str, reason, 256)
EDGE_DECLARE(broker_signer)

/* What an OCSP responder says of a certificate. NONE: nothing that counts. */
enum broker_signer_ocsp { BROKER_SIGNER_OCSP_NONE, BROKER_SIGNER_OCSP_GOOD, BROKER_SIGNER_OCSP_REVOKED, BROKER_SIGNER_OCSP_UNKNOWN };

#define BROKER_SIGNER_LIST_BYTES_MAX (32 << 20)
#define BROKER_SIGNER_LIST_SERIALS_MAX 500000

#endif

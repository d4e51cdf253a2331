/* ocsp.h: questions for OCSP responders (RFC 6960), and whether an answer counts.
 *
 * Nothing is kept in between: the broker gives the same issuer, serial number and nonce again. Counterpart:
 * gateway/broker/ocsp.c.
 */
#ifndef SALLYPORT_SIGNER_OCSP_H
#define SALLYPORT_SIGNER_OCSP_H

#include "issuers.h"
#include "sallyport/edge/broker_signer.h"

/* Appends the question in DER. ERR_NOT_FOUND, ERR_SYSTEM. */
[[nodiscard]] int ocsp_question(const struct issuers *issuers, const struct broker_signer_ocsp_ask *order, struct buf *out_question);
/* What the answer means: signed by the authority itself, or by whom it has made its responder (OCSPSigning); about that
 * certificate; with our nonce, where it has one; from now. Else BROKER_SIGNER_OCSP_NONE and a sentence. out_next_s: until when
 * it counts; 0: it does not say. */
enum broker_signer_ocsp ocsp_judge(const struct issuers *issuers, const struct broker_signer_ocsp_answer *answer, uint64_t *out_next_s,
				   struct diag *diag);

#endif

/* revocations.h: the list of revoked device certificates (CRL, RFC 5280 5), signed by the own authority. */
#ifndef SALLYPORT_SIGNER_REVOCATIONS_H
#define SALLYPORT_SIGNER_REVOCATIONS_H

#include "keyring.h"
#include "sallyport/edge/broker_signer.h"

/* Appends the list in DER: of the entries (as broker_signer.h has them) those that the own authority has issued.
 * ERR_BAD_INPUT, ERR_LIMIT, ERR_SYSTEM, with a sentence. */
[[nodiscard]] int revocations_sign(const struct keyring *keyring, const struct broker_signer_revoked *order,
				   struct view entries, struct buf *out_list, struct diag *diag);

#endif

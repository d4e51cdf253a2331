/* revocations.h: the list of revoked device certificates (CRL, RFC 5280 5), signed by the own authority. */
#ifndef SALLYPORT_SIGNER_REVOCATIONS_H
#define SALLYPORT_SIGNER_REVOCATIONS_H

#include "keyring.h"
#include "sallyport/edge/broker_signer.h"

/* Appends the list in DER. The order's entries: 20 bytes of serial number (zeros in front), 8 bytes of seconds since 1970,
 * both with the highest byte first. ERR_BAD_INPUT, ERR_SYSTEM, with a sentence. */
[[nodiscard]] int revocations_sign(const struct keyring *keyring, const struct broker_signer_revoked *order,
				   struct buf *out_list, struct diag *diag);

#endif

/* issue.h: device certificates, from a public key and a name of the gateway's own making.
 *
 * Profile: X.509 v3, serial as given; subject CN=NAME; subjectAltName URI sallyport:device:ID; not an
 * authority, keyUsage digitalSignature, extendedKeyUsage clientAuth (the first two critical);
 * subjectKeyIdentifier, authorityKeyIdentifier. Validity lies within the authority's. The broker decides
 * who gets one; the signer decides what it can say. Counterpart: gateway/broker/signer_edge.c.
 */
#ifndef SALLYPORT_SIGNER_ISSUE_H
#define SALLYPORT_SIGNER_ISSUE_H

#include "keyring.h"
#include "sallyport/edge/broker_signer.h"

/* No certificate of a device lives longer, whatever the broker asks for. */
#define ISSUE_LIFE_MAX_S (825ULL * 24 * 3600)
#define ISSUE_SERIAL_SIZE 16

/* Appends the certificate in DER. ERR_DENIED (weak key, name or times that cannot be), ERR_BAD_INPUT (no
 * public key), ERR_SYSTEM, each with one sentence. */
[[nodiscard]] int issue_certificate(const struct keyring *keyring, const struct broker_signer_issue *order,
				    struct buf *out_certificate, struct diag *diag);

#endif

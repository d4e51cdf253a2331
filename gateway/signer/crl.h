/* crl.h: a list of revoked certificates (CertificateList, RFC 5280 5), taken apart without an ASN.1 library.
 *
 * In two steps, so that a stranger's bytes meet little code: crl_open finds what is signed, by whom it says to be, and the
 * signature, and looks at nothing else; when the signature is good, what it says is the authority's own word, and crl_read
 * walks over it. Linear in time, no memory. Pure.
 */
#ifndef SALLYPORT_SIGNER_CRL_H
#define SALLYPORT_SIGNER_CRL_H

#include <stdbool.h>
#include <stdint.h>

#include "sallyport/buf.h"
#include "sallyport/err.h"

#define CRL_SERIAL_BYTES 20
#define CRL_OID_MAX 64

struct crl {
	struct view to_be_signed;   /* the whole TBSCertList, as it is signed */
	struct view signature;      /* the bits */
	char algorithm[CRL_OID_MAX]; /* of the signature, dotted */
	struct view issuer;         /* DER of the name */
	/* What crl_read fills in: */
	int64_t this_s, next_s;            /* next_s 0: it does not say */
	uint8_t number[CRL_SERIAL_BYTES];  /* zeros in front; all zero: it has none */
	struct view entries;               /* for crl_next */
	/* Between the two: */
	struct view rest;
	struct view inner_algorithm;
};

/* ERR_BAD_INPUT with a sentence: it is no list. */
[[nodiscard]] int crl_open(struct view der, struct crl *out_crl, struct diag *diag);
/* ERR_BAD_INPUT: damaged; ERR_DENIED: of a kind that is not taken (critical extensions: a delta, a part, several issuers). */
[[nodiscard]] int crl_read(struct crl *crl, struct diag *diag);
/* The bits of a public key (SubjectPublicKeyInfo), of which RFC 6960 4.1.1 wants the hash. */
bool crl_key_bits(struct view public_key, struct view *out_bits);
/* The next serial number, zeros in front. 1, 0 at the end, or ERR_BAD_INPUT. */
[[nodiscard]] int crl_next(struct crl *crl, uint8_t *out_serial);

#endif

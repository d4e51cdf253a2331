/* scheme.h: the signature schemes of TLS 1.3 (RFC 8446 4.2.3) that we use, and which key each fits. */
#ifndef SALLYPORT_SIGNER_SCHEME_H
#define SALLYPORT_SIGNER_SCHEME_H

#include <gnutls/abstract.h>
#include <stdbool.h>
#include <stdint.h>

#include "sallyport/err.h"

#define SCHEME_RSA_BITS_MIN 2048
#define SCHEME_RSA_BITS_MAX 8192

struct scheme {
	uint32_t number; /* as on the wire */
	gnutls_sign_algorithm_t algorithm;
	gnutls_pk_algorithm_t key;
	gnutls_ecc_curve_t curve; /* GNUTLS_ECC_CURVE_INVALID: the key has none */
	bool fresh;               /* two signatures over the same bytes differ */
	const char *name;
};

/* The scheme of that number, if this key is the kind that it demands. ERR_DENIED with a sentence. */
[[nodiscard]] int scheme_find(uint32_t number, gnutls_pubkey_t key, const struct scheme **out_scheme,
			      struct diag *diag);
/* A key that fits no scheme is too weak or of a kind that we do not know: ERR_DENIED with a sentence. */
[[nodiscard]] int scheme_check_key(gnutls_pubkey_t key, struct diag *diag);
/* Are the signatures of such a key fresh (not the same for the same bytes)? */
bool scheme_key_is_fresh(gnutls_pubkey_t key);

/* The hash with which that key signs certificates: SHA-256, or what it is made for (SHA-384 with P-384, SHA-512 with
 * Ed25519). A GnuTLS code. */
[[nodiscard]] int scheme_digest(gnutls_privkey_t key, gnutls_digest_algorithm_t *out_digest);

#endif

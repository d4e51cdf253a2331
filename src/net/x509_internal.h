/* x509_internal.h: what the x509*.c files share: reading foreign DER into GnuTLS's types. */
#ifndef SALLYPORT_NET_X509_INTERNAL_H
#define SALLYPORT_NET_X509_INTERNAL_H

#include "gnutls_own.h"
#include "sallyport/err.h"
#include "sallyport/x509.h"

/* PEM when it looks like PEM, else DER. */
gnutls_x509_crt_fmt_t x509_format(struct view input);
/* ERR_BAD_INPUT with a sentence when it is not a certificate. Caller owns the result. */
[[nodiscard]] int x509_read_certificate(struct view input, gnutls_x509_crt_t *out_certificate, struct diag *diag);
[[nodiscard]] int x509_read_public_key(struct view der, gnutls_pubkey_t *out_key, struct diag *diag);
[[nodiscard]] int x509_read_private_key(struct view pem, gnutls_privkey_t *out_key, struct diag *diag);
/* Appends a key's SubjectPublicKeyInfo. */
[[nodiscard]] int x509_add_public_key(gnutls_pubkey_t key, struct buf *out_public_key, struct diag *diag);
/* The rule of A6 on keys: 0, or ERR_DENIED with a sentence. */
[[nodiscard]] int x509_check_strength(gnutls_pubkey_t key, struct diag *diag);
/* Text of one attribute of a name (index counts attributes of that kind); false when there is none. */
bool x509_common_name(gnutls_x509_crt_t certificate, unsigned index, char *out_name, size_t capacity);

#endif

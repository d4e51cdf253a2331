/* token.h: private keys that live in a PKCS#11 token: an HSM, a TPM behind tpm2-pkcs11, softhsm2.
 *
 * The module is loaded before the door is locked; afterwards it reaches only what walls.c leaves open for it.
 * Only token.c knows GnuTLS's PKCS#11 functions.
 */
#ifndef SALLYPORT_SIGNER_TOKEN_H
#define SALLYPORT_SIGNER_TOKEN_H

#include <gnutls/abstract.h>
#include <stdbool.h>

#include "room.h"

#define TOKEN_PIN_MAX 255

/* Kept as long as the key: a token may ask again. Secret. */
struct token_pin {
	char text[TOKEN_PIN_MAX + 1];
};
void token_pin_forget(struct token_pin *pin);

/* When server_key or device_authority_key names a token: sets token_environment and loads token_module. Else
 * nothing. Before the door is locked. ERR_BAD_CONFIG, ERR_SYSTEM. */
[[nodiscard]] int token_open(const struct conf *conf, struct diag *diag);
bool token_is_open(void);

/* The key of that URL; its PIN is read from the received descriptor of that purpose, where the URL has a
 * pin-source. *pin must live as long as the key. ERR_BAD_CONFIG with a sentence. */
[[nodiscard]] int token_key(struct room *room, const char *purpose, const char *url, struct token_pin *pin,
			    gnutls_privkey_t *out_key, struct diag *diag);

#endif

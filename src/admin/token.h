/* token.h: keys of authorities in PKCS#11 tokens. */
#ifndef SALLYPORT_ADMIN_TOKEN_H
#define SALLYPORT_ADMIN_TOKEN_H

#include <jansson.h>

#include "sallyport/buf.h"
#include "sallyport/err.h"

struct token_place {
	const char *url;           /* pkcs11:..., its PIN by pin-source=file: */
	const char *module;        /* NULL or "": those that p11-kit is configured with */
	const json_t *environment; /* NAME=VALUE each; NULL: none */
};
/* Opens the token and appends the key's public half (DER); a key that is not there is made there. From then on the URL stands
 * for the private key in x509.h's functions. Once in a process. ERR_BAD_CONFIG, ERR_BAD_INPUT with a sentence. */
[[nodiscard]] int token_key(const struct token_place *place, struct buf *out_public_key, struct diag *diag);

#endif

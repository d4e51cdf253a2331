/* token_url.h: where a private key lives: in a PEM file, or in a PKCS#11 token named by a URL (RFC 7512).
 *
 * Used by the configuration (keys of kind KEY), the monitor (which opens the PIN's file), the signer and
 * sallyport-admin. Text only: nothing is opened here.
 */
#ifndef SALLYPORT_TOKEN_URL_H
#define SALLYPORT_TOKEN_URL_H

#include <stdbool.h>

#include "sallyport/err.h"

struct token_url {
	char url[2048];      /* as given, without the pin-source */
	char pin_file[2048]; /* absolute; empty: the token asks for no PIN */
};

/* Whether that text is a URL of a token and not a path. */
bool token_url_is(const char *text);
/* Takes a URL apart. ERR_BAD_CONFIG with a sentence: too long, a PIN that stands in the URL itself (the
 * configuration is readable by all), a pin-source that is no absolute path. */
[[nodiscard]] int token_url_parse(const char *text, struct token_url *out_url, struct diag *diag);

#endif

/* token.c: keys of authorities in PKCS#11 tokens, as the admin's commands use them: the module that the gateway is
 * configured with, the PIN from the file that the URL names, a new key where the URL names one that is not there. */
#include "token.h"

#include <gnutls/pkcs11.h>
#include <stdlib.h>
#include <string.h>

#include "sallyport/token_url.h"
#include "sallyport/x509.h"

static int set_environment(const json_t *list, struct diag *diag)
{
	size_t index;
	const json_t *item;
	json_array_foreach(list, index, item) {
		char text[4096];
		const char *entry = json_string_value(item);
		const char *equals = entry ? strchr(entry, '=') : NULL;
		if (!equals || view_to_string(view_of(entry, (size_t)(equals - entry)), text, sizeof(text)) < 0 ||
		    setenv(text, equals + 1, 1) < 0)
			return diag_set(diag, ERR_BAD_CONFIG, "token_environment: each entry is NAME=VALUE");
	}
	return 0;
}

static int find_pin(void *owner, const char *token, char *out_pin, size_t capacity)
{
	(void)token;
	return x509_token_pin_from_file(owner, out_pin, capacity);
}

int token_key(const struct token_place *place, struct buf *out_public_key, struct diag *diag)
{
	struct token_url checked;
	const char *module = place->module ? place->module : "";
	int result = token_url_parse(place->url, &checked, diag);
	if (result == 0)
		result = set_environment(place->environment, diag);
	if (result < 0)
		return result;
	int code = gnutls_pkcs11_init(*module ? GNUTLS_PKCS11_FLAG_MANUAL : GNUTLS_PKCS11_FLAG_AUTO, NULL);
	if (code == 0 && *module)
		code = gnutls_pkcs11_add_provider(module, NULL);
	if (code < 0)
		return diag_set(diag, ERR_BAD_CONFIG, "the PKCS#11 module %s cannot be loaded (%s)",
				*module ? module : "that p11-kit is configured with", gnutls_strerror(code));
	x509_token_pins(find_pin, (void *)(uintptr_t)place->url);
	result = x509_token_key_ensure(place->url, diag);
	return result < 0 ? result : x509_key_public(view_string(place->url), out_public_key, diag);
}

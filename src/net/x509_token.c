/* x509_token.c: PINs of tokens (PKCS#11), for the whole process. */
#include <ctype.h>
#include <gnutls/pkcs11.h>
#include <string.h>

#include "sallyport/fd.h"
#include "sallyport/str.h"
#include "x509_internal.h"

enum { PIN_FILE_MAX = 1024 };

static struct {
	x509_pin_handler handler;
	void *owner;
} pins;

/* Of a PKCS#11 URL what stands behind an attribute, with its percent signs decoded (RFC 7512 2.3). */
static bool attribute(const char *url, const char *name, char *out_value, size_t capacity)
{
	const char *from = strstr(url, name);
	size_t used = 0;
	if (!from)
		return false;
	for (from += strlen(name); *from && !strchr("&;?", *from) && used + 1 < capacity; from++) {
		uint8_t byte = (uint8_t)*from;
		if (byte == '%' && str_from_hex(view_of(from + 1, strnlen(from + 1, 2)), &byte, 1) == 0)
			from += 2;
		out_value[used++] = (char)byte;
	}
	out_value[used] = 0;
	return true;
}

int x509_token_pin_from_file(const char *url, char *out_pin, size_t capacity)
{
	char path[4096];
	struct diag ignored;
	OWN_SECRET_BUF struct buf text = BUF_INIT(PIN_FILE_MAX);
	if (!attribute(url, "pin-source=file:", path, sizeof(path)) || fd_read_file(path, &text, &ignored) < 0)
		return ERR_NOT_FOUND;
	while (text.size && isspace(text.data[text.size - 1]))
		text.size--;
	return view_to_string(buf_view(&text), out_pin, capacity) < 0 ? ERR_BAD_INPUT : 0;
}

static int on_pin(void *owner, int attempt, const char *token_url, const char *token_label, unsigned flags, char *out_pin,
		  size_t capacity)
{
	(void)owner, (void)token_url, (void)flags;
	/* A wrong PIN is not tried again: tokens lock themselves. */
	if (attempt > 0 || !pins.handler)
		return GNUTLS_E_PKCS11_PIN_ERROR;
	return pins.handler(pins.owner, token_label, out_pin, capacity) < 0 ? GNUTLS_E_PKCS11_PIN_ERROR : 0;
}

void x509_token_pins(x509_pin_handler handler, void *owner)
{
	pins.handler = handler;
	pins.owner = owner;
	gnutls_pkcs11_set_pin_function(on_pin, NULL);
}

/* ---- a new key ---- */

static int make_key(const char *url, struct diag *diag)
{
	char label[256];
	if (!attribute(url, "object=", label, sizeof(label)) || !*label)
		return diag_set(diag, ERR_BAD_INPUT, "the token holds no such key, and its URL names none that could be made: add ;object=NAME");
	int code = gnutls_pkcs11_privkey_generate3(url, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), label, NULL,
						   GNUTLS_X509_FMT_DER, NULL, 0,
						   GNUTLS_PKCS11_OBJ_FLAG_LOGIN | GNUTLS_PKCS11_OBJ_FLAG_MARK_SENSITIVE |
							   GNUTLS_PKCS11_OBJ_FLAG_MARK_PRIVATE);
	return code < 0 ? diag_set(diag, ERR_BAD_INPUT, "the token cannot make a key (%s); make one with its own tools, such as: "
				   "p11tool --login --generate-privkey ecdsa --curve secp256r1 --label %s URL", gnutls_strerror(code), label)
			: 0;
}

int x509_token_key_ensure(const char *url, struct diag *diag)
{
	OWN(own_private_key) gnutls_privkey_t key = NULL;
	if (gnutls_privkey_init(&key) < 0)
		return diag_set(diag, ERR_SYSTEM, "out of memory");
	int code = gnutls_privkey_import_url(key, url, 0);
	if (code == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
		return make_key(url, diag);
	return code < 0 ? diag_set(diag, ERR_BAD_INPUT, "the token's key cannot be used (%s)", gnutls_strerror(code)) : 0;
}

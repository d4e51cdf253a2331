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

/* Of a PKCS#11 URL the path behind pin-source=file: (RFC 7512 2.4), with its percent signs decoded. */
static bool pin_source(const char *url, char *out_path, size_t capacity)
{
	static const char attribute[] = "pin-source=file:";
	const char *from = strstr(url, attribute);
	size_t used = 0;
	if (!from)
		return false;
	for (from += sizeof(attribute) - 1; *from && *from != '&' && *from != ';' && used + 1 < capacity; from++) {
		uint8_t byte = (uint8_t)*from;
		if (byte == '%' && str_from_hex(view_of(from + 1, strnlen(from + 1, 2)), &byte, 1) == 0)
			from += 2;
		out_path[used++] = (char)byte;
	}
	out_path[used] = 0;
	return true;
}

int x509_token_pin_from_file(const char *url, char *out_pin, size_t capacity)
{
	char path[4096];
	struct diag ignored;
	OWN_SECRET_BUF struct buf text = BUF_INIT(PIN_FILE_MAX);
	if (!pin_source(url, path, sizeof(path)) || fd_read_file(path, &text, &ignored) < 0)
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

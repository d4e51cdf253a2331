/* token.c: keys in PKCS#11 tokens. The key never comes here: the token signs. */
#include "token.h"

#include <gnutls/pkcs11.h>
#include <stdlib.h>
#include <string.h>

#include "sallyport/buf.h"
#include "sallyport/token_url.h"

static bool opened;

void token_pin_forget(struct token_pin *pin)
{
	gnutls_memset(pin->text, 0, sizeof(pin->text));
}

bool token_is_open(void)
{
	return opened;
}

static int set_environment(const char *list, struct diag *diag)
{
	size_t position = 0;
	struct view item;
	while (conf_list_next(list, &position, &item)) {
		char text[4096];
		if (view_to_string(item, text, sizeof(text)) < 0 || !strchr(text, '=') || text[0] == '=')
			return diag_set(diag, ERR_BAD_CONFIG, "token_environment: each entry is NAME=VALUE");
		char *value = strchr(text, '=');
		*value++ = 0;
		if (setenv(text, value, 1) < 0)
			return diag_system(diag, "the token's environment cannot be set");
	}
	return 0;
}

static int load_module(const char *module, struct diag *diag)
{
	int code = gnutls_pkcs11_init(*module ? GNUTLS_PKCS11_FLAG_MANUAL : GNUTLS_PKCS11_FLAG_AUTO, NULL);
	if (code == 0 && *module)
		code = gnutls_pkcs11_add_provider(module, NULL);
	if (code < 0)
		return diag_set(diag, ERR_BAD_CONFIG, "the PKCS#11 module %s cannot be loaded (%s)",
				*module ? module : "that p11-kit is configured with", gnutls_strerror(code));
	return 0;
}

int token_open(const struct conf *conf, struct diag *diag)
{
	if (!token_url_is(conf->server_key) && !token_url_is(conf->device_authority_key))
		return 0;
	int result = set_environment(conf->token_environment, diag);
	if (result == 0)
		result = load_module(conf->token_module, diag);
	opened = result == 0;
	return result;
}

/* One line; what an editor leaves at its end does not belong to it. */
static int read_pin(struct room *room, const char *purpose, struct token_pin *pin, struct diag *diag)
{
	OWN_SECRET_BUF struct buf bytes = BUF_INIT(4096);
	const char *name = NULL;
	int result = room_read_descriptor(room, purpose, &bytes, &name, diag);
	if (result < 0)
		return result;
	struct view line = buf_view(&bytes);
	while (line.size && (line.data[line.size - 1] == '\n' || line.data[line.size - 1] == '\r'))
		line.size--;
	if (line.size == 0 || view_to_string(line, pin->text, sizeof(pin->text)) < 0)
		return diag_set(diag, ERR_BAD_CONFIG, "%s must hold the token's PIN, one line of 1 to %d characters", name,
				TOKEN_PIN_MAX);
	return 0;
}

/* A wrong PIN is not tried again: tokens lock themselves after a few. */
static int on_pin(void *context, int attempt, const char *url, const char *label, unsigned flags, char *out_pin,
		  size_t capacity)
{
	const struct token_pin *pin = context;
	(void)attempt, (void)url, (void)label;
	size_t length = strlen(pin->text);
	if (length == 0 || length >= capacity || (flags & (GNUTLS_PIN_WRONG | GNUTLS_PIN_FINAL_TRY)))
		return GNUTLS_E_PKCS11_PIN_ERROR;
	memcpy(out_pin, pin->text, length + 1);
	return 0;
}

int token_key(struct room *room, const char *purpose, const char *url, struct token_pin *pin, gnutls_privkey_t *out_key,
	      struct diag *diag)
{
	struct token_url parts;
	if (!opened)
		return diag_set(diag, ERR_BAD_CONFIG, "a key that moves into a token takes a restart of the gateway");
	int result = token_url_parse(url, &parts, diag);
	if (result == 0 && *parts.pin_file)
		result = read_pin(room, purpose, pin, diag);
	if (result < 0)
		return result;
	int code = gnutls_privkey_init(out_key);
	if (code == 0) {
		gnutls_privkey_set_pin_function(*out_key, on_pin, pin);
		code = gnutls_privkey_import_url(*out_key, parts.url, 0);
	}
	if (code < 0)
		return diag_set(diag, ERR_BAD_CONFIG, "the token's key %s cannot be used (%s)", parts.url,
				gnutls_strerror(code));
	return 0;
}

/* pin.c: the PIN of a token: from its file, or from the user. */
#include "pin.h"

#include <stdio.h>

#include "prompt.h"
#include "sallyport/own.h"
#include "sallyport/str.h"
#include "sallyport/x509.h"

static int ask(const char *token, char *out_pin, size_t capacity)
{
	char question[160], label[64];
	struct prompt prompt;
	struct diag ignored;
	OWN_SECRET_BUF struct buf answer = BUF_INIT(256);
	str_copy(label, sizeof(label), token);
	str_make_printable(label);
	snprintf(question, sizeof(question), _("PIN of the token \"%s\": "), label);
	prompt_open(&prompt, -1);
	int status = prompt_ask(&prompt, TERMINAL_ECHO_OFF, question, &answer, &ignored);
	prompt_close(&prompt);
	if (status != STATUS_OK)
		return ERR_DENIED;
	return view_to_string(buf_view(&answer), out_pin, capacity);
}

static int find_pin(void *owner, const char *token, char *out_pin, size_t capacity)
{
	const struct settings *settings = owner;
	const char *url = settings->value[SETTING_key];
	if (url && x509_token_pin_from_file(url, out_pin, capacity) == 0)
		return 0;
	return ask(token, out_pin, capacity);
}

void pin_prepare(const struct settings *settings)
{
	x509_token_pins(find_pin, (void *)(uintptr_t)settings);
}

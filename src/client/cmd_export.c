/* cmd_export.c: `sallyport export-p12 FILE`: certificate and key for a browser, under a passphrase. */
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "identity.h"
#include "prompt.h"
#include "sallyport/clock.h"
#include "sallyport/fd.h"
#include "sallyport/own.h"
#include "sallyport/token_url.h"
#include "sallyport/x509.h"
#include "say.h"

enum { PASSPHRASE_LEAST = 8 };

static int ask_passphrase(struct prompt *prompt, struct buf *out_passphrase, struct diag *diag)
{
	OWN_SECRET_BUF struct buf again = BUF_INIT(1024);
	int status = prompt_ask(prompt, TERMINAL_ECHO_OFF, _("Passphrase for the file: "), out_passphrase, diag);
	if (status == STATUS_OK && out_passphrase->size < PASSPHRASE_LEAST)
		return diag_set(diag, STATUS_USAGE, _("The passphrase must have at least %d characters"), PASSPHRASE_LEAST);
	if (status == STATUS_OK)
		status = prompt_ask(prompt, TERMINAL_ECHO_OFF, _("The same again: "), &again, diag);
	if (status == STATUS_OK && !view_equal(buf_view(out_passphrase), buf_view(&again)))
		return diag_set(diag, STATUS_USAGE, _("The two passphrases are not the same; nothing was written"));
	return status;
}

static int export(const struct settings *settings, const char *path, struct view passphrase, struct identity_dates *out_dates,
		  struct diag *diag)
{
	char text[1024];
	OWN_SECRET_BUF struct buf certificate = BUF_INIT(X509_INPUT_MAX);
	OWN_SECRET_BUF struct buf key = BUF_INIT(X509_INPUT_MAX);
	OWN_SECRET_BUF struct buf file = BUF_INIT(4 * X509_INPUT_MAX);
	const char *key_path = settings->value[SETTING_key];
	if (view_to_string(passphrase, text, sizeof(text)) < 0)
		return diag_set(diag, STATUS_USAGE, _("The passphrase is too long"));
	int status = identity_dates(settings->value[SETTING_cert], out_dates, diag);
	if (status == STATUS_OK && (fd_read_file(settings->value[SETTING_cert], &certificate, diag) < 0 ||
				    fd_read_file(key_path, &key, diag) < 0 ||
				    x509_pkcs12(buf_view(&certificate), buf_view(&key), out_dates->name, text, &file, diag) < 0))
		status = STATUS_USAGE;
	if (status == STATUS_OK && fd_write_file(path, 0600, 0, buf_view(&file), diag) < 0)
		status = STATUS_FAILED;
	wipe(text, sizeof(text));
	return status;
}

/* Two who use one identity: when the one has renewed it, the other looks like a thief (F5). */
static void tell(const char *path, const struct identity_dates *dates)
{
	char due[32];
	clock_format((uint64_t)identity_due_s(dates) * 1000, due, sizeof(due));
	printf(_("Written: %s. Import it in the browser, then remove the file.\n"), path);
	printf(_("From %s on this laptop may renew its certificate. Then the browser needs the new one instead: remove the former one there, and "
		 "export again. Who still shows the former one later is taken for a thief, and the laptop is locked.\n"), due);
}

int cmd_export(const struct options *options, struct diag *diag)
{
	struct prompt prompt;
	struct identity_dates dates;
	OWN_SECRET_BUF struct buf passphrase = BUF_INIT(1024);
	if (!options->argument)
		return diag_set(diag, STATUS_USAGE, _("usage: sallyport export-p12 FILE"));
	if (token_url_is(options->settings.value[SETTING_key]))
		return diag_set(diag, STATUS_USAGE, _("The key of this device is in a token and cannot leave it; give the browser the token"));
	prompt_open(&prompt, options->answers_fd);
	int status = ask_passphrase(&prompt, &passphrase, diag);
	prompt_close(&prompt);
	if (status == STATUS_OK)
		status = export(&options->settings, options->argument, buf_view(&passphrase), &dates, diag);
	if (status != STATUS_OK)
		return status;
	tell(options->argument, &dates);
	return say_finished() ? STATUS_OK : diag_set(diag, STATUS_FAILED, _("cannot write to standard output"));
}

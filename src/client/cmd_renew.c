/* cmd_renew.c: `sallyport renew`: the next certificate of this device, with a new key unless the key lives in a token.
 *
 * The new key waits in a file until its certificate is here; then the two replace the old ones. Killed anywhere, the
 * next `renew` goes on with the same key, and the gateway gives it the same certificate again.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "est.h"
#include "identity.h"
#include "sallyport/clock.h"
#include "sallyport/fd.h"
#include "sallyport/own.h"
#include "sallyport/token_url.h"
#include "sallyport/x509.h"
#include "say.h"
#include "token.h"

struct renewal {
	const struct settings *settings;
	const char *certificate, *key; /* their places */
	bool in_token, in_one_file;
	char waiting_key[4200], waiting_certificate[4200];
	struct loop loop;
};

/* ---- what a crash may have left: key and certificate in two files ---- */

static bool belong_together(const char *key_path, const char *certificate_path)
{
	struct diag ignored;
	OWN_SECRET_BUF struct buf key = BUF_INIT(X509_INPUT_MAX);
	OWN_BUF struct buf certificate = BUF_INIT(X509_INPUT_MAX);
	OWN_BUF struct buf one = BUF_INIT(X509_INPUT_MAX);
	OWN_BUF struct buf other = BUF_INIT(X509_INPUT_MAX);
	return fd_read_file(key_path, &key, &ignored) == 0 && fd_read_file(certificate_path, &certificate, &ignored) == 0 &&
	       x509_key_public(buf_view(&key), &one, &ignored) == 0 &&
	       x509_certificate_public_key(buf_view(&certificate), &other, &ignored) == 0 &&
	       view_equal(buf_view(&one), buf_view(&other));
}

/* The certificate is here, so both go to their places: first the key, then the certificate. */
static int put_in_place(const struct renewal *renewal, struct diag *diag)
{
	if (belong_together(renewal->waiting_key, renewal->waiting_certificate) && rename(renewal->waiting_key, renewal->key) < 0) {
		diag_system(diag, _("cannot replace %s"), renewal->key);
		return STATUS_FAILED;
	}
	if (belong_together(renewal->key, renewal->waiting_certificate) &&
	    rename(renewal->waiting_certificate, renewal->certificate) < 0) {
		diag_system(diag, _("cannot replace %s"), renewal->certificate);
		return STATUS_FAILED;
	}
	unlink(renewal->waiting_certificate);
	return STATUS_OK;
}

static int find_places(struct renewal *renewal, struct diag *diag)
{
	renewal->certificate = renewal->settings->value[SETTING_cert];
	renewal->key = renewal->settings->value[SETTING_key];
	renewal->in_token = token_url_is(renewal->key);
	renewal->in_one_file = strcmp(renewal->key, renewal->certificate) == 0;
	if (token_url_is(renewal->certificate))
		return diag_set(diag, STATUS_USAGE, _("The certificate is in a token; keep it in a file (--cert) to renew it here"));
	snprintf(renewal->waiting_key, sizeof(renewal->waiting_key), "%s.next", renewal->in_token ? renewal->certificate : renewal->key);
	snprintf(renewal->waiting_certificate, sizeof(renewal->waiting_certificate), "%s.next-certificate", renewal->certificate);
	bool left = !renewal->in_token && !renewal->in_one_file && access(renewal->waiting_certificate, F_OK) == 0;
	return left ? put_in_place(renewal, diag) : STATUS_OK;
}

/* ---- is it time ---- */

static bool is_due(const struct identity_dates *dates, char *out_when, size_t capacity)
{
	int64_t due_s = identity_due_s(dates);
	clock_format((uint64_t)due_s * 1000, out_when, capacity);
	return (int64_t)(clock_wall_ms() / 1000) >= due_s;
}

/* ---- renewing ---- */

static int tell_waiting(struct view key, struct diag *diag)
{
	char code[10];
	int status = est_confirmation(EST_RENEWAL, key, code, diag);
	if (status != STATUS_OK)
		return status;
	return diag_set(diag, STATUS_DEVICE_REFUSED,
			_("The renewal waits for your administrator's approval; tell this confirmation code, and try again later: %s"), code);
}

static int fetch_from(struct renewal *renewal, const struct settings *settings, struct view key, struct buf *out_certificate,
		      struct diag *diag)
{
	const struct tls_client_files files = {
		.authority = settings->value[SETTING_ca], .certificate = renewal->certificate, .key = renewal->key};
	const struct est_request request = {.path = "/.well-known/est/simplereenroll", .key = key};
	OWN_EST struct est est = {.connection = NULL};
	unsigned wait_s = 0;
	int status = est_open(&est, &renewal->loop, settings->host, settings->port, &files, diag);
	if (status == STATUS_OK)
		status = est_certificate(&est, &request, out_certificate, &wait_s, diag);
	return status == STATUS_OK && !out_certificate->size ? tell_waiting(key, diag) : status;
}

static int keep(const struct renewal *renewal, struct view key, struct view certificate, struct diag *diag)
{
	if (renewal->in_token)
		return identity_write(renewal->certificate, view_of(NULL, 0), certificate, diag);
	if (renewal->in_one_file) {
		int status = identity_write(renewal->certificate, key, certificate, diag);
		if (status == STATUS_OK)
			unlink(renewal->waiting_key);
		return status;
	}
	OWN_BUF struct buf pem = BUF_INIT(X509_INPUT_MAX);
	if (x509_der_to_pem(certificate, "CERTIFICATE", &pem) < 0 ||
	    fd_write_file(renewal->waiting_certificate, 0644, 1, buf_view(&pem), diag) < 0)
		return STATUS_FAILED;
	return put_in_place(renewal, diag);
}

/* From the first of the gateways that answers and knows this device. */
static int fetch(struct renewal *renewal, struct view key, struct buf *out_certificate, struct diag *diag)
{
	struct settings one = *renewal->settings;
	int status = STATUS_UNREACHABLE;
	for (size_t i = 0; i < settings_gateway_count(&one) && (status == STATUS_UNREACHABLE || status == STATUS_DEVICE_REFUSED); i++) {
		status = settings_use_gateway(&one, i, diag);
		if (status == STATUS_OK)
			status = fetch_from(renewal, &one, key, out_certificate, diag);
	}
	return status;
}

/* The session belongs to the device and lives on; its file is named by the certificate. */
static bool session_path(const struct settings *settings, const uint8_t *name, char *out_path, size_t capacity)
{
	char authority[272];
	struct diag ignored;
	settings_authority(settings, authority, sizeof(authority));
	return token_path(authority, view_of(name, X509_FINGERPRINT_SIZE), out_path, capacity, &ignored) == STATUS_OK;
}

/* Before the certificate is replaced, so that whoever looks in between finds a session by either name. */
static void copy_session_of(const struct settings *settings, const uint8_t *old_name, const uint8_t *new_name)
{
	char from[4096], to[4096];
	struct diag ignored;
	struct token token = {""};
	if (session_path(settings, old_name, from, sizeof(from)) && session_path(settings, new_name, to, sizeof(to)) &&
	    token_load(from, &token, &ignored) == STATUS_OK)
		(void)!token_store(to, token.text, &ignored);
	token_wipe(&token);
}

static void remove_session_of(const struct settings *settings, const uint8_t *old_name, const uint8_t *new_name)
{
	char path[4096];
	struct diag ignored;
	/* The same certificate again, after an answer that was lost. */
	if (memcmp(old_name, new_name, X509_FINGERPRINT_SIZE) != 0 && session_path(settings, old_name, path, sizeof(path)))
		(void)!token_remove(path, &ignored);
}

typedef void (*session_mover)(const struct settings *settings, const uint8_t *old_name, const uint8_t *new_name);

/* Of each gateway, for each has its own. */
static void move_sessions(const struct settings *settings, const uint8_t *old_name, const uint8_t *new_name, session_mover move)
{
	struct settings one = *settings;
	struct diag ignored;
	for (size_t i = 0; i < settings_gateway_count(settings); i++)
		if (settings_use_gateway(&one, i, &ignored) == STATUS_OK)
			move(&one, old_name, new_name);
}

static int name_of(const char *certificate_path, uint8_t *out_name, struct diag *diag)
{
	OWN_SECRET_BUF struct buf text = BUF_INIT(X509_INPUT_MAX);
	struct x509_facts facts;
	if (fd_read_file(certificate_path, &text, diag) < 0 || x509_facts(buf_view(&text), &facts, diag) < 0)
		return STATUS_USAGE;
	memcpy(out_name, facts.fingerprint, X509_FINGERPRINT_SIZE);
	return STATUS_OK;
}

static int take_key(const struct renewal *renewal, struct buf *out_key, struct diag *diag)
{
	if (!renewal->in_token)
		return identity_waiting_key(renewal->waiting_key, out_key, diag);
	return buf_add_string(out_key, renewal->key) < 0 ? diag_set(diag, STATUS_USAGE, _("the URL of the key is too long")) : STATUS_OK;
}

static int renew(struct renewal *renewal, struct diag *diag)
{
	OWN_SECRET_BUF struct buf key = BUF_INIT(X509_INPUT_MAX);
	OWN_BUF struct buf certificate = BUF_INIT(X509_INPUT_MAX);
	uint8_t old_name[X509_FINGERPRINT_SIZE], new_name[X509_FINGERPRINT_SIZE];
	struct identity_dates dates;
	char until[32];
	int status = name_of(renewal->certificate, old_name, diag);
	if (status == STATUS_OK)
		status = take_key(renewal, &key, diag);
	if (status == STATUS_OK)
		status = fetch(renewal, buf_view(&key), &certificate, diag);
	if (status != STATUS_OK)
		return status;
	x509_fingerprint(buf_view(&certificate), new_name);
	move_sessions(renewal->settings, old_name, new_name, copy_session_of);
	status = keep(renewal, buf_view(&key), buf_view(&certificate), diag);
	if (status == STATUS_OK)
		status = identity_dates(renewal->certificate, &dates, diag);
	if (status != STATUS_OK)
		return status;
	move_sessions(renewal->settings, old_name, new_name, remove_session_of);
	identity_check_clock(&dates);
	clock_format((uint64_t)dates.not_after_s * 1000, until, sizeof(until));
	printf(_("Renewed until %s.\n"), until);
	return say_finished() ? STATUS_OK : diag_set(diag, STATUS_FAILED, _("cannot write to standard output"));
}

int cmd_renew(const struct options *options, struct diag *diag)
{
	static struct renewal renewal;
	struct identity_dates dates;
	char due[32];
	renewal = (struct renewal){.settings = &options->settings};
	int status = find_places(&renewal, diag);
	if (status == STATUS_OK)
		status = identity_dates(renewal.certificate, &dates, diag);
	if (status != STATUS_OK)
		return status;
	if (!is_due(&dates, due, sizeof(due)) && options->if_due) {
		printf(_("Not due before %s.\n"), due);
		return STATUS_OK;
	}
	status = loop_init(&renewal.loop, diag);
	if (status != STATUS_OK)
		return status;
	status = renew(&renewal, diag);
	loop_fini(&renewal.loop);
	return status;
}

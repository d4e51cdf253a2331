/* cmd_enroll.c: `sallyport enroll LINE`: an invitation becomes this device's certificate.
 *
 *   the pin is compared -> the key is made and kept -> the secret is sent, once the gateway is the right one
 *     -> (an administrator compares the confirmation code and approves) -> certificate, authority, profile are written
 *
 * Killed anywhere, the same command with the same line goes on: the key waits in a file, and the gateway gives the same
 * key the same certificate again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "est.h"
#include "identity.h"
#include "invitation.h"
#include "sallyport/clock.h"
#include "sallyport/fd.h"
#include "sallyport/own.h"
#include "sallyport/token_url.h"
#include "sallyport/x509.h"
#include "say.h"

enum { LINE_BYTES_MAX = 8192, WAIT_LEAST_S = 1, WAIT_MOST_S = 60 };

struct enrolment {
	const struct options *options;
	struct invitation invitation;
	struct identity_place place;
	struct loop loop;
	char waiting[3300];      /* the file of the key that waits for its certificate */
	char *gateways;          /* of the profile that is replaced, this one among them; NULL: there is none */
	struct buf key;          /* PEM, or a PKCS#11 URL */
	bool in_token;
	struct buf certificate;  /* DER */
	char code[10];           /* both ends show the same */
};

/* The command line of a process is public: the secret stays there no longer than it takes to read it. */
static int take_argument(char *argument, struct buf *out_line, struct diag *diag)
{
	int result = buf_add_string(out_line, argument);
	wipe(argument, strlen(argument));
	return result < 0 ? diag_set(diag, STATUS_USAGE, _("The invitation is too long")) : STATUS_OK;
}

static int read_line(char *argument, struct buf *out_line, struct diag *diag)
{
	if (strcmp(argument, "-") != 0)
		return take_argument(argument, out_line, diag);
	for (;;) {
		uint8_t *place = buf_reserve(out_line, 1024);
		ssize_t count = place ? read(STDIN_FILENO, place, 1024) : -1;
		if (count < 0)
			return diag_set(diag, STATUS_USAGE, _("Standard input cannot be read, or is longer than an invitation"));
		if (count == 0)
			return STATUS_OK;
		buf_grown(out_line, (size_t)count);
	}
}

static int take_invitation(struct enrolment *enrolment, struct diag *diag)
{
	char when[32];
	OWN_SECRET_BUF struct buf line = BUF_INIT(LINE_BYTES_MAX);
	int status = read_line((char *)(uintptr_t)enrolment->options->argument, &line, diag);
	if (status == STATUS_OK)
		status = invitation_parse(buf_view(&line), &enrolment->invitation, diag);
	if (status != STATUS_OK)
		return status;
	if ((int64_t)(clock_wall_ms() / 1000) < enrolment->invitation.until_s)
		return STATUS_OK;
	clock_format((uint64_t)enrolment->invitation.until_s * 1000, when, sizeof(when));
	return diag_set(diag, STATUS_DEVICE_REFUSED, _("This invitation was good until %s; ask your administrator for a new one (or "
						     "set this device's clock)"), when);
}

/* ---- what is there already ---- */

static void spell_gateway(const struct invitation *invitation, char *out_url, size_t capacity)
{
	bool six = strchr(invitation->gateway.host, ':');
	snprintf(out_url, capacity, "https://%s%s%s:%u", six ? "[" : "", invitation->gateway.host, six ? "]" : "",
		 invitation->gateway.port);
}

static bool has_gateway(const struct settings *settings, const struct invitation *invitation)
{
	struct settings one = *settings;
	struct diag ignored;
	for (size_t i = 0; settings->value[SETTING_gateway] && i < settings_gateway_count(settings); i++)
		if (settings_use_gateway(&one, i, &ignored) == STATUS_OK && strcmp(one.host, invitation->gateway.host) == 0 &&
		    one.port == invitation->gateway.port)
			return true;
	return false;
}

/* A profile for the same gateway may be replaced: that is what a new invitation is for. Its other gateways stay in it. */
static int check_profile(struct enrolment *enrolment, struct diag *diag)
{
	struct settings settings = {.profile = enrolment->options->settings.profile};
	char url[300];
	if (access(enrolment->place.profile, F_OK) < 0)
		return STATUS_OK;
	spell_gateway(&enrolment->invitation, url, sizeof(url));
	int status = settings_complete(&settings, diag);
	const char *known = settings.value[SETTING_gateway];
	if (status == STATUS_OK && has_gateway(&settings, &enrolment->invitation))
		enrolment->gateways = strdup(known);
	else if (status == STATUS_OK)
		status = diag_set(diag, STATUS_USAGE, _("This device is set up for %s already, and the invitation is for %s; to leave the "
						      "old one, move %s away"), known ? known : _("another gateway"), url,
				  enrolment->place.profile);
	settings_fini(&settings);
	return status;
}

/* ---- the key ---- */

static int take_key(struct enrolment *enrolment, struct diag *diag)
{
	const char *place = enrolment->options->settings.value[SETTING_key];
	enrolment->in_token = place != NULL;
	if (!place) {
		snprintf(enrolment->waiting, sizeof(enrolment->waiting), "%s/enroll-%s.key", enrolment->place.folder,
			 enrolment->invitation.id);
		return identity_waiting_key(enrolment->waiting, &enrolment->key, diag);
	}
	if (!token_url_is(place))
		return diag_set(diag, STATUS_USAGE, _("--key %s: only a key in a token is named here (pkcs11:...); else one is made"), place);
	if (buf_add_string(&enrolment->key, place) < 0)
		return diag_set(diag, STATUS_USAGE, _("the URL of the key is too long"));
	return x509_token_key_ensure(place, diag) < 0 ? STATUS_USAGE : STATUS_OK;
}

/* ---- asking ---- */

/* The first connection believes nobody and sends nothing: what it fetches is compared with the pin. */
static int fetch_authority(struct enrolment *enrolment, struct diag *diag)
{
	const struct invitation *invitation = &enrolment->invitation;
	const struct tls_client_files anybody = {.unverified = true};
	OWN_BUF struct buf der = BUF_INIT(X509_INPUT_MAX);
	OWN_EST struct est est = {.connection = NULL};
	int status = est_open(&est, &enrolment->loop, invitation->enrolment.host, invitation->enrolment.port, &anybody, diag);
	if (status == STATUS_OK)
		status = est_authority(&est, invitation->pin, &der, diag);
	if (status != STATUS_OK)
		return status;
	OWN_BUF struct buf pem = BUF_INIT(X509_INPUT_MAX);
	if (x509_der_to_pem(buf_view(&der), "CERTIFICATE", &pem) < 0 ||
	    fd_write_file(enrolment->place.authority, 0644, 1, buf_view(&pem), diag) < 0)
		return STATUS_FAILED;
	return STATUS_OK;
}

static int make_authorization(const struct invitation *invitation, struct buf *out_header, struct diag *diag)
{
	OWN_SECRET_BUF struct buf plain = BUF_INIT(256);
	OWN_SECRET_BUF struct buf base64 = BUF_INIT(512);
	if (buf_add_format(&plain, "%s:%s", invitation->id, invitation->secret) < 0 ||
	    x509_to_base64(buf_view(&plain), &base64) < 0 || buf_add_string(out_header, "Basic ") < 0)
		return diag_set(diag, STATUS_FAILED, _("memory is out"));
	for (size_t i = 0; i < base64.size; i++)
		if (base64.data[i] != '\n' && buf_add(out_header, view_of(base64.data + i, 1)) < 0)
			return diag_set(diag, STATUS_FAILED, _("memory is out"));
	return buf_add(out_header, view_of("", 1)) < 0 ? diag_set(diag, STATUS_FAILED, _("memory is out")) : STATUS_OK;
}

/* A connection for each question: the gateway keeps none open for a device that it does not know. */
static int ask_once(struct enrolment *enrolment, const char *authorization, unsigned *out_wait_s, struct diag *diag)
{
	const struct invitation *invitation = &enrolment->invitation;
	const struct tls_client_files files = {.authority = invitation->has_pin ? enrolment->place.authority : NULL};
	const struct est_request request = {.path = "/.well-known/est/simpleenroll",
					    .authorization = authorization,
					    .key = buf_view(&enrolment->key)};
	OWN_EST struct est est = {.connection = NULL};
	int status = est_open(&est, &enrolment->loop, invitation->enrolment.host, invitation->enrolment.port, &files, diag);
	return status == STATUS_OK ? est_certificate(&est, &request, &enrolment->certificate, out_wait_s, diag) : status;
}

static int ask(struct enrolment *enrolment, struct diag *diag)
{
	OWN_SECRET_BUF struct buf authorization = BUF_INIT(1024);
	unsigned wait_s = 0;
	bool told = false;
	int status = make_authorization(&enrolment->invitation, &authorization, diag);
	while (status == STATUS_OK) {
		status = ask_once(enrolment, (const char *)authorization.data, &wait_s, diag);
		if (status != STATUS_OK || enrolment->certificate.size)
			break;
		if (!told)
			puts(_("Waiting until your administrator approves it (compare the code with him)."));
		told = true;
		fflush(stdout);
		wait_s = wait_s < WAIT_LEAST_S ? WAIT_LEAST_S : wait_s > WAIT_MOST_S ? WAIT_MOST_S : wait_s;
		status = loop_pause(&enrolment->loop, wait_s * 1000ULL);
	}
	return status;
}

/* ---- keeping ---- */

static int write_profile(const struct enrolment *enrolment, struct diag *diag)
{
	char url[300];
	const struct identity_place *place = &enrolment->place;
	const char *user = enrolment->options->settings.value[SETTING_user];
	OWN_BUF struct buf text = BUF_INIT(LINE_BYTES_MAX);
	spell_gateway(&enrolment->invitation, url, sizeof(url));
	int result = buf_add_format(&text, "# Written by: sallyport enroll\ngateway = %s\ncert = %s\nkey = %.*s\n",
				    enrolment->gateways ? enrolment->gateways : url, place->device,
				    enrolment->in_token ? (int)enrolment->key.size : (int)strlen(place->device),
				    enrolment->in_token ? (const char *)enrolment->key.data : place->device);
	if (result == 0 && enrolment->invitation.has_pin)
		result = buf_add_format(&text, "ca = %s\n", place->authority);
	if (result == 0 && user)
		result = buf_add_format(&text, "user = %s\n", user);
	if (result < 0)
		return diag_set(diag, STATUS_FAILED, _("memory is out"));
	return fd_write_file(place->profile, 0600, 1, buf_view(&text), diag) < 0 ? STATUS_FAILED : STATUS_OK;
}

static int keep(const struct enrolment *enrolment, struct diag *diag)
{
	struct identity_dates dates;
	char until[32];
	struct view key = enrolment->in_token ? view_of(NULL, 0) : buf_view(&enrolment->key);
	int status = identity_write(enrolment->place.device, key, buf_view(&enrolment->certificate), diag);
	if (status == STATUS_OK)
		status = write_profile(enrolment, diag);
	if (status == STATUS_OK)
		status = identity_dates(enrolment->place.device, &dates, diag);
	if (status != STATUS_OK)
		return status;
	if (*enrolment->waiting)
		unlink(enrolment->waiting);
	identity_check_clock(&dates);
	clock_format((uint64_t)dates.not_after_s * 1000, until, sizeof(until));
	say_clean(dates.name, SAY_KEEP_END);
	/* What is kept there is the host's own (host invite), not a person's. */
	bool is_host = strncmp(enrolment->place.profile, "/etc/", 5) == 0;
	printf(_("This device is enrolled as %s, until %s (it renews itself before).\nNext: %s\n"), dates.name, until,
	       is_host ? _("pam_sallyport in the PAM stacks of this host, see pam_sallyport(8)") : "sallyport login");
	return say_finished() ? STATUS_OK : diag_set(diag, STATUS_FAILED, _("cannot write to standard output"));
}

static int enroll(struct enrolment *enrolment, struct diag *diag)
{
	int status = take_invitation(enrolment, diag);
	if (status == STATUS_OK)
		status = identity_place(enrolment->options->settings.profile, &enrolment->place, diag);
	if (status == STATUS_OK)
		status = check_profile(enrolment, diag);
	if (status == STATUS_OK && enrolment->invitation.has_pin)
		status = fetch_authority(enrolment, diag);
	if (status == STATUS_OK)
		status = take_key(enrolment, diag);
	if (status == STATUS_OK)
		status = est_confirmation(enrolment->invitation.id, buf_view(&enrolment->key), enrolment->code, diag);
	if (status != STATUS_OK)
		return status;
	printf(_("Confirmation code of this device: %s\n"), enrolment->code);
	fflush(stdout);
	status = ask(enrolment, diag);
	return status == STATUS_OK ? keep(enrolment, diag) : status;
}

int cmd_enroll(const struct options *options, struct diag *diag)
{
	static struct enrolment enrolment;
	enrolment = (struct enrolment){.options = options, .key = BUF_INIT(X509_INPUT_MAX), .certificate = BUF_INIT(X509_INPUT_MAX)};
	int status = loop_init(&enrolment.loop, diag);
	if (status != STATUS_OK)
		return status;
	status = enroll(&enrolment, diag);
	loop_fini(&enrolment.loop);
	invitation_wipe(&enrolment.invitation);
	buf_wipe(&enrolment.key);
	buf_fini(&enrolment.certificate);
	free(enrolment.gateways);
	return status;
}

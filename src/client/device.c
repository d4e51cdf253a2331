/* device.c: this device's own certificate and key. What they prove is src/net's and the gateway's matter. */
#include "device.h"

#include <string.h>
#include <sys/stat.h>

#include "sallyport/clock.h"
#include "sallyport/fd.h"
#include "sallyport/str.h"
#include "sallyport/token_url.h"
#include "sallyport/x509.h"
#include "say.h"

static int check_dates(const char *path, const struct x509_facts *facts, struct diag *diag)
{
	int64_t now_s = (int64_t)(clock_wall_ms() / 1000);
	char when[32];
	/* The gateway decides: within its renew_grace the certificate may still be renewed after a login. */
	if (now_s > facts->not_after_s) {
		clock_format((uint64_t)facts->not_after_s * 1000, when, sizeof(when));
		say(_("The certificate of this device (%s, \"%s\") expired at %s (this device's clock says it is over)"), path,
		    facts->name, when);
	}
	if (now_s < facts->not_before_s) {
		clock_format((uint64_t)facts->not_before_s * 1000, when, sizeof(when));
		return diag_set(diag, STATUS_DEVICE_REFUSED,
				_("The certificate of this device (%s, \"%s\") is valid only from %s on; check this device's clock"),
				path, facts->name, when);
	}
	return STATUS_OK;
}

static int look_at_certificate(const char *place, struct device *device, struct diag *diag)
{
	if (token_url_is(place)) {
		x509_fingerprint(view_string(place), device->name);
		return STATUS_OK;
	}
	OWN_BUF struct buf bytes = BUF_INIT(X509_INPUT_MAX);
	struct x509_facts facts;
	if (fd_read_file(place, &bytes, diag) < 0)
		return STATUS_USAGE;
	if (x509_facts(buf_view(&bytes), &facts, NULL) < 0)
		return diag_set(diag, STATUS_USAGE, _("%s does not hold a certificate in PEM form (--cert)"), place);
	memcpy(device->name, facts.fingerprint, sizeof(device->name));
	device->not_before_s = facts.not_before_s;
	device->not_after_s = facts.not_after_s;
	return check_dates(place, &facts, diag);
}

static int look_at_key(const char *place, struct diag *diag)
{
	struct stat file;
	if (token_url_is(place))
		return STATUS_OK;
	if (stat(place, &file) < 0) {
		diag_system(diag, _("cannot open %s"), place);
		return STATUS_USAGE;
	}
	if (S_ISREG(file.st_mode) && file.st_mode & 077)
		return diag_set(diag, STATUS_USAGE, _("The private key %s is open to others; run: chmod 600 %s"), place, place);
	return STATUS_OK;
}

int device_identify(const struct settings *settings, struct device *out_device, struct diag *diag)
{
	*out_device = (struct device){0};
	int status = look_at_certificate(settings->value[SETTING_cert], out_device, diag);
	return status == STATUS_OK ? look_at_key(settings->value[SETTING_key], diag) : status;
}

int device_load(const struct settings *settings, struct device *out_device, struct diag *diag)
{
	const struct tls_client_files files = {
		.authority = settings->value[SETTING_ca],
		.certificate = settings->value[SETTING_cert],
		.key = settings->value[SETTING_key],
	};
	int status = device_identify(settings, out_device, diag);
	if (status == STATUS_OK && tls_credentials_client(&files, &out_device->credentials, diag) < 0)
		status = STATUS_USAGE;
	return status;
}

void device_fini(struct device *device)
{
	tls_credentials_free(device->credentials);
	device->credentials = NULL;
}

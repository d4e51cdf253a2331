/* identity.c: this device's certificate and key as files. */
#include "identity.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "profile.h"
#include "sallyport/clock.h"
#include "sallyport/fd.h"
#include "sallyport/own.h"
#include "sallyport/str.h"
#include "sallyport/x509.h"
#include "say.h"

enum { KEY_BYTES_MAX = 65536, JITTER_PART = 20, OVERDUE_PART = 6, OVERDUE_S = 7 * 86400 };
/* By so much a gateway backdates what it issues. */
enum { BACKDATED_S = 300 };

static int make_folder(const char *path, struct diag *diag)
{
	if (mkdir(path, 0700) == 0 || errno == EEXIST)
		return STATUS_OK;
	diag_system(diag, _("cannot make %s"), path);
	return STATUS_FAILED;
}

/* Every folder on the way, as `mkdir -p` does; those that are missing are private. */
static int make_folders(const char *path, struct diag *diag)
{
	char part[3100];
	int status = STATUS_OK;
	for (size_t i = 1; status == STATUS_OK && path[i]; i++)
		if (path[i] == '/' && str_copy(part, sizeof(part), path)) {
			part[i] = 0;
			status = make_folder(part, diag);
		}
	return status == STATUS_OK ? make_folder(path, diag) : status;
}

int identity_place(const char *name, struct identity_place *out_place, struct diag *diag)
{
	char profile[3000];
	if (!profile_path(name, profile, sizeof(profile)))
		return diag_set(diag, STATUS_FAILED, _("There is no place for keys: neither XDG_CONFIG_HOME nor HOME is set"));
	str_copy(out_place->profile, sizeof(out_place->profile), profile);
	*strrchr(profile, '/') = 0;
	if (!str_copy(out_place->folder, sizeof(out_place->folder), profile))
		return diag_set(diag, STATUS_FAILED, _("The path %s is too long"), profile);
	bool fits = (size_t)snprintf(out_place->device, sizeof(out_place->device), "%s/%s.pem", out_place->folder,
				     name ? name : "device") < sizeof(out_place->device) &&
		    (size_t)snprintf(out_place->authority, sizeof(out_place->authority), "%s/%s-ca.crt", out_place->folder,
				     name ? name : "gateway") < sizeof(out_place->authority);
	if (!fits)
		return diag_set(diag, STATUS_FAILED, _("The path %s is too long"), out_place->folder);
	return make_folders(out_place->folder, diag);
}

int identity_waiting_key(const char *path, struct buf *out_key, struct diag *diag)
{
	struct diag ignored;
	OWN_BUF struct buf public_key = BUF_INIT(KEY_BYTES_MAX);
	if (access(path, F_OK) == 0 && fd_read_file(path, out_key, &ignored) == 0 &&
	    x509_key_public(buf_view(out_key), &public_key, &ignored) == 0)
		return STATUS_OK;
	buf_reset(out_key);
	if (x509_key_make(out_key, diag) < 0 || fd_write_file(path, 0600, 1, buf_view(out_key), diag) < 0)
		return STATUS_FAILED;
	return STATUS_OK;
}

int identity_write(const char *path, struct view key_pem, struct view certificate_der, struct diag *diag)
{
	OWN_SECRET_BUF struct buf text = BUF_INIT(2 * KEY_BYTES_MAX);
	if (buf_add(&text, key_pem) < 0 || x509_der_to_pem(certificate_der, "CERTIFICATE", &text) < 0)
		return diag_set(diag, STATUS_FAILED, _("memory is out"));
	return fd_write_file(path, 0600, 1, buf_view(&text), diag) < 0 ? STATUS_FAILED : STATUS_OK;
}

int64_t identity_due_s(const struct identity_dates *dates)
{
	int64_t life_s = dates->not_after_s - dates->not_before_s;
	return dates->not_before_s + life_s / 3 * 2 + (int64_t)((uint64_t)(life_s / JITTER_PART) * dates->seed >> 32);
}

bool identity_is_overdue(const struct identity_dates *dates, int64_t now_s)
{
	int64_t part_s = (dates->not_after_s - dates->not_before_s) / OVERDUE_PART;
	return dates->not_after_s - now_s <= (part_s < OVERDUE_S ? part_s : OVERDUE_S);
}

void identity_check_clock(const struct identity_dates *dates)
{
	int64_t now_s = (int64_t)(clock_wall_ms() / 1000);
	char now[32], made[32];
	if (now_s >= dates->not_before_s && now_s < dates->not_after_s)
		return;
	clock_format((uint64_t)now_s * 1000, now, sizeof(now));
	clock_format((uint64_t)(dates->not_before_s + BACKDATED_S) * 1000, made, sizeof(made));
	say(_("This device's clock says %s, and the gateway's said about %s when it made this certificate: set this device's clock"), now,
	    made);
}

int identity_dates(const char *path, struct identity_dates *out_dates, struct diag *diag)
{
	OWN_SECRET_BUF struct buf text = BUF_INIT(2 * KEY_BYTES_MAX);
	OWN_BUF struct buf der = BUF_INIT(KEY_BYTES_MAX);
	struct x509_facts facts;
	if (fd_read_file(path, &text, diag) < 0)
		return STATUS_USAGE;
	if (x509_pem_to_der(buf_view(&text), "CERTIFICATE", &der) < 0 || x509_facts(buf_view(&der), &facts, diag) < 0)
		return diag_set(diag, STATUS_USAGE, _("%s does not hold a certificate in PEM form"), path);
	*out_dates = (struct identity_dates){.not_before_s = facts.not_before_s, .not_after_s = facts.not_after_s};
	memcpy(&out_dates->seed, facts.fingerprint, sizeof(out_dates->seed));
	str_copy(out_dates->name, sizeof(out_dates->name), facts.name);
	return STATUS_OK;
}

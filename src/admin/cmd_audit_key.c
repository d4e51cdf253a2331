/* cmd_audit_key.c: sallyport-admin audit key: makes the record's key where there is none, and shows its public half. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "admin.h"
#include "audit_key.h"
#include "sallyport/fd.h"
#include "sallyport/own.h"
#include "sallyport/x509.h"

enum { KEY_BYTES_MAX = 65536 };

/* The public half may have been lost: it comes from the private one. */
static int save_public(struct view key, const char *public_path, struct diag *diag)
{
	OWN_BUF struct buf der = BUF_INIT(KEY_BYTES_MAX);
	OWN_BUF struct buf pem = BUF_INIT(KEY_BYTES_MAX);
	int result = x509_key_public(key, &der, diag);
	if (result < 0)
		return result;
	if (x509_der_to_pem(buf_view(&der), "PUBLIC KEY", &pem) < 0)
		return diag_set(diag, ERR_BUG, "a public key cannot be written as PEM");
	return fd_write_file(public_path, 0644, 0, buf_view(&pem), diag);
}

int audit_key_make(const char *key_path, const char *public_path, struct diag *diag)
{
	OWN_SECRET_BUF struct buf key = BUF_INIT(KEY_BYTES_MAX);
	int result = x509_key_make(&key, diag);
	if (result == 0)
		result = fd_write_file(key_path, 0600, 0, buf_view(&key), diag);
	return result < 0 ? result : save_public(buf_view(&key), public_path, diag);
}

static bool is_missing(const char *path)
{
	return access(path, F_OK) < 0 && errno == ENOENT;
}

static int make_what_is_missing(const char *key_path, const char *public_path, bool *out_made, struct diag *diag)
{
	OWN_SECRET_BUF struct buf key = BUF_INIT(KEY_BYTES_MAX);
	*out_made = is_missing(key_path);
	if (!is_missing(public_path) && *out_made)
		return diag_set(diag, ERR_DENIED, "%s is there and %s is not: put the key back, or move the public half away for a new one",
				public_path, key_path);
	if (*out_made)
		return audit_key_make(key_path, public_path, diag);
	if (!is_missing(public_path))
		return 0;
	int result = fd_read_file(key_path, &key, diag);
	return result < 0 ? result : save_public(buf_view(&key), public_path, diag);
}

int cmd_audit_key(const struct admin_options *options)
{
	char key_path[4096], public_path[4096];
	const char *folder = options->directory ? options->directory : "/etc/sallyport";
	OWN_BUF struct buf pem = BUF_INIT(KEY_BYTES_MAX);
	struct diag diag;
	bool made = false;
	if ((size_t)snprintf(key_path, sizeof(key_path), "%s/audit.key", folder) >= sizeof(key_path) ||
	    (size_t)snprintf(public_path, sizeof(public_path), "%s/audit.pub", folder) >= sizeof(public_path))
		return admin_say(ADMIN_USAGE, "--dir is too long");
	int result = make_what_is_missing(key_path, public_path, &made, &diag);
	if (result == 0)
		result = fd_read_file(public_path, &pem, &diag);
	if (result < 0)
		return admin_say(ADMIN_FAILED, "%s", diag.text);
	fwrite(pem.data, 1, pem.size, stdout);
	if (made)
		fprintf(stderr, "sallyport-admin: made %s; it signs after: sallyport-admin reload. Keep a copy of the public half elsewhere.\n",
			key_path);
	return ADMIN_DONE;
}

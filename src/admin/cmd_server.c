/* cmd_server.c: sallyport-admin server ... and reload: the certificate that the gateway shows, and reading files again. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "authority.h"
#include "sallyport/clock.h"
#include "sallyport/fd.h"
#include "sallyport/own.h"

enum { DAY_S = 86400, SERVER_DAYS = 397, BACKDATED_S = 300 };

static const char *const pairs[] = {"name", "name", "issuer", "issuer", "key", "key_kind", "from", "from", "until", "until",
				    "due for renewal", "due", "fingerprint", "fingerprint", "file", "file", NULL};

static bool is_due(const struct x509_facts *facts)
{
	return (int64_t)time(NULL) >= facts->not_before_s + (facts->not_after_s - facts->not_before_s) / 3 * 2;
}

static int read_facts(const struct authority_files *files, struct x509_facts *out_facts, char *out_fingerprint,
		      struct diag *diag)
{
	OWN_BUNDLE struct authority_bundle chain = {.count = 0};
	int result = authority_bundle_read(files->server_certificate, &chain, diag);
	if (result == 0)
		result = x509_facts(buf_view(&chain.list[0]), out_facts, diag);
	if (result == 0)
		authority_fingerprint(buf_view(&chain.list[0]), out_fingerprint);
	return result;
}

int cmd_server_show(const struct admin_options *options)
{
	OWN_FILES struct authority_files files;
	struct x509_facts facts;
	char fingerprint[65], from[32], until[32];
	struct diag diag;
	int status = authority_files(options, &files);
	if (status != ADMIN_DONE)
		return status;
	if (read_facts(&files, &facts, fingerprint, &diag) < 0)
		return admin_say(ADMIN_FAILED, "%s", diag.text);
	clock_format((uint64_t)facts.not_before_s * 1000, from, sizeof(from));
	clock_format((uint64_t)facts.not_after_s * 1000, until, sizeof(until));
	json_t *json = json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:s, s:s}", "name", files.name, "issuer", facts.issuer, "key_kind",
				 facts.key_kind, "from", from, "until", until, "due", is_due(&facts), "fingerprint", fingerprint,
				 "file", files.server_certificate);
	if (options->json)
		status = table_print_json(json);
	else
		table_print_object(json, pairs);
	json_decref(json);
	return status;
}

/* The same key: what changes is the certificate alone, so a gateway that starts in between finds a pair. */
static int issue(const struct authority_files *files, struct buf *out_der, struct diag *diag)
{
	OWN_SECRET_BUF struct buf authority_key = BUF_INIT(X509_INPUT_MAX);
	OWN_BUF struct buf authority = BUF_INIT(X509_INPUT_MAX);
	OWN_BUF struct buf leaf = BUF_INIT(X509_INPUT_MAX);
	OWN_BUF struct buf public_key = BUF_INIT(8192);
	int64_t now = (int64_t)time(NULL);
	int result = fd_read_file(files->server_authority_key, &authority_key, diag);
	if (result == 0)
		result = fd_read_file(files->server_authority, &authority, diag);
	if (result == 0)
		result = fd_read_file(files->server_certificate, &leaf, diag);
	if (result == 0)
		result = x509_certificate_public_key(buf_view(&leaf), &public_key, diag);
	const struct x509_order order = {.purpose = X509_SERVER, .name = files->name, .public_key = buf_view(&public_key),
					 .not_before_s = now - BACKDATED_S, .not_after_s = now + (int64_t)SERVER_DAYS * DAY_S,
					 .issuer_certificate = buf_view(&authority), .issuer_key_pem = buf_view(&authority_key)};
	return result < 0 ? result : x509_issue(&order, out_der, diag);
}

static int renew(const struct admin_options *options, const struct authority_files *files)
{
	OWN_BUNDLE struct authority_bundle chain = {.count = 0};
	OWN_BUNDLE struct authority_bundle former = {.count = 0};
	OWN_BUF struct buf der = BUF_INIT(X509_INPUT_MAX);
	struct diag diag;
	int result = authority_bundle_read(files->server_certificate, &former, &diag);
	if (result == 0)
		result = issue(files, &der, &diag);
	if (result == 0)
		result = authority_bundle_add(&chain, buf_view(&der), &diag);
	if (result == 0)
		result = authority_bundle_write(files->server_certificate, &chain, &diag);
	if (result < 0)
		return admin_say(ADMIN_FAILED, "%s", diag.text);
	int status = authority_reload(options);
	if (status != ADMIN_DONE && authority_bundle_write(files->server_certificate, &former, &diag) < 0)
		return admin_say(ADMIN_FAILED, "%s", diag.text);
	return status;
}

int cmd_server_renew(const struct admin_options *options)
{
	OWN_FILES struct authority_files files;
	struct x509_facts facts;
	char fingerprint[65];
	struct diag diag;
	int status = authority_files(options, &files);
	if (status != ADMIN_DONE)
		return status;
	if (read_facts(&files, &facts, fingerprint, &diag) < 0)
		return admin_say(ADMIN_FAILED, "%s", diag.text);
	if (options->if_due && !is_due(&facts)) {
		puts("not due yet");
		return ADMIN_DONE;
	}
	if (!*files.server_authority_key || !*files.server_authority)
		return admin_say(ADMIN_FAILED, "the gateway's certificate comes from elsewhere (no server_authority_key): put the new "
					       "one into %s, then: sallyport-admin reload", files.server_certificate);
	return renew(options, &files);
}

int cmd_reload(const struct admin_options *options)
{
	return authority_reload(options);
}

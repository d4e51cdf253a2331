/* cmd_ca.c: sallyport-admin ca ...: who vouches for devices: the own authority, its successors, others that are trusted.
 *
 * device_authority holds certificates one behind the other. The own one is the one whose key is device_authority_key: it
 * signs. The others only count: retired ones until their last certificate is gone, and those of an enterprise. Every change
 * is written whole, then the gateway reads its files again; what it refuses is put back. A key in a file is replaced with its
 * certificate; one in a token (--key URL) stays where it is: its certificate is trusted at once, and signs when the
 * configuration names the key.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "authority.h"
#include "sallyport/clock.h"
#include "sallyport/fd.h"
#include "sallyport/own.h"
#include "sallyport/token_url.h"
#include "token.h"

enum { DAY_S = 86400, AUTHORITY_DAYS = 3650, BACKDATED_S = 300 };

DEFINE_OWN(json, json_t *, json_decref)
#define OWN_JSON OWN(own_json)

static const char *const columns[] = {"ROLE", "role", "NAME", "name", "UNTIL", "until", "CERTIFICATES", "certificates",
				      "REVOCATIONS", "revocations", "FINGERPRINT", "fingerprint", NULL};

/* ---- show ---- */

/* How many active certificates an authority has issued: as ours ("authorities"), or as another one whose devices were adopted. */
static long count_certificates(const json_t *devices, const char *kind, const char *authority)
{
	return (long)json_integer_value(json_object_get(json_object_get(devices, kind), authority));
}

/* How its list of revoked certificates stands: NULL where no section of the configuration is about it. */
static const json_t *find_list(const json_t *lists, const char *authority)
{
	size_t index;
	const json_t *list;
	json_array_foreach(json_object_get(lists, "authorities"), index, list) {
		const char *fingerprint = json_string_value(json_object_get(list, "authority"));
		if (fingerprint && strcmp(fingerprint, authority) == 0)
			return list;
	}
	return NULL;
}

static const char *text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));
	return text ? text : "-";
}

static json_t *describe_list(const json_t *list)
{
	const char *trouble = text_of(list, "trouble");
	if (!list)
		return json_string("-");
	const char *silent = text_of(list, "ocsp_trouble");
	return json_sprintf("%s, %lld, next due %s%s%s%s%s", text_of(list, "state"),
			    (long long)json_integer_value(json_object_get(list, "revoked")), text_of(list, "due"), *trouble ? ": " : "",
			    trouble, *silent ? "; ocsp: " : "", silent);
}

static json_t *describe(struct view der, const struct authority_files *files, const json_t *devices, const json_t *lists)
{
	struct x509_facts facts;
	struct diag ignored;
	char fingerprint[65], until[32];
	if (x509_facts(der, &facts, &ignored) < 0)
		return NULL;
	authority_fingerprint(der, fingerprint);
	clock_format((uint64_t)facts.not_after_s * 1000, until, sizeof(until));
	long count = count_certificates(devices, "authorities", fingerprint);
	const char *role = authority_is_own(files, der) ? "own" : count ? "retired" : "trusted";
	count += count_certificates(devices, "adopted", fingerprint);
	return json_pack("{s:s, s:s, s:s, s:I, s:o, s:s}", "role", role, "name", facts.name, "until", until, "certificates",
			 (json_int_t)count, "revocations", describe_list(find_list(lists, fingerprint)), "fingerprint", fingerprint);
}

/* The files, when it can be told which authority is ours. */
static int find_files(const struct admin_options *options, struct authority_files *out_files)
{
	int status = authority_files(options, out_files);
	if (status == ADMIN_DONE && !*out_files->own)
		return admin_say(ADMIN_FAILED, "the gateway's signer does not answer, so nobody can tell which authority signs; try again "
					       "in a moment");
	return status;
}

int cmd_ca_show(const struct admin_options *options)
{
	OWN_FILES struct authority_files files;
	OWN_BUNDLE struct authority_bundle bundle = {.count = 0};
	OWN_JSON json_t *devices = NULL;
	OWN_JSON json_t *lists = NULL;
	struct diag diag;
	int status = find_files(options, &files);
	if (status == ADMIN_DONE)
		status = call(options, "GET", "/v1/certificates", NULL, &devices);
	if (status == ADMIN_DONE)
		status = call(options, "GET", "/v1/authorities", NULL, &lists);
	if (status != ADMIN_DONE)
		return status;
	if (authority_bundle_read(files.device_authority, &bundle, &diag) < 0)
		return admin_say(ADMIN_FAILED, "%s", diag.text);
	OWN_JSON json_t *list = json_array();
	for (unsigned i = 0; i < bundle.count; i++)
		json_array_append_new(list, describe(buf_view(&bundle.list[i]), &files, devices, lists));
	if (options->json)
		return table_print_json(list);
	table_print(list, columns);
	return ADMIN_DONE;
}

/* ---- changing: whole, or not at all ---- */

struct change {
	const struct admin_options *options;
	struct authority_files files;
	struct authority_bundle bundle;
	char waiting_key[4200]; /* a new key, until it is in force */
	char kept_key[4200];    /* the old one, until the new one is */
	bool kept, replaced;
};

static int change_begin(struct change *change, const struct admin_options *options)
{
	struct diag diag;
	*change = (struct change){.options = options};
	int status = find_files(options, &change->files);
	if (status != ADMIN_DONE)
		return status;
	snprintf(change->waiting_key, sizeof(change->waiting_key), "%s.next", change->files.device_authority_key);
	snprintf(change->kept_key, sizeof(change->kept_key), "%s.former", change->files.device_authority_key);
	if (authority_bundle_read(change->files.device_authority, &change->bundle, &diag) < 0)
		return admin_say(ADMIN_FAILED, "%s", diag.text);
	return ADMIN_DONE;
}

static void change_fini(struct change *change)
{
	authority_files_fini(&change->files);
	authority_bundle_fini(&change->bundle);
}

/* There is a key at every moment, and the former one until the new one signs. */
static bool replace_key(struct change *change)
{
	unlink(change->kept_key);
	change->kept = link(change->files.device_authority_key, change->kept_key) == 0;
	change->replaced = change->kept && rename(change->waiting_key, change->files.device_authority_key) == 0;
	return change->replaced;
}

/* The certificates first: a gateway that starts in between finds the key that it has among them. */
static int put_files(struct change *change, const struct authority_bundle *bundle, bool with_key)
{
	struct diag diag;
	if (authority_bundle_write(change->files.device_authority, bundle, &diag) < 0)
		return admin_say(ADMIN_FAILED, "%s", diag.text);
	if (with_key && !replace_key(change))
		return admin_say(ADMIN_FAILED, "%s cannot be replaced: %m", change->files.device_authority_key);
	return ADMIN_DONE;
}

static int put_back(const struct change *change, int status)
{
	struct diag diag;
	if (change->replaced && (rename(change->files.device_authority_key, change->waiting_key) < 0 ||
				 rename(change->kept_key, change->files.device_authority_key) < 0))
		return admin_say(ADMIN_FAILED, "the former key is in %s: move it back", change->kept_key);
	if (change->kept && !change->replaced)
		unlink(change->kept_key);
	if (authority_bundle_write(change->files.device_authority, &change->bundle, &diag) < 0)
		return admin_say(ADMIN_FAILED, "%s", diag.text);
	return status;
}

static int put_in_force(struct change *change, const struct authority_bundle *bundle, bool with_key)
{
	int status = put_files(change, bundle, with_key);
	if (status == ADMIN_DONE)
		status = authority_reload(change->options);
	if (status != ADMIN_DONE)
		return put_back(change, status);
	if (with_key)
		unlink(change->kept_key);
	return status;
}

/* `first` in front of those that are there. */
static int with_first(const struct change *change, struct view first, struct authority_bundle *out_bundle, struct diag *diag)
{
	int result = authority_bundle_add(out_bundle, first, diag);
	for (unsigned i = 0; result == 0 && i < change->bundle.count; i++)
		result = authority_bundle_add(out_bundle, buf_view(&change->bundle.list[i]), diag);
	return result;
}

static int make_key(const char *path, struct buf *out_key, struct buf *out_public, struct diag *diag)
{
	int result = x509_key_make(out_key, diag);
	if (result == 0)
		result = x509_key_public(buf_view(out_key), out_public, diag);
	return result < 0 ? result : fd_write_file(path, 0600, 1, buf_view(out_key), diag);
}

/* The key that is to sign next: of a token (--key), or a new one in a file, where it waits. `out_key` is what stands for it. */
static int take_key(const struct change *change, struct buf *out_key, struct buf *out_public, struct diag *diag)
{
	const char *url = change->options->key;
	const struct token_place place = {
		.url = url, .module = change->files.token_module, .environment = change->files.token_environment};
	if (!url && token_url_is(change->files.device_authority_key))
		return diag_set(diag, ERR_DENIED, "the authority's key is in a token: its successor's belongs there too, not in a file. Name "
						  "it by --key \"pkcs11:token=...;object=NAME?pin-source=file:/PATH\"; one that is not there "
						  "is made");
	if (!url)
		return make_key(change->waiting_key, out_key, out_public, diag);
	int result = token_key(&place, out_public, diag);
	return result < 0 ? result : buf_add_string(out_key, url);
}

/* The certificate of a token's key is in force; the key is when the configuration says so. */
static int put_token_in_force(struct change *change, const struct authority_bundle *bundle)
{
	int status = put_in_force(change, bundle, false);
	if (status != ADMIN_DONE)
		return status;
	bool moves = !token_url_is(change->files.device_authority_key);
	printf("The new authority is trusted. It signs when gateway.conf says:\n\n  device_authority_key = \"%s\"\n\n%s\n",
	       change->options->key,
	       moves ? "with token_paths and, where they are needed, token_module and token_environment; the move into a token takes a\n"
		       "restart of the gateway."
		     : "then: sallyport-admin reload");
	return status;
}

/* ---- rotate ---- */

static int make_successor(struct change *change, struct buf *out_der, struct diag *diag)
{
	OWN_SECRET_BUF struct buf key = BUF_INIT(8192);
	OWN_BUF struct buf public_key = BUF_INIT(8192);
	char name[256], date[32];
	time_t now = time(NULL);
	clock_format((uint64_t)now * 1000, date, sizeof(date));
	/* Two authorities of one name would be told apart by their keys only. */
	snprintf(name, sizeof(name), "Sallyport devices of %.180s (%s)", change->files.name, date);
	struct x509_order order = {.purpose = X509_AUTHORITY, .name = name, .not_before_s = now - BACKDATED_S,
				   .not_after_s = now + (int64_t)AUTHORITY_DAYS * DAY_S};
	int result = take_key(change, &key, &public_key, diag);
	order.public_key = buf_view(&public_key);
	order.issuer_key_pem = buf_view(&key);
	return result < 0 ? result : x509_issue(&order, out_der, diag);
}

int cmd_ca_rotate(const struct admin_options *options)
{
	OWN(change_fini) struct change change;
	OWN_BUNDLE struct authority_bundle bundle = {.count = 0};
	OWN_BUF struct buf der = BUF_INIT(X509_INPUT_MAX);
	struct diag diag;
	int status = change_begin(&change, options);
	if (status != ADMIN_DONE)
		return status;
	if (make_successor(&change, &der, &diag) < 0 || with_first(&change, buf_view(&der), &bundle, &diag) < 0)
		return admin_say(ADMIN_FAILED, "%s", diag.text);
	status = options->key ? put_token_in_force(&change, &bundle) : put_in_force(&change, &bundle, true);
	if (status == ADMIN_DONE)
		puts("New certificates come from the new authority; the former one counts until its last certificate is gone\n"
		     "(sallyport-admin ca show), then: sallyport-admin ca drop FINGERPRINT");
	return status;
}

/* ---- an authority above ours ---- */

int cmd_ca_request(const struct admin_options *options)
{
	OWN(change_fini) struct change change;
	OWN_SECRET_BUF struct buf key = BUF_INIT(8192);
	OWN_BUF struct buf public_key = BUF_INIT(8192);
	OWN_BUF struct buf request = BUF_INIT(X509_INPUT_MAX);
	char name[256];
	struct diag diag;
	int status = change_begin(&change, options);
	if (status != ADMIN_DONE)
		return status;
	snprintf(name, sizeof(name), "Sallyport devices of %.200s", change.files.name);
	if (take_key(&change, &key, &public_key, &diag) < 0 ||
	    x509_request_make(buf_view(&key), name, &request, &diag) < 0)
		return admin_say(ADMIN_FAILED, "%s", diag.text);
	fwrite(request.data, 1, request.size, stdout);
	fprintf(stderr, "Have it signed as a subordinate authority (CA:TRUE, keyCertSign), then: sallyport-admin ca import FILE%s\n",
		options->key ? " --key URL" : "");
	return ADMIN_DONE;
}

/* Whether a certificate is for the key that was in the request. */
static int check_signed(const struct change *change, struct view der)
{
	OWN_SECRET_BUF struct buf key = BUF_INIT(8192);
	OWN_BUF struct buf public_key = BUF_INIT(8192);
	struct diag diag;
	const char *file = change->options->words[0];
	if (change->options->key && take_key(change, &key, &public_key, &diag) < 0)
		return admin_say(ADMIN_FAILED, "%s", diag.text);
	if (change->options->key)
		return authority_fits_key(der, buf_view(&public_key))
			       ? ADMIN_DONE
			       : admin_say(ADMIN_FAILED, "the first certificate of %s is not for the token's key", file);
	if (access(change->waiting_key, F_OK) < 0)
		return admin_say(ADMIN_FAILED, "there is no key that waits for a certificate: sallyport-admin ca request comes first (and "
					       "for a token's key, --key URL here too)");
	return authority_fits_file(der, change->waiting_key)
		       ? ADMIN_DONE
		       : admin_say(ADMIN_FAILED, "the first certificate of %s is not for the key of the last ca request", file);
}

int cmd_ca_import(const struct admin_options *options)
{
	OWN(change_fini) struct change change;
	OWN_BUNDLE struct authority_bundle signed_ones = {.count = 0};
	OWN_BUNDLE struct authority_bundle bundle = {.count = 0};
	struct diag diag;
	int status = change_begin(&change, options);
	if (status != ADMIN_DONE)
		return status;
	if (authority_bundle_read(options->words[0], &signed_ones, &diag) < 0)
		return admin_say(ADMIN_FAILED, "%s", diag.text);
	/* The chain above it is not needed: what is here is trusted by itself. */
	status = check_signed(&change, buf_view(&signed_ones.list[0]));
	if (status != ADMIN_DONE)
		return status;
	if (with_first(&change, buf_view(&signed_ones.list[0]), &bundle, &diag) < 0)
		return admin_say(ADMIN_FAILED, "%s", diag.text);
	return options->key ? put_token_in_force(&change, &bundle) : put_in_force(&change, &bundle, true);
}

/* ---- others ---- */

int cmd_ca_trust(const struct admin_options *options)
{
	OWN(change_fini) struct change change;
	OWN_BUNDLE struct authority_bundle others = {.count = 0};
	OWN_BUNDLE struct authority_bundle bundle = {.count = 0};
	struct diag diag;
	int status = change_begin(&change, options);
	if (status != ADMIN_DONE)
		return status;
	int result = authority_bundle_read(options->words[0], &others, &diag);
	for (unsigned i = 0; result == 0 && i < change.bundle.count; i++)
		result = authority_bundle_add(&bundle, buf_view(&change.bundle.list[i]), &diag);
	for (unsigned i = 0; result == 0 && i < others.count; i++)
		result = authority_bundle_add(&bundle, buf_view(&others.list[i]), &diag);
	if (result < 0)
		return admin_say(ADMIN_FAILED, "%s", diag.text);
	status = put_in_force(&change, &bundle, false);
	if (status == ADMIN_DONE)
		puts("Its certificates pass the chain's check; each device must still be registered: sallyport-admin device adopt");
	return status;
}

static int find(const struct authority_bundle *bundle, const char *fingerprint)
{
	size_t length = strlen(fingerprint);
	int found = -1;
	for (unsigned i = 0; i < bundle->count; i++) {
		char text[65];
		authority_fingerprint(buf_view(&bundle->list[i]), text);
		if (length >= 8 && strncmp(text, fingerprint, length) == 0)
			found = found == -1 ? (int)i : -2;
	}
	return found;
}

static int check_drop(const struct change *change, int index)
{
	OWN_JSON json_t *devices = NULL;
	char fingerprint[65];
	if (index < 0)
		return admin_say(ADMIN_FAILED, "no authority, or several, have a fingerprint that begins so (8 characters and more)");
	struct view der = buf_view(&change->bundle.list[index]);
	if (authority_is_own(&change->files, der))
		return admin_say(ADMIN_FAILED, "that is the authority in force; sallyport-admin ca rotate makes its successor");
	int status = call(change->options, "GET", "/v1/certificates", NULL, &devices);
	authority_fingerprint(der, fingerprint);
	if (status != ADMIN_DONE)
		return status;
	long count = count_certificates(devices, "authorities", fingerprint), adopted = count_certificates(devices, "adopted", fingerprint);
	if (count)
		return admin_say(ADMIN_FAILED, "%ld certificates of it are in use; they would be refused. They renew themselves in time", count);
	if (adopted)
		return admin_say(ADMIN_FAILED, "%ld adopted devices have certificates of it; they would be refused. Revoke those first", adopted);
	return ADMIN_DONE;
}

int cmd_ca_drop(const struct admin_options *options)
{
	OWN(change_fini) struct change change;
	OWN_BUNDLE struct authority_bundle bundle = {.count = 0};
	struct diag diag;
	int status = change_begin(&change, options);
	int index = status == ADMIN_DONE ? find(&change.bundle, options->words[0]) : -1;
	if (status == ADMIN_DONE)
		status = check_drop(&change, index);
	if (status != ADMIN_DONE)
		return status;
	for (unsigned i = 0; i < change.bundle.count; i++)
		if ((int)i != index && authority_bundle_add(&bundle, buf_view(&change.bundle.list[i]), &diag) < 0)
			return admin_say(ADMIN_FAILED, "%s", diag.text);
	return put_in_force(&change, &bundle, false);
}

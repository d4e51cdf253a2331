/* cmd_adopt.c: sallyport-admin device pending, adopt: devices whose certificate another authority has issued.
 *
 * The certificate is parsed here, in the admin's program; the gateway takes what it says from an admin only.
 */
#include <stdio.h>
#include <string.h>

#include "authority.h"
#include "sallyport/fd.h"
#include "sallyport/own.h"

DEFINE_OWN(json, json_t *, json_decref)
#define OWN_JSON OWN(own_json)

static const char *const columns[] = {"FINGERPRINT", "fingerprint", "NAME", "name", "ISSUER", "issuer", "KEY", "key_kind", "FROM",
				      "address", "AT", "at", NULL};

static void add_facts(json_t *item)
{
	struct x509_facts facts;
	struct diag ignored;
	const char *pem = json_string_value(json_object_get(item, "certificate"));
	if (!pem || x509_facts(view_string(pem), &facts, &ignored) < 0)
		return;
	json_object_set_new(item, "name", json_string(facts.name));
	json_object_set_new(item, "issuer", json_string(facts.issuer));
	json_object_set_new(item, "key_kind", json_string(facts.key_kind));
}

int cmd_device_pending(const struct admin_options *options)
{
	OWN_JSON json_t *answer = NULL;
	size_t index;
	json_t *item;
	int status = call(options, "GET", "/v1/pending", NULL, &answer);
	if (status != ADMIN_DONE)
		return status;
	json_array_foreach(json_object_get(answer, "pending"), index, item)
		add_facts(item);
	if (options->json)
		return table_print_json(answer);
	table_print(json_object_get(answer, "pending"), columns);
	return ADMIN_DONE;
}

/* The certificate of a file, or of one that came unknown. */
static int find_certificate(const struct admin_options *options, struct buf *out_pem)
{
	OWN_JSON json_t *answer = NULL;
	struct diag diag;
	size_t index;
	const json_t *item;
	if (options->cert)
		return fd_read_file(options->cert, out_pem, &diag) < 0 ? admin_say(ADMIN_FAILED, "%s", diag.text) : ADMIN_DONE;
	int status = call(options, "GET", "/v1/pending", NULL, &answer);
	if (status != ADMIN_DONE)
		return status;
	json_array_foreach(json_object_get(answer, "pending"), index, item) {
		const char *fingerprint = json_string_value(json_object_get(item, "fingerprint"));
		size_t length = strlen(options->pending);
		if (fingerprint && length >= 8 && strncmp(fingerprint, options->pending, length) == 0)
			return buf_add_string(out_pem, json_string_value(json_object_get(item, "certificate"))) < 0 ? ADMIN_FAILED
														    : ADMIN_DONE;
	}
	return admin_say(ADMIN_FAILED, "no unknown certificate has a fingerprint that begins with \"%s\"; see: device pending",
			 options->pending);
}

static json_t *base64_of(struct view bytes)
{
	OWN_BUF struct buf text = BUF_INIT(4 * X509_INPUT_MAX);
	return x509_to_base64(bytes, &text) < 0 ? NULL : json_stringn((const char *)text.data, text.size);
}

static json_t *words(const struct admin_values *values)
{
	json_t *array = json_array();
	for (unsigned i = 0; i < values->count; i++)
		json_array_append_new(array, json_string(values->list[i]));
	return array;
}

/* The fingerprint of the trusted authority that has signed it; empty: there is none, perhaps because another one stands
 * between. */
static int find_issuer(const struct admin_options *options, struct view der, char *out_fingerprint)
{
	OWN_FILES struct authority_files files;
	OWN_BUNDLE struct authority_bundle trusted = {.count = 0};
	struct diag diag;
	int status = authority_files(options, &files);
	out_fingerprint[0] = 0;
	if (status != ADMIN_DONE)
		return status;
	if (authority_bundle_read(files.device_authority, &trusted, &diag) < 0)
		return admin_say(ADMIN_FAILED, "%s", diag.text);
	for (unsigned i = 0; i < trusted.count && !*out_fingerprint; i++)
		if (x509_is_signed_by(der, buf_view(&trusted.list[i])))
			authority_fingerprint(buf_view(&trusted.list[i]), out_fingerprint);
	return ADMIN_DONE;
}

static int make_body(const struct admin_options *options, struct view pem, json_t **out_body)
{
	OWN_BUNDLE struct authority_bundle chain = {.count = 0};
	OWN_BUF struct buf key = BUF_INIT(X509_INPUT_MAX);
	struct x509_facts facts;
	struct diag diag;
	const char *code = NULL;
	int result = authority_bundle_parse(pem, &chain, &diag);
	if (result == 0)
		result = x509_check_leaf(buf_view(&chain.list[0]), &code, &diag);
	if (result == 0)
		result = x509_facts(buf_view(&chain.list[0]), &facts, &diag);
	if (result == 0)
		result = x509_certificate_public_key(buf_view(&chain.list[0]), &key, &diag);
	if (result < 0)
		return admin_say(ADMIN_FAILED, "this certificate cannot be adopted: %s", diag.text);
	char issuer[65];
	int status = find_issuer(options, buf_view(&chain.list[0]), issuer);
	if (status != ADMIN_DONE)
		return status;
	*out_body = json_pack("{s:s, s:o, s:o, s:o, s:o, s:s, s:s, s:I, s:I, s:s, s:s}", "name", options->words[0], "users",
			      words(&options->users), "tags", words(&options->tags), "public_key", base64_of(buf_view(&key)),
			      "certificate", base64_of(buf_view(&chain.list[0])), "serial", facts.serial, "key_kind", facts.key_kind,
			      "not_before_ms", (json_int_t)facts.not_before_s * 1000, "not_after_ms",
			      (json_int_t)facts.not_after_s * 1000, "issuer", issuer, "responder", facts.responder);
	return *out_body ? ADMIN_DONE : admin_say(ADMIN_USAGE, "a name, user or tag is not valid text");
}

int cmd_device_adopt(const struct admin_options *options)
{
	OWN_BUF struct buf pem = BUF_INIT(4 * X509_INPUT_MAX);
	OWN_JSON json_t *answer = NULL;
	json_t *body = NULL;
	if (!options->cert == !options->pending)
		return admin_say(ADMIN_USAGE, "usage: sallyport-admin device adopt NAME [--user USER] --cert FILE | --pending FINGERPRINT");
	int status = find_certificate(options, &pem);
	if (status == ADMIN_DONE)
		status = make_body(options, buf_view(&pem), &body);
	if (status == ADMIN_DONE)
		status = call(options, "POST", "/v1/adoptions", body, &answer);
	if (status != ADMIN_DONE)
		return status;
	if (options->json)
		return table_print_json(answer);
	printf("%s is registered with its own certificate\n", options->words[0]);
	return ADMIN_DONE;
}

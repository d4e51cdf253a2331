/* authority.c: the files of the authorities: read, written whole, compared. */
#include "authority.h"

#include <stdio.h>
#include <string.h>

#include "sallyport/fd.h"
#include "sallyport/own.h"
#include "sallyport/str.h"

DEFINE_OWN(json, json_t *, json_decref)

static const char *text_of(const json_t *answer, const char *key)
{
	const char *text = json_string_value(json_object_get(answer, key));
	return text ? text : "";
}

int authority_files(const struct admin_options *options, struct authority_files *out_files)
{
	*out_files = (struct authority_files){.answer = NULL};
	int status = call(options, "GET", "/v1/files", NULL, &out_files->answer);
	if (status != ADMIN_DONE)
		return status;
	const json_t *answer = out_files->answer;
	out_files->name = text_of(answer, "name");
	out_files->address = text_of(answer, "address");
	out_files->server_certificate = text_of(answer, "server_certificate");
	out_files->server_key = text_of(answer, "server_key");
	out_files->server_authority = text_of(answer, "server_authority");
	out_files->server_authority_key = text_of(answer, "server_authority_key");
	out_files->device_authority = text_of(answer, "device_authority");
	out_files->device_authority_key = text_of(answer, "device_authority_key");
	out_files->own = text_of(answer, "device_authority_fingerprint");
	out_files->token_module = text_of(answer, "token_module");
	out_files->token_environment = json_object_get(answer, "token_environment");
	return ADMIN_DONE;
}

void authority_files_fini(struct authority_files *files)
{
	json_decref(files->answer);
}

int authority_bundle_add(struct authority_bundle *bundle, struct view der, struct diag *diag)
{
	if (bundle->count == AUTHORITIES_MAX)
		return diag_set(diag, ERR_LIMIT, "more than %d certificates in one file", AUTHORITIES_MAX);
	struct buf *place = &bundle->list[bundle->count++];
	*place = BUF_INIT(X509_INPUT_MAX);
	return buf_add(place, der) < 0 ? diag_set(diag, ERR_LIMIT, "a certificate is too large") : 0;
}

int authority_bundle_parse(struct view pem, struct authority_bundle *out_bundle, struct diag *diag)
{
	static const char end[] = "-----END CERTIFICATE-----";
	*out_bundle = (struct authority_bundle){.count = 0};
	int result = 0;
	while (result == 0) {
		const uint8_t *found = pem.size ? memmem(pem.data, pem.size, end, sizeof(end) - 1) : NULL;
		if (!found)
			break;
		size_t length = (size_t)(found - pem.data) + sizeof(end) - 1;
		OWN_BUF struct buf der = BUF_INIT(X509_INPUT_MAX);
		if (x509_pem_to_der(view_of(pem.data, length), "CERTIFICATE", &der) < 0)
			result = diag_set(diag, ERR_BAD_INPUT, "certificate %u is damaged", out_bundle->count + 1);
		else
			result = authority_bundle_add(out_bundle, buf_view(&der), diag);
		pem = view_of(pem.data + length, pem.size - length);
	}
	if (result == 0 && !out_bundle->count)
		result = diag_set(diag, ERR_BAD_INPUT, "there is no certificate in PEM");
	return result;
}

int authority_bundle_read(const char *path, struct authority_bundle *out_bundle, struct diag *diag)
{
	OWN_BUF struct buf pem = BUF_INIT(16 * X509_INPUT_MAX);
	struct diag why;
	*out_bundle = (struct authority_bundle){.count = 0};
	int result = fd_read_file(path, &pem, diag);
	if (result == 0 && authority_bundle_parse(buf_view(&pem), out_bundle, &why) < 0)
		result = diag_set(diag, ERR_BAD_INPUT, "%s: %s", path, why.text);
	return result;
}

int authority_bundle_write(const char *path, const struct authority_bundle *bundle, struct diag *diag)
{
	OWN_BUF struct buf pem = BUF_INIT(32 * X509_INPUT_MAX);
	for (unsigned i = 0; i < bundle->count; i++)
		if (x509_der_to_pem(buf_view(&bundle->list[i]), "CERTIFICATE", &pem) < 0)
			return diag_set(diag, ERR_BUG, "a certificate cannot be written as PEM");
	return fd_write_file(path, 0644, 1, buf_view(&pem), diag);
}

void authority_bundle_fini(struct authority_bundle *bundle)
{
	for (unsigned i = 0; i < bundle->count; i++)
		buf_fini(&bundle->list[i]);
	bundle->count = 0;
}

bool authority_is_own(const struct authority_files *files, struct view der)
{
	char fingerprint[65];
	authority_fingerprint(der, fingerprint);
	return strcmp(fingerprint, files->own) == 0;
}

bool authority_fits_key(struct view der, struct view public_key)
{
	OWN_BUF struct buf of_certificate = BUF_INIT(X509_INPUT_MAX);
	struct diag ignored;
	return x509_certificate_public_key(der, &of_certificate, &ignored) == 0 && view_equal(public_key, buf_view(&of_certificate));
}

bool authority_fits_file(struct view der, const char *key_path)
{
	OWN_SECRET_BUF struct buf pem = BUF_INIT(X509_INPUT_MAX);
	OWN_BUF struct buf public_key = BUF_INIT(X509_INPUT_MAX);
	struct diag ignored;
	return fd_read_file(key_path, &pem, &ignored) == 0 && x509_key_public(buf_view(&pem), &public_key, &ignored) == 0 &&
	       authority_fits_key(der, buf_view(&public_key));
}

void authority_fingerprint(struct view der, char *out_text)
{
	uint8_t fingerprint[X509_FINGERPRINT_SIZE];
	x509_fingerprint(der, fingerprint);
	str_hex(view_of(fingerprint, sizeof(fingerprint)), out_text);
}

int authority_reload(const struct admin_options *options)
{
	OWN(own_json) json_t *answer = NULL;
	int status = call(options, "POST", "/v1/reload", NULL, &answer);
	if (status != ADMIN_DONE)
		return status;
	const char *notice = text_of(answer, "notice");
	printf("the gateway has read its files again%s%s\n", *notice ? "; " : "", notice);
	return ADMIN_DONE;
}

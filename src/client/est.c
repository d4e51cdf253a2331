/* est.c: EST's requests, on a connection of their own. What is done with the certificates: cmd_enroll.c, cmd_renew.c. */
#include "est.h"

#include <stdio.h>
#include <string.h>

#include "api.h"
#include "identity.h"
#include "sallyport/own.h"
#include "sallyport/str.h"
#include "sallyport/x509.h"

DEFINE_OWN(call, struct api_call *, api_free)

static void on_change(struct connection *connection, void *owner)
{
	(void)connection, (void)owner;
}

static bool is_decided(const void *subject)
{
	enum connection_state state = connection_state(subject);
	return state == CONNECTION_OPEN || state == CONNECTION_OVER;
}

int est_open(struct est *est, struct loop *loop, const char *host, uint16_t port, const struct tls_client_files *files,
	     struct diag *diag)
{
	*est = (struct est){.loop = loop, .settings = {.port = port}};
	str_copy(est->settings.host, sizeof(est->settings.host), host);
	if (tls_credentials_client(files, &est->device.credentials, diag) < 0)
		return STATUS_USAGE;
	struct identity_dates dates;
	struct diag ignored;
	if (files->certificate && identity_dates(files->certificate, &dates, &ignored) == STATUS_OK) {
		est->device.not_before_s = dates.not_before_s;
		est->device.not_after_s = dates.not_after_s;
	}
	int status = connection_start(&loop->uv, &est->settings, &est->device, on_change, est, &est->connection, diag);
	if (status == STATUS_OK)
		status = loop_wait(loop, is_decided, est->connection);
	if (status == STATUS_OK && connection_state(est->connection) == CONNECTION_OVER)
		status = connection_ending(est->connection, diag);
	return status;
}

void est_close(struct est *est)
{
	connection_close(est->connection);
	device_fini(&est->device);
	est->connection = NULL;
}

static bool is_done(const void *subject)
{
	return api_is_done(subject);
}

static int ask(struct est *est, const struct api_request *request, struct api_call **out_call, struct diag *diag)
{
	OWN(own_call) struct api_call *call = NULL;
	int status = api_start(est->connection, request, NULL, NULL, &call, diag);
	if (status == STATUS_OK)
		status = loop_wait(est->loop, is_done, call);
	if (status == STATUS_OK)
		status = api_result(call, diag);
	if (status == STATUS_OK)
		*out_call = take_pointer(&call);
	return status;
}

int est_authority(struct est *est, const uint8_t pin[X509_FINGERPRINT_SIZE], struct buf *out_der, struct diag *diag)
{
	const struct api_request request = {.method = "GET", .path = "/.well-known/est/cacerts"};
	OWN(own_call) struct api_call *call = NULL;
	int status = ask(est, &request, &call, diag);
	if (status != STATUS_OK)
		return status;
	if (x509_certs_only_pinned(api_body(call), pin, out_der, diag) == 0)
		return STATUS_OK;
	return diag_set(diag, STATUS_UNREACHABLE, _("%s is not the gateway of this invitation: it does not show the authority that "
						  "the invitation names. Nothing was sent; tell your administrator"),
			connection_authority(est->connection));
}

const char *est_key_store(struct view key)
{
	if (!key.data || key.size <= 7 || memcmp(key.data, "pkcs11:", 7) != 0)
		return "software";
	return memmem(key.data, key.size, "tpm", 3) || memmem(key.data, key.size, "TPM", 3) ? "tpm" : "pkcs11";
}

/* The request in base64, as RFC 7030 4.2.1 wants it. */
static int make_body(struct view key, struct buf *out_body, struct diag *diag)
{
	OWN_BUF struct buf pem = BUF_INIT(X509_INPUT_MAX);
	OWN_BUF struct buf der = BUF_INIT(X509_INPUT_MAX);
	if (x509_request_make(key, "sallyport", &pem, diag) < 0)
		return STATUS_USAGE;
	if (x509_pem_to_der(buf_view(&pem), "CERTIFICATE REQUEST", &der) < 0 || x509_to_base64(buf_view(&der), out_body) < 0)
		return diag_set(diag, STATUS_FAILED, _("memory is out"));
	return STATUS_OK;
}

int est_certificate(struct est *est, const struct est_request *wish, struct buf *out_der, unsigned *out_wait_s,
		    struct diag *diag)
{
	char path[128];
	OWN_BUF struct buf body = BUF_INIT(X509_INPUT_MAX);
	OWN_BUF struct buf public_key = BUF_INIT(X509_INPUT_MAX);
	OWN(own_call) struct api_call *call = NULL;
	int status = make_body(wish->key, &body, diag);
	if (status == STATUS_OK && x509_key_public(wish->key, &public_key, diag) < 0)
		status = STATUS_USAGE;
	snprintf(path, sizeof(path), "%s?key=%s", wish->path, est_key_store(wish->key));
	const struct api_request request = {.method = "POST",
					    .path = path,
					    .body = buf_view(&body),
					    .content_type = "application/pkcs10",
					    .authorization = wish->authorization};
	if (status == STATUS_OK)
		status = ask(est, &request, &call, diag);
	if (status != STATUS_OK)
		return status;
	if (api_http_status(call, out_wait_s) == 202)
		return STATUS_OK;
	*out_wait_s = 0;
	if (x509_certs_only_find(api_body(call), buf_view(&public_key), out_der, diag) < 0)
		return diag_set(diag, STATUS_FAILED, _("The gateway's answer holds no certificate for this device's key"));
	return STATUS_OK;
}

int est_confirmation(const char *about, struct view key, char *out_code, struct diag *diag)
{
	uint8_t hash[X509_FINGERPRINT_SIZE];
	OWN_BUF struct buf text = BUF_INIT(X509_INPUT_MAX);
	if (buf_add_string(&text, about) < 0 || x509_key_public(key, &text, diag) < 0)
		return STATUS_USAGE;
	x509_fingerprint(buf_view(&text), hash);
	str_confirmation_code(hash, out_code);
	return STATUS_OK;
}

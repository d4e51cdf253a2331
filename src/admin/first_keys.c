/* first_keys.c: the first authorities and the first server certificate: made once and never overwritten. */
#include "first_keys.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "sallyport/fd.h"
#include "sallyport/own.h"
#include "sallyport/x509.h"
#include "token.h"

enum { DAY_S = 86400, AUTHORITY_DAYS = 3650, SERVER_DAYS = 397, BACKDATED_S = 300 };

static int save_certificate(const char *path, struct view der, struct diag *diag)
{
	OWN_BUF struct buf pem = BUF_INIT(65536);
	if (x509_der_to_pem(der, "CERTIFICATE", &pem) < 0)
		return diag_set(diag, ERR_BUG, "a certificate cannot be written as PEM");
	return fd_write_file(path, 0644, 0, buf_view(&pem), diag);
}

/* Makes a key and its certificate and saves both. Without an issuer it signs itself. */
static int make_pair(struct x509_order *order, const char *certificate_path, const char *key_path, struct buf *out_key,
		     struct buf *out_certificate, struct diag *diag)
{
	OWN_BUF struct buf public_key = BUF_INIT(8192);
	int result = x509_key_make(out_key, diag);
	if (result == 0)
		result = x509_key_public(buf_view(out_key), &public_key, diag);
	order->public_key = buf_view(&public_key);
	if (order->issuer_certificate.size == 0)
		order->issuer_key_pem = buf_view(out_key);
	if (result == 0)
		result = x509_issue(order, out_certificate, diag);
	if (result == 0)
		result = fd_write_file(key_path, 0600, 0, buf_view(out_key), diag);
	return result < 0 ? result : save_certificate(certificate_path, buf_view(out_certificate), diag);
}

static struct x509_order order_for(enum x509_purpose purpose, const char *name, int days)
{
	int64_t now = (int64_t)time(NULL);
	return (struct x509_order){
		.purpose = purpose, .name = name, .not_before_s = now - BACKDATED_S, .not_after_s = now + (int64_t)days * DAY_S};
}

/* The key stays in its token. */
static int make_in_token(struct x509_order *order, const char *url, const char *certificate_path, struct diag *diag)
{
	OWN_BUF struct buf public_key = BUF_INIT(8192);
	OWN_BUF struct buf certificate = BUF_INIT(8192);
	int result = token_key(&(struct token_place){.url = url}, &public_key, diag);
	order->public_key = buf_view(&public_key);
	order->issuer_key_pem = view_string(url);
	if (result == 0)
		result = x509_issue(order, &certificate, diag);
	return result < 0 ? result : save_certificate(certificate_path, buf_view(&certificate), diag);
}

int first_device_authority(const struct first_pair *place, const char *host, const char *url, struct diag *diag)
{
	char name[300];
	OWN_SECRET_BUF struct buf key = BUF_INIT(8192);
	OWN_BUF struct buf certificate = BUF_INIT(8192);
	snprintf(name, sizeof(name), "Sallyport devices of %s", host);
	struct x509_order order = order_for(X509_AUTHORITY, name, AUTHORITY_DAYS);
	if (url)
		return make_in_token(&order, url, place->certificate, diag);
	return make_pair(&order, place->certificate, place->key, &key, &certificate, diag);
}

int first_server(const struct first_pair *authority_place, const struct first_pair *place, const char *host, struct diag *diag)
{
	char name[300];
	OWN_SECRET_BUF struct buf authority_key = BUF_INIT(8192);
	OWN_SECRET_BUF struct buf key = BUF_INIT(8192);
	OWN_BUF struct buf authority = BUF_INIT(8192);
	OWN_BUF struct buf certificate = BUF_INIT(8192);
	snprintf(name, sizeof(name), "Sallyport server authority of %s", host);
	struct x509_order first = order_for(X509_AUTHORITY, name, AUTHORITY_DAYS);
	int result = make_pair(&first, authority_place->certificate, authority_place->key, &authority_key, &authority, diag);
	if (result < 0)
		return result;
	struct x509_order second = order_for(X509_SERVER, host, SERVER_DAYS);
	second.issuer_certificate = buf_view(&authority);
	second.issuer_key_pem = buf_view(&authority_key);
	return make_pair(&second, place->certificate, place->key, &key, &certificate, diag);
}

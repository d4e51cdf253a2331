/* enrolment.c: EST (RFC 7030) for laptops: the authorities, a first certificate, the next one.
 *
 * Text stops here: of a request only its public key goes on, after its own signature and its strength are checked;
 * names, serial and dates are the broker's and the signer's matter. Counterpart: gateway/broker/enrolment.c.
 */
#include <stdlib.h>
#include <string.h>

#include "sallyport/fd.h"
#include "sallyport/own.h"
#include "sallyport/x509.h"
#include "worker.h"

enum { KEY_MAX = 4096 };

void enrolment_authorities(struct exchange *exchange)
{
	exchange_text(exchange, 200, &(struct exchange_text){.content_type = "application/pkcs7-mime; smime-type=certs-only",
							     .body = exchange->worker->authorities,
							     .is_base64 = true});
}

struct wish {
	struct buf public_key;
	struct buf names; /* that it asks for, one a line: whose they are is the broker's matter */
	char kind[17];
};

/* The request's key; false when it was refused. */
static bool take_request(struct exchange *exchange, struct wish *out_wish)
{
	OWN_BUF struct buf der = BUF_INIT(X509_INPUT_MAX);
	struct diag diag, sentence;
	struct view body = buf_view(&exchange->body);
	out_wish->public_key = BUF_INIT(KEY_MAX);
	out_wish->names = BUF_INIT(X509_NAMES_MAX + 1);
	if (body.size > X509_INPUT_MAX) {
		exchange_refuse(exchange, 413, "too_large", "A certificate request has at most 64 KiB.");
		return false;
	}
	/* `openssl req` writes PEM, which is base64 with a first and last line: be generous. */
	bool is_pem = body.size > 10 && memcmp(body.data, "-----BEGIN", 10) == 0;
	int result = is_pem ? buf_add(&der, body) : x509_from_base64(body, &der);
	if (result < 0)
		diag_set(&diag, result, "the body is not base64");
	else
		result = x509_request_public_key(buf_view(&der), &out_wish->public_key, &diag);
	if (result == 0)
		result = x509_key_kind(buf_view(&out_wish->public_key), out_wish->kind, sizeof(out_wish->kind));
	if (result == 0) {
		x509_request_names(buf_view(&der), &out_wish->names);
		return true;
	}
	diag_set(&sentence, result, "The certificate request is refused: %s.", diag.text);
	exchange_refuse(exchange, 400, "bad_request", sentence.text);
	buf_fini(&out_wish->public_key);
	return false;
}

void enrolment_enroll(struct exchange *exchange)
{
	struct wish wish;
	if (!take_request(exchange, &wish))
		return;
	if (strlen(exchange->user) > 32)
		exchange->user[32] = 0;
	EXCHANGE_ASK(exchange, enroll, .invitation = view_string(exchange->user), .secret = view_string(exchange->token),
		     .public_key = buf_view(&wish.public_key), .key_kind = view_string(wish.kind),
		     .key_store = view_string(exchange->key_store), .names = buf_view(&wish.names));
	buf_fini(&wish.names);
	buf_fini(&wish.public_key);
}

void enrolment_renew(struct exchange *exchange)
{
	struct wish wish;
	if (!take_request(exchange, &wish))
		return;
	EXCHANGE_ASK(exchange, renew, .public_key = buf_view(&wish.public_key), .key_kind = view_string(wish.kind),
		     .key_store = view_string(exchange->key_store), .names = buf_view(&wish.names));
	buf_fini(&wish.names);
	buf_fini(&wish.public_key);
}

void enrolment_certificate(struct exchange *exchange, struct view certificate)
{
	OWN_BUF struct buf answer = BUF_INIT(X509_INPUT_MAX);
	struct diag diag;
	if (x509_certs_only(&certificate, 1, &answer, &diag) < 0)
		worker_end(1);
	exchange_text(exchange, 200, &(struct exchange_text){.content_type = "application/pkcs7-mime; smime-type=certs-only",
							     .body = buf_view(&answer),
							     .is_base64 = true});
}

void enrolment_pending(struct exchange *exchange, uint32_t retry_after_s)
{
	exchange_text(exchange, 202, &(struct exchange_text){.retry_after_s = retry_after_s});
}

/* An answered one counts until the client has taken all of it. */
static bool has_another_list(const struct exchange *exchange)
{
	const struct exchange *other;
	LIST_FOREACH(other, &exchange->worker->exchanges, all)
		if (other != exchange && other->wants_list)
			return true;
	return false;
}

void enrolment_revocations(struct exchange *exchange)
{
	if (has_another_list(exchange)) {
		exchange_refuse(exchange, 429, "too_many", "Take the list that was asked for on this connection first.");
		return;
	}
	exchange->wants_list = true;
	EXCHANGE_ASK(exchange, revocations, );
}

void enrolment_revocation_list(struct exchange *exchange, int list, uint32_t size)
{
	OWN_BUF struct buf body = BUF_INIT(size);
	if (fd_read_all(list, &body) < 0 || body.size != size)
		worker_end(EXIT_FAILURE);
	exchange_text(exchange, 200, &(struct exchange_text){.content_type = "application/pkix-crl", .body = buf_view(&body)});
}

/* tls_verify.c: is the peer's certificate good enough to go on with the handshake?
 *
 * A server asks: chain to the device authority, valid now, clientAuth, strength, one device (A1, A6); whether
 * the device is known and active is asked later, of the broker. A client asks: chain and host name. Each
 * refusal has a stable code and one sentence.
 */
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "sallyport/x509.h"
#include "tls_internal.h"

/* GnuTLS's findings, the weightiest first: of an untrusted certificate nothing else is worth telling. */
static const struct {
	unsigned status;
	const char *code;
	const char *sentence;
} findings[] = {
	{GNUTLS_CERT_REVOKED, "certificate_revoked", "the certificate is revoked"},
	{GNUTLS_CERT_SIGNER_NOT_FOUND, "not_trusted", "the certificate was not issued by a trusted authority"},
	{GNUTLS_CERT_SIGNER_NOT_CA, "not_trusted", "the certificate's issuer is not an authority"},
	{GNUTLS_CERT_SIGNATURE_FAILURE, "not_trusted", "a signature in the certificate's chain is wrong"},
	{GNUTLS_CERT_SIGNER_CONSTRAINTS_FAILURE, "not_trusted", "the certificate's issuer may not issue it"},
	{GNUTLS_CERT_EXPIRED, "certificate_expired", "the certificate has expired"},
	{GNUTLS_CERT_NOT_ACTIVATED, "not_yet_valid", "the certificate is not valid yet"},
	{GNUTLS_CERT_INSECURE_ALGORITHM, "weak_key", "the certificate's chain has a weak key or a weak signature"},
	{GNUTLS_CERT_PURPOSE_MISMATCH, "wrong_purpose", "the certificate is for another purpose"},
	{GNUTLS_CERT_UNEXPECTED_OWNER, "wrong_name", "the certificate is for another name"},
};

int tls_refuse(struct tls *tls, const char *code, const char *sentence)
{
	tls->refusal = code;
	if (!tls->refusal_sentence)
		tls->refusal_sentence = calloc(1, sizeof(*tls->refusal_sentence));
	diag_set(tls->refusal_sentence, ERR_DENIED, "%s", sentence);
	return GNUTLS_E_CERTIFICATE_ERROR;
}

static int judge_status(struct tls *tls, unsigned status)
{
	if (status == 0)
		return 0;
	for (size_t i = 0; i < sizeof(findings) / sizeof(findings[0]); i++)
		if (status & findings[i].status)
			return tls_refuse(tls, findings[i].code, findings[i].sentence);
	return tls_refuse(tls, "not_trusted", "the certificate cannot be trusted");
}

/* GnuTLS does not say whose end has passed; only the leaf's may be forgiven. */
static bool is_in_grace(const struct tls *tls, struct view leaf, unsigned status)
{
	struct x509_facts facts;
	struct diag ignored;
	int64_t now = (int64_t)time(NULL);
	if (tls->expired_grace_s == 0 || (status & ~(unsigned)GNUTLS_CERT_INVALID) != GNUTLS_CERT_EXPIRED ||
	    x509_facts(leaf, &facts, &ignored) < 0)
		return false;
	return now > facts.not_after_s && now - facts.not_after_s <= (int64_t)tls->expired_grace_s;
}

static int verify_client(struct tls *tls)
{
	struct view leaf = tls_peer_leaf(tls);
	if (!leaf.size)
		return tls_refuse(tls, "no_certificate", "no client certificate was shown");
	gnutls_typed_vdata_st purpose = {.type = GNUTLS_DT_KEY_PURPOSE_OID,
					 .data = (unsigned char *)(uintptr_t)GNUTLS_KP_TLS_WWW_CLIENT};
	unsigned status = 0;
	int result = gnutls_certificate_verify_peers(tls->session, &purpose, 1, &status);
	if (result < 0)
		return tls_refuse(tls, "not_trusted", gnutls_strerror(result));
	result = is_in_grace(tls, leaf, status) ? 0 : judge_status(tls, status);
	if (result < 0)
		return result;
	const char *code = NULL;
	struct diag reason;
	return x509_check_leaf(leaf, &code, &reason) < 0 ? tls_refuse(tls, code, reason.text) : 0;
}

static int verify_server(struct tls *tls)
{
	gnutls_typed_vdata_st wanted[] = {
		{.type = GNUTLS_DT_DNS_HOSTNAME, .data = (unsigned char *)tls->host},
		{.type = GNUTLS_DT_KEY_PURPOSE_OID, .data = (unsigned char *)(uintptr_t)GNUTLS_KP_TLS_WWW_SERVER},
	};
	unsigned status = 0;
	if (tls->credentials->unverified)
		return 0;
	int result = gnutls_certificate_verify_peers(tls->session, wanted, 2, &status);
	if (result < 0)
		return tls_refuse(tls, "not_trusted", gnutls_strerror(result));
	return judge_status(tls, status);
}

int tls_verify_peer(gnutls_session_t session)
{
	struct tls *tls = gnutls_session_get_ptr(session);
	return tls->role == TLS_SERVER ? verify_client(tls) : verify_server(tls);
}

void tls_verify_after_failure(struct tls *tls, int gnutls_result)
{
	if (tls->role == TLS_CLIENT || tls->refusal)
		return;
	bool proof_failed = false;
	switch (gnutls_result) {
	case GNUTLS_E_NO_CERTIFICATE_FOUND:
	case GNUTLS_E_CERTIFICATE_REQUIRED:
		tls_refuse(tls, "no_certificate", "no client certificate was shown");
		return;
	case GNUTLS_E_PK_SIG_VERIFY_FAILED:
		proof_failed = true;
		break;
	case GNUTLS_E_INSUFFICIENT_SECURITY:
	case GNUTLS_E_UNSUPPORTED_SIGNATURE_ALGORITHM:
	case GNUTLS_E_CERTIFICATE_ERROR:
	case GNUTLS_E_RECEIVED_ILLEGAL_PARAMETER:
	case GNUTLS_E_ILLEGAL_PARAMETER:
	case GNUTLS_E_CONSTRAINT_ERROR:
	case GNUTLS_E_UNSUPPORTED_CERTIFICATE_TYPE:
	case GNUTLS_E_KEY_USAGE_VIOLATION:
	case GNUTLS_E_PK_INVALID_PUBKEY:
	case GNUTLS_E_UNKNOWN_PK_ALGORITHM:
	case GNUTLS_E_ECC_UNSUPPORTED_CURVE:
		break;
	default:
		return;
	}
	/* GnuTLS stopped before our own verdict: a weak key, say, has no good signature either. */
	if (tls_peer_leaf(tls).size && verify_client(tls) == 0 && proof_failed)
		tls_refuse(tls, "proof_failed", "the client did not prove that it holds the certificate's private key");
}

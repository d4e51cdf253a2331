/* tls_alert.c: alerts: their names, which one fits a refusal, and what one means for a user. */
#include <stddef.h>

#include "tls_internal.h"

static const struct {
	enum tls_alert alert;
	const char *name;
	const char *meaning; /* for a client whose gateway sent it; NULL: only the name */
} alerts[] = {
	{TLS_ALERT_CLOSE_NOTIFY, "close notify", NULL},
	{10, "unexpected message", NULL},
	{20, "bad record mac", NULL},
	{22, "record overflow", NULL},
	{TLS_ALERT_HANDSHAKE_FAILURE, "handshake failure", NULL},
	{TLS_ALERT_BAD_CERTIFICATE, "bad certificate", "its key or its signature is too weak, or it is damaged"},
	{TLS_ALERT_UNSUPPORTED_CERTIFICATE, "unsupported certificate", "it is not a certificate for one device"},
	{TLS_ALERT_CERTIFICATE_REVOKED, "certificate revoked", "this device, or its certificate, is revoked"},
	{TLS_ALERT_CERTIFICATE_EXPIRED, "certificate expired", "it has expired, or is not valid yet"},
	{TLS_ALERT_CERTIFICATE_UNKNOWN, "certificate unknown", "this device is not registered"},
	{47, "illegal parameter", NULL},
	{TLS_ALERT_UNKNOWN_CA, "unknown ca", "it was not issued by the gateway's device authority"},
	{TLS_ALERT_ACCESS_DENIED, "access denied", "this device is locked"},
	{50, "decode error", NULL},
	{TLS_ALERT_DECRYPT_ERROR, "decrypt error", "the key does not belong to the certificate"},
	{70, "protocol version", NULL},
	{71, "insufficient security", NULL},
	{TLS_ALERT_INTERNAL_ERROR, "internal error", NULL},
	{TLS_ALERT_USER_CANCELED, "user canceled", NULL},
	{109, "missing extension", NULL},
	{112, "unrecognized name", NULL},
	{TLS_ALERT_CERTIFICATE_REQUIRED, "certificate required", "none was shown"},
	{TLS_ALERT_NO_APPLICATION_PROTOCOL, "no application protocol", NULL},
};

static const struct {
	const char *code;
	enum tls_alert alert;
} refusals[] = {
	{"not_trusted", TLS_ALERT_UNKNOWN_CA},
	{"certificate_expired", TLS_ALERT_CERTIFICATE_EXPIRED},
	{"not_yet_valid", TLS_ALERT_CERTIFICATE_EXPIRED},
	{"certificate_revoked", TLS_ALERT_CERTIFICATE_REVOKED},
	{"certificate_superseded", TLS_ALERT_CERTIFICATE_REVOKED},
	{"device_revoked", TLS_ALERT_CERTIFICATE_REVOKED},
	{"reinvited", TLS_ALERT_CERTIFICATE_REVOKED},
	{"device_unknown", TLS_ALERT_CERTIFICATE_UNKNOWN},
	{"device_locked", TLS_ALERT_ACCESS_DENIED},
	{"wrong_purpose", TLS_ALERT_UNSUPPORTED_CERTIFICATE},
	{"weak_key", TLS_ALERT_BAD_CERTIFICATE},
	{"wrong_name", TLS_ALERT_BAD_CERTIFICATE},
	{"no_certificate", TLS_ALERT_CERTIFICATE_REQUIRED},
	{"proof_failed", TLS_ALERT_DECRYPT_ERROR},
	{"store_unavailable", TLS_ALERT_INTERNAL_ERROR},
};

enum tls_alert tls_alert_for(struct view code)
{
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
		if (view_is(code, refusals[i].code))
			return refusals[i].alert;
	return TLS_ALERT_ACCESS_DENIED;
}

static size_t row_of(enum tls_alert alert)
{
	size_t row = 0;
	while (row < sizeof(alerts) / sizeof(alerts[0]) && alerts[row].alert != alert)
		row++;
	return row;
}

const char *tls_alert_name(enum tls_alert alert)
{
	size_t row = row_of(alert);
	return row < sizeof(alerts) / sizeof(alerts[0]) ? alerts[row].name : "unknown alert";
}

static void explain_alert(const struct tls *tls, struct diag *out_diag)
{
	size_t row = row_of(tls->alert);
	const char *meaning = row < sizeof(alerts) / sizeof(alerts[0]) ? alerts[row].meaning : NULL;
	if (tls->role == TLS_CLIENT && meaning)
		diag_set(out_diag, ERR_DENIED, "the gateway refused this device's certificate: %s (TLS alert \"%s\")",
			 meaning, tls_alert_name(tls->alert));
	else
		diag_set(out_diag, ERR_BAD_PEER, "the other side ended the connection with the TLS alert \"%s\" (%d)",
			 tls_alert_name(tls->alert), tls->alert);
}

void tls_explain(const struct tls *tls, struct diag *out_diag)
{
	static const char *const sentences[] = {
		[TLS_OPEN] = "the connection is open",
		[TLS_CLOSED] = "the other side closed the connection",
		[TLS_CUT] = "the connection was cut: it ended without a TLS close_notify",
		[TLS_RESET] = "the connection was reset",
		[TLS_BROKEN] = "the other side broke the TLS protocol",
	};
	if (tls->refusal_sentence)
		*out_diag = *tls->refusal_sentence;
	else if (tls->ending == TLS_ALERTED)
		explain_alert(tls, out_diag);
	else
		diag_set(out_diag, 0, "%s", sentences[tls->ending]);
}

/* refusal.c: how the end of a TLS connection reads for a user. Which alert the gateway sends for what is
 * decided in tls_alert_for (src/net). */
#include "refusal.h"

#include <string.h>

#include "sallyport/clock.h"

static const struct {
	enum tls_alert alert;
	const char *sentence;
} certificate_alerts[] = {
	{TLS_ALERT_CERTIFICATE_REVOKED, N_("this device's certificate is revoked; ask your administrator")},
	{TLS_ALERT_CERTIFICATE_EXPIRED, N_("this device's certificate has expired; ask your administrator for a new one")},
	{TLS_ALERT_CERTIFICATE_UNKNOWN, N_("this device is not known there; ask your administrator to register it, and check --cert")},
	{TLS_ALERT_ACCESS_DENIED, N_("this device is locked there, or its certificate was replaced by a newer one; ask your administrator")},
	{TLS_ALERT_UNKNOWN_CA, N_("this device's certificate is not from its authority; check --cert")},
	{TLS_ALERT_BAD_CERTIFICATE, N_("this device's certificate is not acceptable there; check --cert")},
	{TLS_ALERT_UNSUPPORTED_CERTIFICATE, N_("this device's certificate is not meant for devices; check --cert")},
	{TLS_ALERT_CERTIFICATE_REQUIRED, N_("it wants a device certificate; check --cert and --key")},
	{TLS_ALERT_DECRYPT_ERROR, N_("the private key does not belong to the certificate; check --cert and --key")},
};

int refusal_for_alert(enum tls_alert alert, const char *gateway, struct diag *out_diag)
{
	for (size_t i = 0; i < sizeof(certificate_alerts) / sizeof(certificate_alerts[0]); i++)
		if (certificate_alerts[i].alert == alert)
			return diag_set(out_diag, STATUS_DEVICE_REFUSED, _("The gateway %s refuses this device: %s"), gateway,
					_(certificate_alerts[i].sentence));
	return diag_set(out_diag, STATUS_UNREACHABLE, _("The gateway %s ended the connection with the TLS alert \"%s\"; ask your administrator"), gateway,
			tls_alert_name(alert));
}

int refusal_for_time(const struct refusal_times *times, const char *gateway, struct diag *out_diag)
{
	char from[32], until[32], now[32];
	bool good_here = times->not_after_s && times->now_s >= times->not_before_s && times->now_s < times->not_after_s;
	if (!good_here)
		return refusal_for_alert(TLS_ALERT_CERTIFICATE_EXPIRED, gateway, out_diag);
	clock_format((uint64_t)times->not_before_s * 1000, from, sizeof(from));
	clock_format((uint64_t)times->not_after_s * 1000, until, sizeof(until));
	clock_format((uint64_t)times->now_s * 1000, now, sizeof(now));
	return diag_set(out_diag, STATUS_DEVICE_REFUSED,
			_("The gateway %s says that this device's certificate has expired or is not valid yet. It is good from %s until %s, and "
			"this device's clock says %s: so this clock or the gateway's is wrong. Check this one, then ask your administrator"), gateway, from, until, now);
}

int refusal_for_server(const char *code, const char *detail, const char *gateway, struct diag *out_diag)
{
	static const struct {
		const char *code, *advice;
	} rows[] = {
		{"not_trusted", N_("give its authority with --ca; or is it this network's login page? Open a page in a browser first")},
		{"certificate_expired", N_("check this device's clock; if it is right, tell your administrator")},
		{"not_yet_valid", N_("check this device's clock")},
	};
	const char *advice = N_("tell your administrator");
	for (size_t i = 0; code && i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strcmp(rows[i].code, code) == 0)
			advice = rows[i].advice;
	return diag_set(out_diag, STATUS_UNREACHABLE, _("The certificate of the gateway %s is not good (%s); %s"), gateway,
			detail, _(advice));
}

int refusal_explain_handshake(const struct tls *tls, int result, const char *gateway, struct diag *diag)
{
	struct diag detail = *diag;
	if (result == ERR_DENIED)
		return refusal_for_server(tls_refusal(tls), detail.text, gateway, diag);
	if (tls_alert_received(tls) != TLS_ALERT_NONE)
		return refusal_for_alert(tls_alert_received(tls), gateway, diag);
	if (result == ERR_CLOSED)
		return diag_set(diag, STATUS_UNREACHABLE, _("The gateway %s closed the connection before it was made; try again later"),
				gateway);
	return diag_set(diag, STATUS_UNREACHABLE, _("No TLS connection with the gateway %s: %s; this network may want a login of its own: "
						  "open a page in a browser, then try again"), gateway,
			detail.text[0] ? detail.text : err_name(result));
}

int refusal_explain(const struct tls *tls, const char *gateway, bool answered, struct diag *out_diag)
{
	switch (tls_ending(tls)) {
	case TLS_ALERTED:
		return refusal_for_alert(tls_alert_received(tls), gateway, out_diag);
	case TLS_CLOSED:
		return diag_set(out_diag, STATUS_UNREACHABLE, _("The gateway %s closed the connection; try again"), gateway);
	case TLS_BROKEN:
		return diag_set(out_diag, STATUS_UNREACHABLE, _("The connection to the gateway %s was damaged on its way; try again"), gateway);
	default:
		return diag_set(out_diag, STATUS_UNREACHABLE, answered
				? _("The connection to the gateway %s was cut; try again")
				: _("The gateway %s cut the connection without an answer; try again later"), gateway);
	}
}

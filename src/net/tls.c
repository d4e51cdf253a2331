/* tls.c: a session's life: made, shaken hands, asked about, freed. */
#include "sallyport/tls.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "sallyport/x509.h"
#include "tls_internal.h"

static const gnutls_datum_t protocols[] = {{(unsigned char *)"h2", 2}, {(unsigned char *)"http/1.1", 8}};

static int setup(struct tls *tls, unsigned flags, unsigned alpn_flags)
{
	if (gnutls_init(&tls->session, flags | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL | GNUTLS_NO_TICKETS) < 0)
		return ERR_SYSTEM;
	gnutls_session_set_ptr(tls->session, tls);
	gnutls_handshake_set_timeout(tls->session, GNUTLS_INDEFINITE_TIMEOUT); /* time limits are the caller's */
	if (gnutls_priority_set(tls->session, tls->credentials->priority) < 0 ||
	    gnutls_credentials_set(tls->session, GNUTLS_CRD_CERTIFICATE, tls->credentials->certificate) < 0 ||
	    gnutls_alpn_set_protocols(tls->session, protocols, 2, alpn_flags) < 0)
		return ERR_BUG;
	tls_records_setup(tls);
	return 0;
}

static struct tls *new_session(const struct tls_credentials *credentials, int fd)
{
	struct tls *tls = calloc(1, sizeof(*tls));
	if (!tls)
		return NULL;
	tls->credentials = credentials;
	tls->role = credentials->role;
	tls->fd = fd;
	return tls;
}

int tls_new_server(const struct tls_credentials *credentials, int fd, const struct tls_server_options *options,
		   struct tls **out_tls, struct diag *diag)
{
	if (credentials->role != TLS_SERVER)
		return diag_set(diag, ERR_BUG, "these credentials are not a server's");
	OWN(own_tls) struct tls *tls = new_session(credentials, fd);
	if (!tls)
		return diag_set(diag, ERR_SYSTEM, "out of memory");
	tls->input_limit = options->input_limit_bytes;
	tls->sign = options->sign;
	tls->sign_owner = options->owner;
	tls->expired_grace_s = options->expired_grace_s;
	/* MANDATORY: a client whose list has neither of ours gets an alert; one without a list is served. */
	int result = setup(tls, GNUTLS_SERVER, GNUTLS_ALPN_SERVER_PRECEDENCE | GNUTLS_ALPN_MANDATORY);
	if (result == 0)
		result = tls_signing_setup(tls);
	if (result == 0)
		result = tls_transcript_setup(tls);
	if (result < 0)
		return diag_set(diag, result, "a TLS session cannot be made");
	gnutls_certificate_server_set_request(tls->session, options->anonymous ? GNUTLS_CERT_IGNORE : GNUTLS_CERT_REQUIRE);
	*out_tls = take_pointer(&tls);
	return 0;
}

static bool is_address(const char *host)
{
	uint8_t address[16];
	return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

int tls_new_client(const struct tls_credentials *credentials, int fd, const char *host, struct tls **out_tls,
		   struct diag *diag)
{
	if (credentials->role != TLS_CLIENT)
		return diag_set(diag, ERR_BUG, "these credentials are not a client's");
	OWN(own_tls) struct tls *tls = new_session(credentials, fd);
	if (!tls || !(tls->host = strdup(host)))
		return diag_set(diag, ERR_SYSTEM, "out of memory");
	/* FORCE: the certificate that was configured is shown even if the server names other authorities, so
	 * that the answer is about this certificate and not "none was shown". */
	int result = setup(tls, GNUTLS_CLIENT | GNUTLS_FORCE_CLIENT_CERT, 0);
	if (result == 0 && !is_address(host) &&
	    gnutls_server_name_set(tls->session, GNUTLS_NAME_DNS, host, strlen(host)) < 0)
		return diag_set(diag, ERR_BAD_INPUT, "\"%s\" is not a host name", host);
	if (result < 0)
		return diag_set(diag, result, "a TLS session cannot be made");
	*out_tls = take_pointer(&tls);
	return 0;
}

void tls_free(struct tls *tls)
{
	if (!tls)
		return;
	tls_records_fini(tls);
	if (tls->session)
		gnutls_deinit(tls->session);
	if (tls->key)
		gnutls_privkey_deinit(tls->key);
	tls_proof_release(tls);
	free(tls->host);
	free(tls->refusal_sentence);
	free(tls);
}

/* ---- handshake ---- */

static int refused(struct tls *tls, struct diag *diag)
{
	if (tls->ending == TLS_OPEN)
		tls->ending = TLS_BROKEN;
	if (tls_send_alert(tls, tls_alert_for(view_string(tls->refusal))) < 0)
		tls->output_failed = true;
	return diag_set(diag, ERR_DENIED, "%s", tls->refusal_sentence ? tls->refusal_sentence->text : tls->refusal);
}

/* RFC 8446 D.2 wants protocol_version: GnuTLS agrees to the older version of such a client, and then finds no cipher suite of it. */
static bool is_of_older_version(const struct tls *tls, int gnutls_result)
{
	return gnutls_result == GNUTLS_E_NO_CIPHER_SUITES && gnutls_protocol_get_version(tls->session) < GNUTLS_TLS1_3;
}

static int failed(struct tls *tls, int gnutls_result, struct diag *diag)
{
	if (is_of_older_version(tls, gnutls_result))
		gnutls_result = GNUTLS_E_UNSUPPORTED_VERSION_PACKET;
	tls_verify_after_failure(tls, gnutls_result);
	if (tls->refusal)
		return refused(tls, diag);
	if (tls->sign_result < 0) {
		tls->ending = TLS_BROKEN;
		(void)tls_send_alert(tls, TLS_ALERT_INTERNAL_ERROR);
		return diag_set(diag, tls->sign_result, "the handshake was not signed");
	}
	int result = tls_records_ended(tls, gnutls_result);
	if (result == ERR_LIMIT)
		return diag_set(diag, result, "more than %zu bytes came before the device was accepted",
				tls->input_limit);
	if (tls->ending == TLS_CUT || tls->ending == TLS_RESET)
		return diag_set(diag, ERR_CLOSED, "the other side went away during the handshake");
	if (tls->ending == TLS_ALERTED)
		tls_explain(tls, diag);
	else
		diag_set(diag, result, "the TLS handshake failed: %s", gnutls_strerror(gnutls_result));
	return result;
}

int tls_handshake(struct tls *tls, struct diag *diag)
{
	if (tls->ready)
		return 0;
	int result;
	do
		result = gnutls_handshake(tls->session);
	while (result < 0 && result != GNUTLS_E_AGAIN && !gnutls_error_is_fatal(result));
	if (result < 0 && result != GNUTLS_E_AGAIN) {
		result = failed(tls, result, diag);
		/* A server's alert waits in the batch: the refusal is recorded before it shows. */
		if (tls->host)
			(void)tls_flush(tls);
		return result;
	}
	/* What was said must reach the peer in any case; its answer is what the caller polls for. */
	int flushed = tls_flush(tls);
	if (flushed < 0 && flushed != ERR_AGAIN)
		return diag_set(diag, ERR_CLOSED, "the other side went away during the handshake");
	tls->drained = false;
	if (result == GNUTLS_E_AGAIN)
		return ERR_AGAIN;
	tls->ready = true;
	free(take_pointer(&tls->host));
	return 0;
}

const char *tls_refusal(const struct tls *tls)
{
	return tls->refusal;
}

bool tls_is_undecided(const struct tls *tls)
{
	bool asked = tls->transcript && tls->transcript->signed_size && tls->sign_result == 0;
	bool broken = tls->ending == TLS_BROKEN && (!tls->refusal || strcmp(tls->refusal, "no_certificate") != 0);
	return asked && !broken && !tls->input_over_limit && tls_peer_leaf(tls).size == 0;
}

void tls_accept(struct tls *tls)
{
	tls->input_limit = 0;
}

/* ---- facts ---- */

enum tls_application tls_application(const struct tls *tls)
{
	gnutls_datum_t chosen = {0};
	if (gnutls_alpn_get_selected_protocol(tls->session, &chosen) < 0)
		return TLS_HTTP1;
	return view_is(datum_view(&chosen), "h2") ? TLS_HTTP2 : TLS_HTTP1;
}

const char *tls_protocol_name(const struct tls *tls)
{
	return gnutls_protocol_get_name(gnutls_protocol_get_version(tls->session));
}

const char *tls_suite_name(const struct tls *tls)
{
	return gnutls_ciphersuite_get(tls->session);
}

struct view tls_peer_leaf(const struct tls *tls)
{
	unsigned count = 0;
	const gnutls_datum_t *chain = gnutls_certificate_get_peers(tls->session, &count);
	return chain && count ? datum_view(&chain[0]) : view_of(NULL, 0);
}

int tls_peer_fingerprint(const struct tls *tls, uint8_t out_fingerprint[TLS_FINGERPRINT_SIZE])
{
	struct view leaf = tls_peer_leaf(tls);
	if (!leaf.size)
		return ERR_NOT_FOUND;
	x509_fingerprint(leaf, out_fingerprint);
	return 0;
}

enum tls_ending tls_ending(const struct tls *tls)
{
	return tls->ending;
}

enum tls_alert tls_alert_received(const struct tls *tls)
{
	return tls->alert;
}

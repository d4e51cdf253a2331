/* tls.h: one TLS 1.3 session on one non-blocking descriptor, client or server.
 *
 * Answers for: the handshake, the checks of the peer's certificate that need no registry, alerts, records
 * in few system calls, and the handshake's transcript for the device proof (gateway/signer checks it).
 * Leaves to its caller: when to call (poll), time limits, what the bytes mean, closing the descriptor.
 * TLS 1.3 only; no tickets, no early data, no resumption, no renegotiation, no compression. One session is
 * used by one thread. Only src/net/tls*.c know GnuTLS's TLS functions.
 *
 * A server's life:
 *     tls_new_server, tls_handshake until 0, tls_proof -> signer, tls_proof_release, (broker accepts)
 *     tls_accept, then tls_read until ERR_AGAIN / tls_write / tls_flush as the descriptor allows.
 */
#ifndef SALLYPORT_TLS_H
#define SALLYPORT_TLS_H

#include <stdbool.h>
#include <stdint.h>

#include "sallyport/buf.h"
#include "sallyport/err.h"
#include "sallyport/own.h"

#define TLS_FINGERPRINT_SIZE 32
/* Most plain bytes in one record. */
#define TLS_RECORD_MAX 16384

struct tls;
struct tls_credentials;

/* The hash of the cipher suite; the numbers are those of enum worker_signer_hash. */
enum tls_hash { TLS_SHA256 = 1, TLS_SHA384 = 2 };

/* What ALPN settled on; a client that offers none gets HTTP/1.1. */
enum tls_application { TLS_HTTP1, TLS_HTTP2 };

/* Alerts (RFC 8446 6) that callers send or see. */
enum tls_alert {
	TLS_ALERT_NONE = -1,
	TLS_ALERT_CLOSE_NOTIFY = 0,
	TLS_ALERT_HANDSHAKE_FAILURE = 40,
	TLS_ALERT_BAD_CERTIFICATE = 42,
	TLS_ALERT_UNSUPPORTED_CERTIFICATE = 43,
	TLS_ALERT_CERTIFICATE_REVOKED = 44,
	TLS_ALERT_CERTIFICATE_EXPIRED = 45,
	TLS_ALERT_CERTIFICATE_UNKNOWN = 46,
	TLS_ALERT_UNKNOWN_CA = 48,
	TLS_ALERT_ACCESS_DENIED = 49,
	TLS_ALERT_DECRYPT_ERROR = 51,
	TLS_ALERT_INTERNAL_ERROR = 80,
	TLS_ALERT_USER_CANCELED = 90,
	TLS_ALERT_CERTIFICATE_REQUIRED = 116,
	TLS_ALERT_NO_APPLICATION_PROTOCOL = 120,
};

/* How the receiving direction ended. */
enum tls_ending {
	TLS_OPEN,
	TLS_CLOSED,  /* close_notify: every byte has arrived */
	TLS_CUT,     /* FIN without close_notify: something may be missing */
	TLS_RESET,   /* RST */
	TLS_ALERTED, /* a fatal alert: tls_alert_received */
	TLS_BROKEN,  /* not TLS, or not as it should be */
};

/* ---- credentials ---- */

/* What a server signs with. It builds nothing itself: the signer hashes `transcript` (messages with their
 * 4-byte headers from ClientHello to the server's Certificate; after a HelloRetryRequest with message_hash
 * in front), makes the CertificateVerify content (RFC 8446 4.4.3) and signs it with `scheme` (RFC 8446
 * 4.2.3, e.g. 0x0403). The handler blocks until it has the signature. */
struct tls_signing {
	enum tls_hash hash;
	uint16_t scheme;
	struct view transcript;
};
typedef int (*tls_sign_handler)(void *owner, const struct tls_signing *signing, struct buf *out_signature);

/* For servers: the chain shown (PEM, leaf first) and the device authority (PEM) that clients must chain
 * to. Holds no private key. Built once before fork; then shared by any number of sessions.
 * ERR_BAD_CONFIG with a sentence when a PEM does not hold what it should. */
[[nodiscard]] int tls_credentials_server(struct view chain_pem, struct view authority_pem,
					 struct tls_credentials **out_credentials, struct diag *diag);

/* For clients: paths of PEM files, or PKCS#11 URLs for certificate and key. `authority` empty or NULL: the
 * system's trust list. `certificate` NULL: none is shown. */
struct tls_client_files {
	const char *authority;
	const char *certificate;
	const char *key;
	/* Whoever answers is accepted: only to fetch what is then compared with a pin (RFC 7030 4.1.1). */
	bool unverified;
};
[[nodiscard]] int tls_credentials_client(const struct tls_client_files *files,
					 struct tls_credentials **out_credentials, struct diag *diag);
void tls_credentials_free(struct tls_credentials *credentials);
DEFINE_OWN(tls_credentials, struct tls_credentials *, tls_credentials_free)

/* ---- a session ---- */

struct tls_server_options {
	size_t input_limit_bytes; /* most bytes from the client before tls_accept (handshake_bytes) */
	tls_sign_handler sign;
	void *owner; /* of `sign` */
	/* An expired certificate is let through the handshake for so long after its end (promise A1 then rests on
	 * the caller, which must serve it nothing but its renewal). 0: not at all. */
	uint64_t expired_grace_s;
	/* The enrolment listener: no certificate is asked of the client; there is no proof then. */
	bool anonymous;
};

/* Borrows fd (a connected non-blocking socket; TCP_NODELAY and TCP_NOTSENT_LOWAT are set on it where it is
 * TCP) and credentials; both must outlive the session. The caller closes fd, after tls_free. */
[[nodiscard]] int tls_new_server(const struct tls_credentials *credentials, int fd,
				 const struct tls_server_options *options, struct tls **out_tls, struct diag *diag);
/* `host`: DNS name or IP address literal that the server's certificate must carry. Offers h2, http/1.1. */
[[nodiscard]] int tls_new_client(const struct tls_credentials *credentials, int fd, const char *host,
				 struct tls **out_tls, struct diag *diag);
/* Sends nothing; wipes and frees. NULL is allowed. */
void tls_free(struct tls *tls);
DEFINE_OWN(tls, struct tls *, tls_free)

/* Call until it is not ERR_AGAIN; between, poll for reading, and for writing when tls_wants_write.
 *   0           done
 *   ERR_DENIED  this side refused the other: tls_refusal and the diag say why. The alert is in the batch:
 *               tls_flush, shut the socket for writing, tls_discard_input until it ends, close.
 *   ERR_CLOSED  the peer went away; ERR_LIMIT more than input_limit_bytes came; ERR_BAD_PEER not TLS, an
 *               alert (named in the diag), nothing in common. An alert is in the batch where one fits.
 *   others      as their names say; from the sign handler its own result. */
[[nodiscard]] int tls_handshake(struct tls *tls, struct diag *diag);

/* The stable code of a refusal ("not_trusted", "certificate_expired", "not_yet_valid", "wrong_purpose",
 * "weak_key", "no_certificate", "proof_failed"), or NULL. A constant. */
const char *tls_refusal(const struct tls *tls);

/* A server's client that has all it needs to choose a certificate and has shown none: it left, said that it has none, or is
 * still silent. False for one that has not spoken TLS so far, or broke its rules. Also after a handshake that failed. */
bool tls_is_undecided(const struct tls *tls);

/* Lifts input_limit_bytes: door one is open. */
void tls_accept(struct tls *tls);

enum tls_application tls_application(const struct tls *tls);
/* "TLS1.3" and "TLS_AES_128_GCM_SHA256"; valid after the handshake, as long as the session. */
const char *tls_protocol_name(const struct tls *tls);
const char *tls_suite_name(const struct tls *tls);
/* The peer's leaf certificate in DER; an empty view when it showed none. Valid as long as the session; on
 * the server also after a refused handshake. */
struct view tls_peer_leaf(const struct tls *tls);
/* SHA-256 of it. ERR_NOT_FOUND when there is none. */
[[nodiscard]] int tls_peer_fingerprint(const struct tls *tls, uint8_t out_fingerprint[TLS_FINGERPRINT_SIZE]);

/* ---- the device proof (server, after the handshake) ---- */

/* `rest` follows the transcript that was given to the sign handler: the server's CertificateVerify and
 * Finished, the client's Certificate. `signature` is the client's, over all of that. Views are valid until
 * tls_proof_release. ERR_NOT_FOUND before the handshake is done or after the release. */
struct tls_proof {
	enum tls_hash hash;
	struct view transcript;
	struct view rest;
	uint16_t scheme;
	struct view signature;
};
[[nodiscard]] int tls_proof(const struct tls *tls, struct tls_proof *out_proof);
/* Gives the transcript's memory back. Idempotent. */
void tls_proof_release(struct tls *tls);

/* ---- bytes ---- */

/* The plain bytes of the next record; valid until the next call of tls_read. Call until ERR_AGAIN: what is
 * inside the session already makes no descriptor readable.
 *   0 bytes in out_bytes (never none); ERR_AGAIN nothing now; ERR_CLOSED close_notify (the other direction
 *   stays open); ERR_BAD_PEER the rest of enum tls_ending; ERR_LIMIT before tls_accept. */
[[nodiscard]] int tls_read(struct tls *tls, struct view *out_bytes);
enum tls_ending tls_ending(const struct tls *tls);
/* TLS_ALERT_NONE when no fatal alert came. */
enum tls_alert tls_alert_received(const struct tls *tls);
/* A sentence about how the session ended, for a user: names the alert and what it means for a client whose
 * certificate was refused ("the gateway refused this device's certificate: it is revoked"). */
void tls_explain(const struct tls *tls, struct diag *out_diag);

/* Takes all bytes into the batch, in order, or none: ERR_AGAIN when the batch is full (tls_flush first),
 * ERR_CLOSED when this direction was ended. Small pieces are gathered into one record until tls_flush;
 * pieces of exactly TLS_RECORD_MAX become a record each without a copy. */
[[nodiscard]] int tls_write(struct tls *tls, struct view bytes);
/* True when tls_write would take bytes now. */
bool tls_can_write(const struct tls *tls);
/* Sends the batch. 0 when nothing is left, ERR_AGAIN when the rest waits for a writable descriptor,
 * ERR_BAD_PEER when the connection is gone. */
[[nodiscard]] int tls_flush(struct tls *tls);
/* Gives back the buffers that are kept for the next burst. Call when nothing has moved for a second or so
 * (and malloc_trim(3) after it). Harmless at any time. */
void tls_trim(struct tls *tls);
/* True when something waits for a writable descriptor. */
bool tls_wants_write(const struct tls *tls);
/* Puts close_notify into the batch: no more tls_write. The other direction stays open. Idempotent. */
[[nodiscard]] int tls_close_write(struct tls *tls);
/* Puts a fatal alert into the batch: no more tls_write. Then as after ERR_DENIED above. */
[[nodiscard]] int tls_send_alert(struct tls *tls, enum tls_alert alert);
/* Reads and drops raw input, so that closing does not turn into an RST that overtakes the alert.
 * ERR_AGAIN until the peer has ended; ERR_CLOSED then. */
[[nodiscard]] int tls_discard_input(struct tls *tls);

/* The alert that fits a code of door one ("device_revoked" -> certificate_revoked, ...); access_denied
 * when none fits better. */
enum tls_alert tls_alert_for(struct view code);
/* "certificate revoked"; "unknown alert" for what is none. */
const char *tls_alert_name(enum tls_alert alert);

#endif

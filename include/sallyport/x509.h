/* x509.h: certificates, requests and keys as pure functions on PEM and DER. No files, no sessions.
 *
 * Used by tls (the profile of a device's leaf), the worker and sallyport-admin (requests), sallyport-admin
 * init (authorities, server certificate) and the signer (gateway/signer/issue.c builds device certificates
 * itself and may use x509_issue). Owner of the rules of promise A6.
 */
#ifndef SALLYPORT_X509_H
#define SALLYPORT_X509_H

#include <stdint.h>

#include "sallyport/buf.h"
#include "sallyport/err.h"

#define X509_FINGERPRINT_SIZE 32
#define X509_SERIAL_SIZE 16
/* Larger requests and certificates are refused unread. */
#define X509_INPUT_MAX 65536

/* SHA-256 of the DER. */
void x509_fingerprint(struct view der, uint8_t out_fingerprint[X509_FINGERPRINT_SIZE]);

/* ---- PEM ---- */

/* The DER of the first PEM block with that label ("CERTIFICATE", "CERTIFICATE REQUEST"). Appends.
 * ERR_BAD_INPUT when there is none or it is damaged. */
[[nodiscard]] int x509_pem_to_der(struct view pem, const char *label, struct buf *out_der);
[[nodiscard]] int x509_der_to_pem(struct view der, const char *label, struct buf *out_pem);

/* ---- the profile of a device's leaf (A6) ---- */

/* No look at chain or validity: clientAuth named explicitly, not an authority, EC P-256/P-384, Ed25519 or
 * RSA of 2048 bits and more, not signed with MD5 or SHA-1, no wildcard, one device only. Returns 0, or
 * ERR_DENIED with *out_code ("wrong_purpose", "weak_key") and a sentence; ERR_BAD_INPUT when it is not a
 * certificate (code "not_trusted"). */
[[nodiscard]] int x509_check_leaf(struct view der, const char **out_code, struct diag *diag);

/* ---- requests ---- */

/* A certificate request (PKCS#10, PEM or DER): checks its own signature and the key's strength, appends
 * the public key (SubjectPublicKeyInfo, DER). Nothing else of the request is used. ERR_BAD_INPUT (garbage,
 * more than X509_INPUT_MAX), ERR_DENIED (its signature is wrong, the key is too weak), with one sentence. */
[[nodiscard]] int x509_request_public_key(struct view request, struct buf *out_public_key, struct diag *diag);
/* The names that a request asks for, one a line: common names and alternative names. Appends at most X509_NAMES_MAX bytes;
 * what cannot be a name of ours (not printable, too long) is left out. Of a request that was checked. */
#define X509_NAMES_MAX 1024
void x509_request_names(struct view request, struct buf *out_lines);
/* Strength alone, for a public key in DER. ERR_BAD_INPUT or ERR_DENIED with a sentence. */
[[nodiscard]] int x509_check_public_key(struct view public_key, struct diag *diag);
/* "ec-p256" "ec-p384" "ed25519" "rsa-2048"..., for people; cut at capacity. */
[[nodiscard]] int x509_key_kind(struct view public_key, char *out_kind, size_t capacity);

/* ---- EST's answers (RFC 7030 4.1.3) ---- */

/* Certificates without a signature of their own (PKCS#7, "certs-only"), as base64 text. Each item is one
 * certificate or several, PEM or DER; empty ones are skipped. Appends. ERR_BAD_INPUT with a sentence. */
[[nodiscard]] int x509_certs_only(const struct view *certificates, size_t count, struct buf *out_base64, struct diag *diag);
/* The other way: DER of the certificate that holds this public key. ERR_NOT_FOUND when there is none. */
[[nodiscard]] int x509_certs_only_find(struct view base64, struct view public_key, struct buf *out_der, struct diag *diag);
/* DER of the certificate with this fingerprint. ERR_NOT_FOUND. */
[[nodiscard]] int x509_certs_only_pinned(struct view base64, const uint8_t fingerprint[X509_FINGERPRINT_SIZE],
					 struct buf *out_der, struct diag *diag);
/* Base64 without or with line ends, into bytes. Appends. ERR_BAD_INPUT. */
[[nodiscard]] int x509_from_base64(struct view base64, struct buf *out_bytes);
[[nodiscard]] int x509_to_base64(struct view bytes, struct buf *out_base64);

/* ---- tokens ---- */

/* Fills in the PIN of a token; 0, or negative when nobody knows it. */
typedef int (*x509_pin_handler)(void *owner, const char *token_label, char *out_pin, size_t capacity);
/* Who is asked when a key in a token wants a PIN; for the whole process, once, before any key is used. A wrong PIN
 * is not tried twice. */
void x509_token_pins(x509_pin_handler handler, void *owner);
/* The PIN in the file that a URL names with pin-source=file:PATH. ERR_NOT_FOUND without one. Wipe it. */
[[nodiscard]] int x509_token_pin_from_file(const char *url, char *out_pin, size_t capacity);
/* Makes a P-256 key in the token where the URL names one (object=NAME) that is not there; it cannot leave the token.
 * ERR_BAD_INPUT with a sentence. */
[[nodiscard]] int x509_token_key_ensure(const char *url, struct diag *diag);

/* ---- for browsers ---- */

/* Certificate and key as PKCS#12 (RFC 7292) under a passphrase. The key is secret: give an OWN_SECRET_BUF. Appends DER.
 * ERR_BAD_INPUT with a sentence. */
[[nodiscard]] int x509_pkcs12(struct view certificate_pem, struct view key_pem, const char *name, const char *passphrase,
			      struct buf *out_der, struct diag *diag);

/* ---- facts ---- */

struct x509_facts {
	char name[256];    /* common name, printable */
	char issuer[256];  /* the issuer's common name */
	char serial[2 * 20 + 1];
	char key_kind[16];
	char responder[513]; /* OCSP, http:// or https://; empty: it names none */
	uint8_t fingerprint[X509_FINGERPRINT_SIZE];
	int64_t not_before_s, not_after_s; /* Unix time */
};
/* Of a certificate in PEM or DER. */
[[nodiscard]] int x509_facts(struct view certificate, struct x509_facts *out_facts, struct diag *diag);

/* ---- keys and certificates of our own making ---- */

/* A new P-256 key (PKCS#8, PEM). Secret: give an OWN_SECRET_BUF. */
[[nodiscard]] int x509_key_make(struct buf *out_key_pem, struct diag *diag);
/* Wherever a private key is wanted below, a PKCS#11 URL (RFC 7512) may stand instead of PEM. */
/* The public half of a private key in PEM (DER SubjectPublicKeyInfo). */
[[nodiscard]] int x509_key_public(struct view key_pem, struct buf *out_public_key, struct diag *diag);
/* Whether that authority's certificate (PEM or DER both) names itself as the issuer of it and has signed it. */
bool x509_is_signed_by(struct view certificate, struct view authority);
/* Whether a certificate (PEM or DER) is good for a server of that name (DNS name or IP literal; RFC 6125). */
bool x509_names_host(struct view certificate, const char *host);
/* The public key of a certificate in PEM or DER. */
[[nodiscard]] int x509_certificate_public_key(struct view certificate, struct buf *out_public_key, struct diag *diag);
/* A request for that key, signed by it (PEM). The name is only a label. */
[[nodiscard]] int x509_request_make(struct view key_pem, const char *name, struct buf *out_request_pem,
				    struct diag *diag);

enum x509_purpose {
	X509_AUTHORITY, /* CA:TRUE with path length 0, keyCertSign and cRLSign */
	X509_SERVER,    /* serverAuth; `name` (DNS name or IP literal) is also the subjectAltName */
	X509_DEVICE,    /* clientAuth; `name` is the common name */
};

struct x509_order {
	enum x509_purpose purpose;
	const char *name;
	struct view public_key;                /* DER */
	int64_t not_before_s, not_after_s;     /* Unix time */
	const uint8_t *serial;                 /* X509_SERIAL_SIZE bytes; NULL: random */
	struct view issuer_certificate;        /* PEM or DER; empty: self-signed */
	struct view issuer_key_pem;
};
/* Signs with SHA-256 (ECDSA P-256, RSA), SHA-384 (P-384) or Ed25519, as the issuer's key is. Appends the
 * certificate in DER. ERR_BAD_INPUT with a sentence when the order cannot be carried out. */
[[nodiscard]] int x509_issue(const struct x509_order *order, struct buf *out_der, struct diag *diag);

#endif

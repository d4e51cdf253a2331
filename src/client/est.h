/* est.h: certificates from the gateway (EST, RFC 7030): the authorities, the first one, the next one. */
#ifndef CLIENT_EST_H
#define CLIENT_EST_H

#include "connection.h"
#include "loop.h"
#include "sallyport/x509.h"

/* One connection for such requests. */
struct est {
	struct loop *loop;
	struct settings settings; /* host and port only */
	struct device device;
	struct connection *connection;
};

/* Connects. `files` as of tls.h. */
[[nodiscard]] int est_open(struct est *est, struct loop *loop, const char *host, uint16_t port,
			   const struct tls_client_files *files, struct diag *diag);
void est_close(struct est *est);
#define OWN_EST OWN(est_close)

/* Appends the certificate (DER) with that fingerprint of those that the gateway names. */
[[nodiscard]] int est_authority(struct est *est, const uint8_t pin[X509_FINGERPRINT_SIZE], struct buf *out_der,
				struct diag *diag);

struct est_request {
	const char *path;          /* "/.well-known/est/simpleenroll" */
	const char *authorization; /* NULL: none */
	struct view key;           /* PEM, or a PKCS#11 URL */
};
/* Appends the certificate (DER), or leaves it empty: an administrator must approve it first; ask again after
 * *out_wait_s. */
[[nodiscard]] int est_certificate(struct est *est, const struct est_request *request, struct buf *out_der,
				  unsigned *out_wait_s, struct diag *diag);

/* "ABCD-EFGH" (10 characters with NUL): the same at both ends when the same key has arrived. `about`: the invitation's id, or
 * EST_RENEWAL for the renewal of an expired certificate. */
#define EST_RENEWAL "renewal-"
[[nodiscard]] int est_confirmation(const char *about, struct view key, char *out_code, struct diag *diag);

/* "software", "pkcs11" or "tpm": where a key lives, as far as its place says. */
const char *est_key_store(struct view key);

#endif

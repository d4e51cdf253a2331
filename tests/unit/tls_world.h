/* tls_world.h: two ends of a TLS connection in one process, for tests: authorities, certificates, a signer
 * that works as gateway/signer does, and a client made of bare GnuTLS whose manners can be chosen. */
#ifndef SALLYPORT_TESTS_TLS_WORLD_H
#define SALLYPORT_TESTS_TLS_WORLD_H

#include <gnutls/gnutls.h>

#include "sallyport/tls.h"
#include "sallyport/x509.h"

#define WORLD_HOST "gateway.test"

struct world_identity {
	struct buf key_pem;
	struct buf certificate_der;
	struct buf certificate_pem;
};

struct world {
	struct world_identity device_authority, server_authority, server, device;
	struct tls_credentials *server_credentials;
};

/* Everything good, made once. */
void world_init(struct world *world);
void world_fini(struct world *world);

/* A certificate for `key_pem` (a new P-256 key when NULL). `issuer` NULL: self-signed. */
void world_issue(struct world_identity *identity, enum x509_purpose purpose, const char *name, const char *key_pem,
		 const struct world_identity *issuer, int64_t not_before_s, int64_t not_after_s);
void world_identity_fini(struct world_identity *identity);

/* One connection over a socket pair. */
struct meeting {
	struct world *world;
	int server_fd, client_fd;
	struct tls *server;
	gnutls_session_t client; /* bare GnuTLS */
	gnutls_certificate_credentials_t client_credentials;
	size_t signatures;
	enum tls_hash hash;      /* what the signer was asked */
	struct buf transcript;
	int server_result, client_result;
	struct diag server_diag;
};

/* `identity` NULL: the client has no certificate. `priority` NULL: GnuTLS's default, TLS 1.3. */
void meeting_init(struct meeting *meeting, struct world *world, const struct world_identity *identity,
		  const char *priority);
/* Runs both ends until each is done or has failed. */
void meeting_shake(struct meeting *meeting);
void meeting_fini(struct meeting *meeting);
/* The signer's part; usable as tls_sign_handler with a meeting as owner. */
int meeting_sign(void *owner, const struct tls_signing *signing, struct buf *out_signature);
/* What the signer checks later: the client's signature over transcript and rest, by the device's key. */
bool meeting_proof_holds(const struct meeting *meeting, const struct tls_proof *proof,
			 const struct world_identity *device);

/* A turn of the server's handshake as a worker takes it: what it has to say goes out, an alert too. */
int server_turn(struct tls *server, struct diag *diag);

#endif

/* keyring.h: the private keys of the gateway: in this process, and in no other. */
#ifndef SALLYPORT_SIGNER_KEYRING_H
#define SALLYPORT_SIGNER_KEYRING_H

#include <gnutls/abstract.h>
#include <gnutls/x509.h>

#include "issuers.h"
#include "room.h"
#include "sallyport/buf.h"
#include "sallyport/own.h"
#include "token.h"

struct keyring {
	/* Of keys in tokens: read from the files that their URLs name. */
	struct token_pin server_pin, authority_pin;
	gnutls_privkey_t server_key;
	gnutls_pubkey_t server_public;
	struct buf server_leaf; /* DER of the certificate that the gateway shows */
	gnutls_x509_crt_t authority; /* our own, of those in device_authority: the one whose key is there */
	uint8_t authority_fingerprint[32];
	gnutls_privkey_t authority_key;
	gnutls_privkey_t audit_key; /* signs checkpoints of the record; NULL: there is none */
	uint8_t audit_key_id[32];   /* SHA-256 of its public half */
	struct issuers issuers;     /* other authorities whose lists are read */
};

/* Reads keys and certificates from the received descriptors and checks that they belong together and are
 * fit for their purpose. ERR_BAD_CONFIG with a sentence that names the file. Also after the door is locked. */
[[nodiscard]] int keyring_load(struct room *room, struct keyring **out_keyring, struct diag *diag);
/* NULL-safe; GnuTLS wipes the keys. */
void keyring_free(struct keyring *keyring);
DEFINE_OWN(keyring, struct keyring *, keyring_free)

#endif

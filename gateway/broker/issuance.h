/* issuance.h: one device certificate, from a public key to the record: for a new device, a renewal, a reinvitation.
 *
 * The owner makes the certificate's object, begins, and is told once: the signer has signed, and the owner's own
 * writes and the certificate's row are committed together, or nothing is.
 */
#ifndef SALLYPORT_BROKER_ISSUANCE_H
#define SALLYPORT_BROKER_ISSUANCE_H

#include "registry.h"
#include "signer_edge.h"

#define ISSUANCE_DER_MAX 16384

struct issuance {
	struct broker *broker;
	const char *device_id, *device_name; /* the owner's, until done */
	struct certificate *certificate;     /* owned; taken by the owner when it is good */
	/* The owner's writes, on the store's thread, before the certificate's row. */
	int (*record)(struct store_db *db, struct issuance *issuance, struct diag *diag);
	/* On the loop, never from inside issuance_begin. */
	void (*done)(struct issuance *issuance, int result, const struct diag *diag);
	void *owner;
	/* Its own: */
	struct signer_issue ask;
	struct store_operation operation;
	int result;
	struct diag diag;
};

struct issuance_key {
	struct view public_key; /* DER SubjectPublicKeyInfo */
	const char *kind;       /* "ec-p256"; NULL or empty: not known */
	const char *store;      /* "software" "pkcs11" "tpm": a claim; NULL or empty: none */
};

/* An object with that key, fresh serial and dates, not issued yet. NULL without memory. */
struct certificate *issuance_certificate(const struct broker *broker, const struct issuance_key *key, uint32_t generation);
void issuance_begin(struct issuance *issuance);
/* Frees a certificate that was not taken. */
void issuance_fini(struct issuance *issuance);

/* Random hexadecimal, with its first bit clear: 2 * bytes characters and NUL. */
void issuance_random_hex(char *out_text, size_t bytes);

#endif

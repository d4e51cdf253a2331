/* issuers.h: other authorities (sections `authority` of gateway.conf), and whether a list of revoked certificates is theirs.
 *
 * The broker reads no stranger's DER and knows no signatures; this room has both, and holds the authorities' certificates
 * anyway. Counterpart: gateway/broker/issuers.c.
 */
#ifndef SALLYPORT_SIGNER_ISSUERS_H
#define SALLYPORT_SIGNER_ISSUERS_H

#include <gnutls/abstract.h>
#include <gnutls/x509.h>

#include "crl.h"
#include "room.h"
#include "sallyport/issuer.h"

struct issuer_entry {
	char name[ISSUER_NAME_MAX + 1];
	gnutls_x509_crt_t certificate;
	gnutls_pubkey_t public;
};
struct issuers {
	struct issuer_entry list[ISSUERS_MAX];
	unsigned count;
};

/* From the received descriptors; each must be one of those that are trusted for devices (NULL: a gap). ERR_BAD_CONFIG with a
 * sentence. */
[[nodiscard]] int issuers_load(struct room *room, gnutls_x509_crt_t const *trusted, unsigned trusted_count,
			       struct issuers *out_issuers, struct diag *diag);
void issuers_fini(struct issuers *issuers);

/* NULL when there is none of that name. */
const struct issuer_entry *issuers_find(const struct issuers *issuers, struct view name);
/* Whether these bytes (DER or PEM) are a whole list that this authority has signed: then out_crl is ready for crl_next; it
 * borrows from out_der. Whether it is fresh is not asked here. ERR_NOT_FOUND, ERR_BAD_INPUT, ERR_DENIED, with a sentence. */
[[nodiscard]] int issuers_open_list(const struct issuers *issuers, struct view name, struct view bytes, struct buf *out_der,
				    struct crl *out_crl, struct diag *diag);

#endif

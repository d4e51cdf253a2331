/* gnutls_own.h: GnuTLS's types for OWN(...), and views of its datums. Private to src/net. */
#ifndef SALLYPORT_NET_GNUTLS_OWN_H
#define SALLYPORT_NET_GNUTLS_OWN_H

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "sallyport/buf.h"
#include "sallyport/own.h"

DEFINE_OWN(certificate, gnutls_x509_crt_t, gnutls_x509_crt_deinit)
DEFINE_OWN(request, gnutls_x509_crq_t, gnutls_x509_crq_deinit)
DEFINE_OWN(public_key, gnutls_pubkey_t, gnutls_pubkey_deinit)
DEFINE_OWN(private_key, gnutls_privkey_t, gnutls_privkey_deinit)
DEFINE_OWN(raw_private_key, gnutls_x509_privkey_t, gnutls_x509_privkey_deinit)

static inline void own_datum(gnutls_datum_t *datum)
{
	gnutls_free(datum->data);
}

/* For what is secret. */
static inline void own_secret_datum(gnutls_datum_t *datum)
{
	if (datum->data)
		gnutls_memset(datum->data, 0, datum->size);
	gnutls_free(datum->data);
}

static inline gnutls_datum_t datum_of(struct view view)
{
	return (gnutls_datum_t){.data = (unsigned char *)(uintptr_t)view.data, .size = (unsigned)view.size};
}

static inline struct view datum_view(const gnutls_datum_t *datum)
{
	return view_of(datum->data, datum->size);
}

#endif

/* issuer.h: other authorities whose device certificates count, and where it is read what they have revoked.
 *
 * gateway.conf holds `authority "NAME" { ... }` sections. They travel and are kept as the value of one key (conf.h), one on a
 * line, its fields separated by control characters, as alerts do (alert.h). To add a field, add a row to ISSUER_FIELDS. All
 * functions are pure.
 */
#ifndef SALLYPORT_ISSUER_H
#define SALLYPORT_ISSUER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sallyport/buf.h"
#include "sallyport/err.h"

#define ISSUER_NAME_MAX 32
#define ISSUER_BYTES_MAX 12000 /* all sections together, as they travel */
#define ISSUERS_MAX 16

/* F(name, documentation): all are text. */
#define ISSUER_FIELDS(F)                                                                                              \
	F(certificate, "Its certificate (PEM file): one of those in device_authority.")                               \
	F(crl, "Where its list of revoked certificates (RFC 5280) is: a file, which only root can write, or an http:// or https:// URL. DER or PEM, whole (no delta), signed by the authority itself.") \
	F(crl_every, "It is read so often, from 1s to 7d. Default: 1h.")                                              \
	F(crl_grace, "For so long after the time at which the next list was due the old one still counts; then the authority's devices are refused. From 0s to 90d. Default: 1d.")                            \
	F(ocsp, "yes: where a certificate names an OCSP responder (RFC 6960), that one is asked too, when its device connects and while it is connected. Default: no.") \
	F(ocsp_grace, "For so long after the last good answer has run out it still counts while the responder does not answer; then the device is refused. From 0s to 7d. Default: 1h.")

#define ISSUER_FIELD_MEMBER(name, documentation) struct view name;
/* The members borrow from the text that was read. */
struct issuer {
	struct view name;
	ISSUER_FIELDS(ISSUER_FIELD_MEMBER)
};
struct issuer_field {
	const char *name;
	size_t offset;
	const char *documentation;
};
extern const struct issuer_field issuer_fields[];
extern const size_t issuer_field_count;

/* Appends one line. ERR_BAD_CONFIG with a sentence that says what is wrong with it. */
[[nodiscard]] int issuer_write(const struct issuer *issuer, struct buf *out_text, struct diag *diag);
bool issuer_next(const char *text, size_t *position, struct issuer *out_issuer);
bool issuer_find(const char *text, struct view name, struct issuer *out_issuer);
[[nodiscard]] int issuers_check(const char *text, struct diag *diag);
/* The section as gateway.conf wants it. */
[[nodiscard]] int issuer_print(const struct issuer *issuer, struct buf *out_text);

/* Whether its list comes by the network. */
bool issuer_is_remote(const struct issuer *issuer);
bool issuer_wants_ocsp(const struct issuer *issuer);
/* The durations, with their defaults. ERR_BAD_CONFIG. */
[[nodiscard]] int issuer_times(const struct issuer *issuer, uint64_t *out_every_ms, uint64_t *out_grace_ms, uint64_t *out_ocsp_grace_ms);

#endif

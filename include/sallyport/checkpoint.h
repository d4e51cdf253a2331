/* checkpoint.h: what the signer signs about the audit record, and how it is written down.
 *
 * A checkpoint says: on this gateway, at this time, the record's chain had this hash at this number. The signer builds
 * the signed text itself from these fields; nobody hands it bytes to sign. It travels as one line of JSON. Everything
 * here is pure; the signature is made by gateway/signer/checkpoint.c and checked by src/admin/checkpoints.c. Described
 * for outsiders in docs/record.md.
 */
#ifndef SALLYPORT_CHECKPOINT_H
#define SALLYPORT_CHECKPOINT_H

#include <stdbool.h>
#include <stdint.h>

#include "sallyport/buf.h"
#include "sallyport/err.h"

#define CHECKPOINT_HASH_MAX 64
#define CHECKPOINT_GATEWAY_MAX 253
#define CHECKPOINT_SIGNATURE_MAX 160 /* bytes: ECDSA with P-256 or P-384, in DER */
#define CHECKPOINT_TEXT_MAX 1024
#define CHECKPOINT_LINE_MAX 1023 /* as it fits into a row's detail */

enum checkpoint_kind {
	CHECKPOINT_RECORD = 1, /* the chain stood there */
	CHECKPOINT_CUT = 2,    /* and the records up to there were removed because they were old (audit_keep) */
};

struct checkpoint {
	enum checkpoint_kind kind;
	char gateway[CHECKPOINT_GATEWAY_MAX + 1];
	uint64_t sequence;                   /* of the last record that it covers */
	char hash[CHECKPOINT_HASH_MAX + 1];  /* that record's */
	uint64_t at_ms;                      /* by the signer's clock */
	char key[CHECKPOINT_HASH_MAX + 1];   /* SHA-256 of the public key (DER SubjectPublicKeyInfo) */
	char signature[2 * CHECKPOINT_SIGNATURE_MAX + 1]; /* hexadecimal */
};

/* "record", "cut"; NULL for what is no kind. */
const char *checkpoint_kind_name(enum checkpoint_kind kind);
/* 0 when there is none of that name. */
enum checkpoint_kind checkpoint_kind_find(const char *name);

/* Appends what is signed. The first field is the context: no other signature of the gateway begins so. */
[[nodiscard]] int checkpoint_text(const struct checkpoint *checkpoint, struct buf *out_text);
/* The line, without a line end. False when it does not fit, or the gateway's name cannot stand in JSON as it is. */
bool checkpoint_line(const struct checkpoint *checkpoint, char *out_line, size_t capacity);

/* Appends LENGTH:BYTES, (a netstring): what both the record's hashes and checkpoints are made over. */
[[nodiscard]] int checkpoint_field(struct buf *out_text, struct view field);
[[nodiscard]] int checkpoint_number(struct buf *out_text, uint64_t number);

#endif

/* record_check.h: is the record whole? Every record by itself, its place in the chain, and what checkpoints say.
 *
 * Each hash is computed anew from the columns; nothing that the store says about itself is believed. The gateway's own side
 * of the chain is gateway/broker/audit.c; both follow docs/record.md. Called by cmd_verify.c.
 */
#ifndef SALLYPORT_ADMIN_RECORD_CHECK_H
#define SALLYPORT_ADMIN_RECORD_CHECK_H

#include "checkpoints.h"
#include "record_read.h"

struct record_check {
	struct checkpoints *checkpoints; /* those from elsewhere; the store's are added */
	const struct checkpoint_keys *keys; /* NULL: signatures are not checked */
	/* What is wrong, a sentence each, about the record of that number. */
	void (*on_finding)(void *context, int64_t sequence, const char *sentence);
	void *context;
	/* To be read afterwards: */
	uint64_t records, findings, passed, foreign; /* foreign: checkpoints from elsewhere that other keys have signed */
	int64_t first_bad;                           /* the lowest number that is wrong; 0: none */
	int64_t last_sequence;                       /* 0: there is no record */
	char last_hash[CHECKPOINT_HASH_MAX + 1];
	uint64_t cut;                      /* records up to this one were removed by audit_keep; 0: none */
	const struct checkpoint *newest;   /* the newest good one that fits; NULL: none */
	/* Of record_check.c: */
	size_t next;
	struct buf row;
};

/* The hash of a record, as its columns would have it. False for what no gateway writes. */
bool record_hash(struct buf *space, const struct record *record, char *out_hash);

/* Negative when the store could not be read to its end; then what was found so far stands. */
[[nodiscard]] int record_check(struct record_store *store, struct record_check *check, struct diag *diag);
void record_check_fini(struct record_check *check);

#endif

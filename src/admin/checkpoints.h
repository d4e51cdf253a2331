/* checkpoints.h: checkpoints of the record, wherever they were kept, and the keys that they are checked with.
 *
 * A list is filled from a store, and from a file from elsewhere: any lines of text in which a checkpoint's JSON stands (a
 * saved log, mails, what `audit checkpoints` printed). Signatures are checked with public keys from a PEM file; a checkpoint
 * in a stranger's spelling is a finding, never an error that hides others. Used by record_check.c. Format: checkpoint.h.
 */
#ifndef SALLYPORT_ADMIN_CHECKPOINTS_H
#define SALLYPORT_ADMIN_CHECKPOINTS_H

#include <gnutls/abstract.h>
#include <stdbool.h>
#include <stddef.h>

#include "sallyport/checkpoint.h"
#include "sallyport/err.h"

/* ---- keys ---- */

#define CHECKPOINT_KEYS_MAX 64
struct checkpoint_keys {
	gnutls_pubkey_t list[CHECKPOINT_KEYS_MAX];
	char ids[CHECKPOINT_KEYS_MAX][CHECKPOINT_HASH_MAX + 1];
	unsigned count;
};
/* Every PUBLIC KEY of a PEM file. ERR_SYSTEM, ERR_BAD_INPUT with a sentence. */
[[nodiscard]] int checkpoint_keys_read(const char *path, struct checkpoint_keys *out_keys, struct diag *diag);
void checkpoint_keys_fini(struct checkpoint_keys *keys);

enum checkpoint_verdict { CHECKPOINT_GOOD, CHECKPOINT_FORGED, CHECKPOINT_OF_NO_KNOWN_KEY };
enum checkpoint_verdict checkpoint_judge(const struct checkpoint_keys *keys, const struct checkpoint *checkpoint);

/* ---- lists ---- */

struct kept_checkpoint {
	struct checkpoint checkpoint;
	bool is_from_elsewhere;
};
struct checkpoints {
	struct kept_checkpoint *list; /* by rising sequence once sorted */
	size_t count, capacity;
};
/* The checkpoint in a line; ERR_NOT_FOUND when there is none, ERR_BAD_INPUT for one that is damaged. */
[[nodiscard]] int checkpoint_parse(const char *line, struct checkpoint *out_checkpoint);
[[nodiscard]] int checkpoints_add(struct checkpoints *checkpoints, const struct checkpoint *checkpoint, bool is_from_elsewhere,
				  struct diag *diag);
/* Adds those of a file. ERR_BAD_INPUT for a damaged one and for a file without any. */
[[nodiscard]] int checkpoints_read(struct checkpoints *checkpoints, const char *file, struct diag *diag);
void checkpoints_sort(struct checkpoints *checkpoints);
void checkpoints_fini(struct checkpoints *checkpoints);

#endif

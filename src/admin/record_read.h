/* record_read.h: the audit records and checkpoints of a store, one after the other, without the gateway.
 *
 * The store is only read; it may be a copy, or in use by a running gateway (readers stop nobody there). Everything that is
 * read belongs to one moment. What the columns mean: docs/record.md. Used by record_check.c, cmd_export.c.
 */
#ifndef SALLYPORT_ADMIN_RECORD_READ_H
#define SALLYPORT_ADMIN_RECORD_READ_H

#include <stdbool.h>
#include <stdint.h>

#include "sallyport/buf.h"
#include "sallyport/checkpoint.h"
#include "sallyport/err.h"
#include "sallyport/own.h"

/* The texts of a record, in the order of their columns. */
enum record_text {
	RECORD_EVENT, RECORD_CODE, RECORD_REQUEST_ID, RECORD_DEVICE, RECORD_USER, RECORD_ADDRESS, RECORD_DETAIL,
	RECORD_PREVIOUS_HASH, RECORD_HASH, RECORD_TEXTS
};
extern const char *const record_text_names[RECORD_TEXTS];

struct record {
	int64_t sequence, at_ms;
	struct view texts[RECORD_TEXTS]; /* valid while it is visited */
	bool well_formed;                /* each column has the type that the gateway writes */
};

struct record_store;
/* ERR_SYSTEM with a sentence. Begins the moment that everything below is read from. */
[[nodiscard]] int record_store_open(const char *path, struct record_store **out_store, struct diag *diag);
void record_store_close(struct record_store *store);
DEFINE_OWN(record_store, struct record_store *, record_store_close)

/* A negative result of a visitor ends the reading and is returned. */
typedef int (*record_visit)(void *self, const struct record *record, struct diag *diag);
typedef int (*record_checkpoint_visit)(void *self, const struct checkpoint *checkpoint, struct diag *diag);

/* All records behind number `after`, by rising sequence; all checkpoints likewise (none in a store from before them). */
[[nodiscard]] int record_read(struct record_store *store, int64_t after, record_visit visit, void *self, struct diag *diag);
[[nodiscard]] int record_read_checkpoints(struct record_store *store, record_checkpoint_visit visit, void *self,
					  struct diag *diag);

#endif

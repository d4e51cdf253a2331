/* store_copy.h: a store, whole and of one moment, into another file. Used by cmd_backup.c. */
#ifndef SALLYPORT_ADMIN_STORE_COPY_H
#define SALLYPORT_ADMIN_STORE_COPY_H

#include "sallyport/err.h"

/* Copies a store (also one that a gateway is using; it goes on meanwhile) into an existing, empty file, which then is all there
 * is of the copy: nothing beside it. ERR_SYSTEM with a sentence. */
[[nodiscard]] int store_copy(const char *source, const char *target, struct diag *diag);

/* Is that file a whole store that this program's gateway can open? ERR_BAD_INPUT with a sentence. */
[[nodiscard]] int store_copy_check(const char *path, struct diag *diag);

/* Brings what stands beside a store that nobody uses (-wal) into it. Best effort: a damaged one stays as it is. */
void store_copy_settle(const char *path);

#endif

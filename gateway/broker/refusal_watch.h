/* refusal_watch.h: many refusals in a short time, wherever they come from: one alarm when they become many, and for each
 * while that they last one sum at its end. refusal_watch.c.
 *
 * On the store's thread, inside the transaction of the rows; what is raised is a row of the record, and so an alert.
 */
#ifndef SALLYPORT_BROKER_REFUSAL_WATCH_H
#define SALLYPORT_BROKER_REFUSAL_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "audit.h"

/* `many` refusals within `while_ms` are many; 0: nobody wants to hear of it, and what was counted
 * is forgotten. */
void refusal_watch_set(uint64_t many, uint64_t while_ms);
/* For every row of the record, after it was added as `sequence`. May add one of its own. */
[[nodiscard]] int refusal_watch_row(struct store_db *db, const struct audit_entry *entry, uint64_t sequence, struct diag *diag);

/* On any thread: a while is over, and nobody has come since who would have noticed: have refusal_watch_end run. */
bool refusal_watch_is_over(uint64_t monotonic_ms);
/* Adds the sum, when there were many. */
[[nodiscard]] int refusal_watch_end(struct store_db *db, struct diag *diag);

#endif

/* alert_note.h: which rows of the record are alerts, and for whom: noted in the very commit of the row. alert_note.c. */
#ifndef SALLYPORT_BROKER_ALERT_NOTE_H
#define SALLYPORT_BROKER_ALERT_NOTE_H

#include <stdbool.h>
#include <stdint.h>

#include "audit.h"

/* Inside an operation's work, after the row `sequence` was added (audit.c): puts it into the spool of every alert that
 * wants to hear of it. May add a row of its own ("many refusals"). */
[[nodiscard]] int alert_note(struct store_db *db, const struct audit_entry *entry, uint64_t sequence, uint64_t at_ms,
			     struct diag *diag);

/* What is wanted from now on. Inside an operation's work, so that it takes its turn between the rows. `alerts` is the
 * key's value (alert.h) and is copied. */
struct alert_plan {
	const char *alerts;
	uint64_t refusals, refusals_ms;
};
[[nodiscard]] int alert_note_plan(const struct alert_plan *plan, struct diag *diag);

/* On the loop: whether anything was noted since the last call. */
bool alert_noted(void);

/* "192.0.2.0/24", "2001:db8::/48"; empty for what is no address. out_text takes CROWD_NETWORK_TEXT characters. Pure. */
void alert_network(const char *address, char *out_text);

#endif

/* audit.h: the audit log: append-only, chained with SHA-256.
 *
 * A row is written inside the operation that it is about (audit_append), or alone (audit_record). Every
 * refusal has the request id that its user was told, its code, and the whole reason in `detail`.
 * No secret may ever stand in an entry. Format of the chain: sql/0001_schema.sql.
 */
#ifndef SALLYPORT_BROKER_AUDIT_H
#define SALLYPORT_BROKER_AUDIT_H

#include "store.h"

struct broker;

#define AUDIT_DETAIL_MAX 1023
#define AUDIT_REQUEST_ID_MAX 47

struct audit_entry {
	const char *event; /* "door_one" "login" "tunnel_open" ...: a literal */
	char code[33];     /* empty where nothing was refused */
	char request_id[AUDIT_REQUEST_ID_MAX + 1];
	char device[65]; /* its name, or what is known of a stranger ("fingerprint ...") */
	char user[257];
	char address[65];
	char detail[AUDIT_DETAIL_MAX + 1];
};

/* Fills an entry; text that does not fit is cut. `detail` is a printf format for the last member. */
[[gnu::format(printf, 3, 4)]] void audit_fill(struct audit_entry *entry, const char *event, const char *detail, ...);

/* Inside an operation's work: adds the row with the next sequence number and hash. */
[[nodiscard]] int audit_append(struct store_db *db, const struct audit_entry *entry, struct diag *diag);

/* The event of a checkpoint's own row (checkpoint_desk.c). */
#define AUDIT_CHECKPOINT "checkpoint"
/* How many other rows were added since the start, those that were undone too. On any thread. */
uint64_t audit_rows(void);

/* Called once on the loop when the row is committed (result 0) or could not be. */
typedef void (*audit_done)(void *context, int result, const struct diag *diag);
/* Writes one row by itself. `done` may be NULL. The entry is copied. Without memory `done` is called at
 * once with ERR_SYSTEM. */
void audit_record(struct broker *broker, const struct audit_entry *entry, audit_done done, void *context);

/* One row that was read. */
struct audit_row {
	uint64_t sequence, at_ms;
	const char *event, *code, *request_id, *device, *user, *address, *detail, *previous_hash, *hash;
};
/* Which rows: "" is any. */
#define AUDIT_FILTERS(F) F(user, 257) F(device, 65) F(code, 33) F(event, 33) F(request_id, AUDIT_REQUEST_ID_MAX + 1)
struct audit_query {
	uint64_t after; /* a sequence number */
	uint64_t since_ms;
	unsigned limit; /* at most AUDIT_PAGE_MAX */
#define FILTER(name, size) char name[size];
	AUDIT_FILTERS(FILTER)
#undef FILTER
};
/* Rows that fit, oldest first, borrowed for the call. One look goes over so many rows at most, so that nobody waits long for
 * the record: `looked_to` says how far, and the next question goes on from there; there is more when it is below `last`. */
#define AUDIT_PAGE_MAX 500
#define AUDIT_LOOK_ROWS 50000
struct audit_page {
	const struct audit_row *rows;
	size_t count;
	uint64_t looked_to, last;
};
typedef void (*audit_page_done)(void *context, int result, const struct diag *diag, const struct audit_page *page);
void audit_read(struct broker *broker, const struct audit_query *query, audit_page_done done, void *context);

/* ---- the chain ---- */
/* hash = SHA-256 over all columns before it; `sequence`, `at_ms` and `previous_hash` as they stand in the
 * row. Pure. out_hash takes 65 characters. */
void audit_hash(uint64_t sequence, uint64_t at_ms, const struct audit_entry *entry, const char *previous_hash,
		char *out_hash);

#endif

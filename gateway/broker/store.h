/* store.h: the record: SQLite behind a thread of its own, commits in groups.
 *
 * Whoever wants something written or read puts a struct store_operation into an object of his own and
 * submits it. The store's thread runs `work` inside a transaction that it shares with the other waiting
 * operations (a savepoint each: one that fails takes nothing of the others along); one durable commit
 * (WAL, synchronous=FULL) later `done` runs on the loop. So `done` with result 0 means: it stands, also
 * after kill -9 or a power cut. When the disk is full, read-only or broken every operation ends with
 * ERR_SYSTEM, nothing is acknowledged, and the store tries anew with the next group.
 *
 * Operations run in the order of their submission. `work` must not touch anything that the loop uses at
 * the same time: it reads and writes its own object only. Only store*.c know SQLite; the statements are
 * rows of sql/statements.h.
 */
#ifndef SALLYPORT_BROKER_STORE_H
#define SALLYPORT_BROKER_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "histogram.h"
#include "sallyport/buf.h"
#include "sallyport/err.h"
#include "statements.h"

struct store;
struct store_db; /* the open database, on the store's thread only */
struct store_operation;

/* Runs on the store's thread. 0, or a negative enum err with a sentence: then its writes are undone. */
typedef int (*store_work)(struct store_db *db, struct store_operation *operation, struct diag *diag);
/* Runs on the loop, after the commit. */
typedef void (*store_done)(struct store_operation *operation, int result, const struct diag *diag);

#define STORE_PATIENCE_MS 20

struct store_operation {
	store_work work; /* NULL: nothing to do; done runs in its turn */
	store_done done; /* NULL: nobody is told; the operation must live on */
	void *context;   /* the owner's */
	/* Nobody waits for it: it travels with the next group, at most STORE_PATIENCE_MS later. */
	bool may_wait;
	/* The store's: */
	struct store_operation *next;
	int result;
	struct diag diag;
};

/* Opens (or makes, with mode 0600) the file and brings its schema up to date: whole or not at all.
 * Refuses a file that others can read (the sentence says how to mend it), a schema newer than this
 * program's, and a store that another gateway has open. No thread yet: use store_now, then store_start. */
[[nodiscard]] int store_open(const char *path, struct store **out_store, struct diag *diag);
/* Runs one operation here and now in a transaction of its own. Only before store_start. */
[[nodiscard]] int store_now(struct store *store, struct store_operation *operation, struct diag *diag);
/* Starts the thread; completions come on this loop. After the walls are up. */
[[nodiscard]] int store_start(struct store *store, uv_loop_t *loop, struct diag *diag);
void store_submit(struct store *store, struct store_operation *operation);
/* Runs what is queued, closes the file, ends the thread, frees; blocks for as long as that takes. The
 * completions still run (from inside this call). NULL-safe. */
void store_close(struct store *store);
/* Whether the last group that wrote something was committed; how many groups and operations there were, how long groups took, what waits now.
 * `troubles` counts how often it went from good to bad, so that nobody misses one that was over soon. */
struct store_health {
	bool good;
	uint64_t troubles, bad_since_ms;
	char first_trouble[256]; /* the sentence with which the last one began, also when it is over */
	uint64_t groups, operations, waiting;
	struct histogram commit_seconds;
	char trouble[256]; /* the last error's sentence; empty when good */
};
void store_health(const struct store *store, struct store_health *out_health);

/* ---- inside `work` ---- */

enum store_kind { STORE_TEXT, STORE_NUMBER };
struct store_value {
	enum store_kind kind;
	const char *text; /* NULL: SQL's NULL */
	int64_t number;
};
#define TEXT(text_) ((struct store_value){.kind = STORE_TEXT, .text = (text_)})
#define NUMBER(number_) ((struct store_value){.kind = STORE_NUMBER, .number = (int64_t)(number_)})

/* One row of an answer; borrowed until the handler returns. Columns count from 0. Text is "" for NULL. */
struct store_row;
const char *store_row_text(const struct store_row *row, int column);
int64_t store_row_number(const struct store_row *row, int column);
/* Returns 0 to go on, else a negative enum err, which ends the query and is passed on. */
typedef int (*store_row_handler)(void *self, const struct store_row *row, struct diag *diag);

/* ERR_DENIED when a constraint says no (a name that is taken), ERR_SYSTEM for everything else. */
[[nodiscard]] int store_run(struct store_db *db, enum statement statement, const struct store_value *values,
			    size_t count, struct diag *diag);
[[nodiscard]] int store_query(struct store_db *db, enum statement statement, const struct store_value *values,
			      size_t count, store_row_handler handler, void *self, struct diag *diag);
/* How many rows the last store_run has changed. */
uint64_t store_changed(struct store_db *db);

#define STORE_VALUES(...) (struct store_value[]){__VA_ARGS__}, sizeof((struct store_value[]){__VA_ARGS__}) / sizeof(struct store_value)
/* STORE_RUN(db, diag, session_end, NUMBER(now), TEXT(reason), TEXT(id)) */
#define STORE_RUN(db, diag, name, ...) store_run(db, STATEMENT_##name, STORE_VALUES(__VA_ARGS__), diag)
#define STORE_QUERY(db, diag, name, handler, self, ...) \
	store_query(db, STATEMENT_##name, STORE_VALUES(__VA_ARGS__), handler, self, diag)
#define STORE_QUERY_ALL(db, diag, name, handler, self) store_query(db, STATEMENT_##name, NULL, 0, handler, self, diag)

/* The end of the audit chain, as the present transaction sees it (audit.c keeps it). */
struct store_chain {
	int64_t sequence;
	char hash[65];
};
struct store_chain *store_chain(struct store_db *db);

#endif

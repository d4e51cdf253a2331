/* store_db.h: the open database: transactions and statements. Between the files store*.c only. */
#ifndef SALLYPORT_BROKER_STORE_DB_H
#define SALLYPORT_BROKER_STORE_DB_H

#include <sqlite3.h>

#include "store.h"

struct store_db {
	sqlite3 *sqlite;
	sqlite3_stmt *statements[STATEMENT_COUNT];
	struct store_chain chain;
	/* The disk or the file is in trouble: the connection is opened anew before the next group. */
	bool broken;
	/* SQLite said no since somebody looked: the record's trouble, and not one of what was asked. */
	bool in_trouble;
	bool has_written; /* the last group: a commit of reads alone says nothing of the disk */
};

/* store_open.c: opens the file, brings the schema up to date, prepares the statements. */
[[nodiscard]] int store_db_open(const char *path, struct store_db *out_db, struct diag *diag);
void store_db_close(struct store_db *db);

/* store_db.c: maps SQLite's last error into ours, with a sentence that begins with `what`. */
int store_db_error(struct store_db *db, const char *what, struct diag *diag);
/* Runs text that gives no rows. */
[[nodiscard]] int store_db_execute(struct store_db *db, const char *text, struct diag *diag);
[[nodiscard]] int store_db_prepare(struct store_db *db, struct diag *diag);
/* Reads the end of the audit chain. */
[[nodiscard]] int store_db_load_chain(struct store_db *db, struct diag *diag);

/* store_group.c: runs operations as one transaction and fills in their results. */
void store_db_run_group(struct store_db *db, struct store_operation *first);

#endif

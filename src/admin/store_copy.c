/* store_copy.c: SQLite's own online backup, and its check of a file. */
#include "store_copy.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "migrations.h"
#include "sallyport/own.h"

enum { PATIENCE_MS = 5000 };

DEFINE_OWN(database, sqlite3 *, sqlite3_close_v2)
DEFINE_OWN(statement, sqlite3_stmt *, sqlite3_finalize)

static int open_database(const char *path, int flags, sqlite3 **out_database, struct diag *diag)
{
	if (sqlite3_open_v2(path, out_database, flags, NULL) == SQLITE_OK &&
	    sqlite3_db_config(*out_database, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL) == SQLITE_OK &&
	    sqlite3_busy_timeout(*out_database, PATIENCE_MS) == SQLITE_OK)
		return 0;
	return diag_set(diag, ERR_SYSTEM, "%s cannot be opened: %s", path, *out_database ? sqlite3_errmsg(*out_database) : "out of memory");
}

/* All pages at once: the source's readers and writers go on, and the copy is of one moment. */
static int copy_pages(sqlite3 *source, sqlite3 *target, const char *from, struct diag *diag)
{
	sqlite3_backup *backup = sqlite3_backup_init(target, "main", source, "main");
	int code = backup ? sqlite3_backup_step(backup, -1) : sqlite3_errcode(target);
	int end = sqlite3_backup_finish(backup);
	if (code == SQLITE_DONE && end == SQLITE_OK)
		return 0;
	return diag_set(diag, ERR_SYSTEM, "%s cannot be copied: %s", from, sqlite3_errstr(code == SQLITE_DONE ? end : code));
}

/* Whoever opens the copy finds one plain file, also where he may not write. */
static int make_single(sqlite3 *target, struct diag *diag)
{
	if (sqlite3_exec(target, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL) == SQLITE_OK)
		return 0;
	return diag_set(diag, ERR_SYSTEM, "the copy cannot be finished: %s", sqlite3_errmsg(target));
}

int store_copy(const char *source, const char *target, struct diag *diag)
{
	OWN(own_database) sqlite3 *from = NULL;
	OWN(own_database) sqlite3 *to = NULL;
	int result = open_database(source, SQLITE_OPEN_READONLY, &from, diag);
	if (result == 0)
		result = open_database(target, SQLITE_OPEN_READWRITE, &to, diag);
	if (result == 0 && sqlite3_exec(to, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF", NULL, NULL, NULL) != SQLITE_OK)
		result = diag_set(diag, ERR_SYSTEM, "the copy cannot be begun: %s", sqlite3_errmsg(to));
	if (result == 0)
		result = copy_pages(from, to, source, diag);
	return result < 0 ? result : make_single(to, diag);
}

/* ---- is it whole ---- */

static int ask(sqlite3 *database, const char *question, char *out_answer, size_t capacity)
{
	OWN(own_statement) sqlite3_stmt *statement = NULL;
	if (sqlite3_prepare_v2(database, question, -1, &statement, NULL) != SQLITE_OK || sqlite3_step(statement) != SQLITE_ROW)
		return ERR_SYSTEM;
	const char *text = (const char *)sqlite3_column_text(statement, 0);
	snprintf(out_answer, capacity, "%s", text ? text : "");
	return 0;
}

int store_copy_check(const char *path, struct diag *diag)
{
	char version[32], tables[32], answer[256];
	OWN(own_database) sqlite3 *database = NULL;
	int result = open_database(path, SQLITE_OPEN_READONLY, &database, diag);
	if (result < 0)
		return result;
	if (ask(database, "PRAGMA integrity_check(1)", answer, sizeof(answer)) < 0)
		return diag_set(diag, ERR_BAD_INPUT, "this is no store: %s", sqlite3_errmsg(database));
	if (strcmp(answer, "ok") != 0)
		return diag_set(diag, ERR_BAD_INPUT, "the store is damaged: %s", answer);
	if (ask(database, "PRAGMA user_version", version, sizeof(version)) < 0 ||
	    ask(database, "SELECT count(*) FROM sqlite_master WHERE name IN ('audit', 'device', 'session')", tables, sizeof(tables)) < 0 ||
	    strcmp(tables, "3") != 0 || atoll(version) < 1)
		return diag_set(diag, ERR_BAD_INPUT, "this is a database, but not a Sallyport store");
	if (atoll(version) > migration_count)
		return diag_set(diag, ERR_BAD_INPUT, "the store has schema %s, newer than this program's %u: restore it with the program that made it",
				version, migration_count);
	return 0;
}

void store_copy_settle(const char *path)
{
	OWN(own_database) sqlite3 *database = NULL;
	struct diag diag;
	if (open_database(path, SQLITE_OPEN_READWRITE, &database, &diag) == 0)
		(void)sqlite3_exec(database, "PRAGMA wal_checkpoint(TRUNCATE)", NULL, NULL, NULL);
}

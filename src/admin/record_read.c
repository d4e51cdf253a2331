/* record_read.c: reads records and checkpoints by SQLite, read-only. */
#include "record_read.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "sallyport/str.h"

/* A gateway that is just starting may hold the store for a moment. */
enum { PATIENCE_MS = 5000, FIRST_TEXT = 2 };

const char *const record_text_names[RECORD_TEXTS] = {"event", "code", "request_id", "device", "user", "address", "detail",
						     "previous_hash", "hash"};

static const char records[] = "SELECT sequence, at, event, code, request_id, device, \"user\", address, detail, previous_hash, "
			      "hash FROM audit WHERE sequence > $1 ORDER BY sequence";
static const char checkpoints[] = "SELECT kind, gateway, sequence, hash, at, key, signature FROM checkpoint ORDER BY sequence, at";
static const char has_checkpoints[] = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'checkpoint'";

struct record_store {
	sqlite3 *database;
	char *path;
};

DEFINE_OWN(statement, sqlite3_stmt *, sqlite3_finalize)

static int cannot_read(struct record_store *store, struct diag *diag)
{
	return diag_set(diag, ERR_SYSTEM, "%s cannot be read as a store: %s", store->path,
			store->database ? sqlite3_errmsg(store->database) : "out of memory");
}

int record_store_open(const char *path, struct record_store **out_store, struct diag *diag)
{
	OWN(own_record_store) struct record_store *store = calloc(1, sizeof(*store));
	if (!store || !(store->path = strdup(path)))
		return diag_system(diag, "memory");
	int code = sqlite3_open_v2(path, &store->database, SQLITE_OPEN_READONLY, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_db_config(store->database, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_busy_timeout(store->database, PATIENCE_MS);
	if (code == SQLITE_OK)
		code = sqlite3_exec(store->database, "BEGIN", NULL, NULL, NULL);
	if (code != SQLITE_OK)
		return cannot_read(store, diag);
	*out_store = take_pointer(&store);
	return 0;
}

void record_store_close(struct record_store *store)
{
	if (!store)
		return;
	sqlite3_close_v2(store->database);
	free(store->path);
	free(store);
}

/* The length is the column's own: a text with a zero byte inside is not the same as its beginning. */
static struct view text_at(sqlite3_stmt *statement, int column)
{
	const void *text = sqlite3_column_text(statement, column);
	return view_of(text, (size_t)sqlite3_column_bytes(statement, column));
}

static void take_record(sqlite3_stmt *statement, struct record *record)
{
	record->well_formed = true;
	for (int i = 0; i < FIRST_TEXT; i++)
		record->well_formed &= sqlite3_column_type(statement, i) == SQLITE_INTEGER;
	for (int i = 0; i < RECORD_TEXTS; i++)
		record->well_formed &= sqlite3_column_type(statement, FIRST_TEXT + i) == SQLITE_TEXT;
	record->sequence = sqlite3_column_int64(statement, 0);
	record->at_ms = sqlite3_column_int64(statement, 1);
	for (int i = 0; i < RECORD_TEXTS; i++)
		record->texts[i] = text_at(statement, FIRST_TEXT + i);
}

int record_read(struct record_store *store, int64_t after, record_visit visit, void *self, struct diag *diag)
{
	OWN(own_statement) sqlite3_stmt *statement = NULL;
	int code = sqlite3_prepare_v2(store->database, records, -1, &statement, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_bind_int64(statement, 1, after);
	if (code != SQLITE_OK)
		return cannot_read(store, diag);
	while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
		struct record record;
		take_record(statement, &record);
		int result = visit(self, &record, diag);
		if (result < 0)
			return result;
	}
	return code == SQLITE_DONE ? 0 : cannot_read(store, diag);
}

/* ---- checkpoints ---- */

/* What does not fit is left empty: then its signature is not good, and that is told. */
static void take_checkpoint(sqlite3_stmt *statement, struct checkpoint *checkpoint)
{
	char kind[16] = "";
	*checkpoint = (struct checkpoint){.kind = (enum checkpoint_kind)0};
	(void)!view_to_string(text_at(statement, 0), kind, sizeof(kind));
	checkpoint->kind = checkpoint_kind_find(kind);
	(void)!view_to_string(text_at(statement, 1), checkpoint->gateway, sizeof(checkpoint->gateway));
	checkpoint->sequence = (uint64_t)sqlite3_column_int64(statement, 2);
	(void)!view_to_string(text_at(statement, 3), checkpoint->hash, sizeof(checkpoint->hash));
	checkpoint->at_ms = (uint64_t)sqlite3_column_int64(statement, 4);
	(void)!view_to_string(text_at(statement, 5), checkpoint->key, sizeof(checkpoint->key));
	(void)!view_to_string(text_at(statement, 6), checkpoint->signature, sizeof(checkpoint->signature));
}

static int ask_table(struct record_store *store, bool *out_there, struct diag *diag)
{
	OWN(own_statement) sqlite3_stmt *statement = NULL;
	if (sqlite3_prepare_v2(store->database, has_checkpoints, -1, &statement, NULL) != SQLITE_OK)
		return cannot_read(store, diag);
	int code = sqlite3_step(statement);
	*out_there = code == SQLITE_ROW;
	return code == SQLITE_ROW || code == SQLITE_DONE ? 0 : cannot_read(store, diag);
}

int record_read_checkpoints(struct record_store *store, record_checkpoint_visit visit, void *self, struct diag *diag)
{
	OWN(own_statement) sqlite3_stmt *statement = NULL;
	bool there = false;
	int code, result = ask_table(store, &there, diag);
	if (result < 0 || !there)
		return result;
	if (sqlite3_prepare_v2(store->database, checkpoints, -1, &statement, NULL) != SQLITE_OK)
		return cannot_read(store, diag);
	while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
		struct checkpoint checkpoint;
		take_checkpoint(statement, &checkpoint);
		result = visit(self, &checkpoint, diag);
		if (result < 0)
			return result;
	}
	return code == SQLITE_DONE ? 0 : cannot_read(store, diag);
}

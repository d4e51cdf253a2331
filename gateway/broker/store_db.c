/* store_db.c: statements: prepared once, bound, stepped; SQLite's errors in our words. */
#include "store_db.h"

#include <stdio.h>
#include <string.h>

#include "sallyport/str.h"

#define STATEMENT_ROW(name_, text_) [STATEMENT_##name_] = {#name_, text_},
static const struct {
	const char *name, *text;
} rows[STATEMENT_COUNT] = {STATEMENTS(STATEMENT_ROW)};

struct store_row {
	sqlite3_stmt *statement;
};

/* After these the connection itself cannot be trusted any more. */
static bool is_broken(int code)
{
	switch (code & 0xff) {
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_CANTOPEN:
	case SQLITE_IOERR:
	case SQLITE_READONLY:
		return true;
	default:
		return false;
	}
}

int store_db_error(struct store_db *db, const char *what, struct diag *diag)
{
	int code = db->sqlite ? sqlite3_extended_errcode(db->sqlite) : SQLITE_NOMEM;
	const char *text = db->sqlite ? sqlite3_errmsg(db->sqlite) : "out of memory";
	if (is_broken(code))
		db->broken = true;
	if ((code & 0xff) == SQLITE_CONSTRAINT)
		return diag_set(diag, ERR_DENIED, "%s: %s", what, text);
	db->in_trouble = true;
	return diag_set(diag, ERR_SYSTEM, "%s: %s", what, text);
}

int store_db_execute(struct store_db *db, const char *text, struct diag *diag)
{
	if (sqlite3_exec(db->sqlite, text, NULL, NULL, NULL) != SQLITE_OK)
		return store_db_error(db, "the store", diag);
	return 0;
}

/* $1 must be the first parameter, $2 the second, and so on: SQLite numbers them as they appear. */
static int check_parameters(sqlite3_stmt *statement, const char *name, struct diag *diag)
{
	for (int i = 1; i <= sqlite3_bind_parameter_count(statement); i++) {
		char expected[8];
		snprintf(expected, sizeof(expected), "$%d", i);
		const char *found = sqlite3_bind_parameter_name(statement, i);
		if (!found || strcmp(found, expected) != 0)
			return diag_set(diag, ERR_BUG, "the statement %s does not name %s in its place", name, expected);
	}
	return 0;
}

int store_db_prepare(struct store_db *db, struct diag *diag)
{
	for (int i = 0; i < STATEMENT_COUNT; i++) {
		if (sqlite3_prepare_v3(db->sqlite, rows[i].text, -1, SQLITE_PREPARE_PERSISTENT, &db->statements[i], NULL) !=
		    SQLITE_OK)
			return store_db_error(db, rows[i].name, diag);
		int result = check_parameters(db->statements[i], rows[i].name, diag);
		if (result < 0)
			return result;
	}
	return 0;
}

static int bind_one(sqlite3_stmt *statement, int place, const struct store_value *value)
{
	if (value->kind == STORE_NUMBER)
		return sqlite3_bind_int64(statement, place, value->number);
	if (!value->text)
		return sqlite3_bind_null(statement, place);
	/* The text lives at least until the statement is reset, before the call returns. */
	return sqlite3_bind_text(statement, place, value->text, -1, SQLITE_STATIC);
}

static int bind_all(struct store_db *db, enum statement number, const struct store_value *values, size_t count,
		    struct diag *diag)
{
	sqlite3_stmt *statement = db->statements[number];
	if ((int)count != sqlite3_bind_parameter_count(statement))
		return diag_set(diag, ERR_BUG, "the statement %s was given %zu values", rows[number].name, count);
	for (size_t i = 0; i < count; i++)
		if (bind_one(statement, (int)i + 1, &values[i]) != SQLITE_OK)
			return store_db_error(db, rows[number].name, diag);
	return 0;
}

static int step_all(struct store_db *db, enum statement number, store_row_handler handler, void *self, struct diag *diag)
{
	struct store_row row = {db->statements[number]};
	for (;;) {
		int code = sqlite3_step(row.statement);
		if (code == SQLITE_DONE)
			return 0;
		if (code != SQLITE_ROW)
			return store_db_error(db, rows[number].name, diag);
		int result = handler ? handler(self, &row, diag) : 0;
		if (result < 0)
			return result;
	}
}

int store_query(struct store_db *db, enum statement statement, const struct store_value *values, size_t count,
		store_row_handler handler, void *self, struct diag *diag)
{
	int result = bind_all(db, statement, values, count, diag);
	if (result == 0)
		result = step_all(db, statement, handler, self, diag);
	sqlite3_reset(db->statements[statement]);
	sqlite3_clear_bindings(db->statements[statement]);
	return result;
}

int store_run(struct store_db *db, enum statement statement, const struct store_value *values, size_t count,
	      struct diag *diag)
{
	return store_query(db, statement, values, count, NULL, NULL, diag);
}

uint64_t store_changed(struct store_db *db)
{
	return (uint64_t)sqlite3_changes64(db->sqlite);
}

const char *store_row_text(const struct store_row *row, int column)
{
	const char *text = (const char *)sqlite3_column_text(row->statement, column);
	return text ? text : "";
}

int64_t store_row_number(const struct store_row *row, int column)
{
	return sqlite3_column_int64(row->statement, column);
}

struct store_chain *store_chain(struct store_db *db)
{
	return &db->chain;
}

static int take_chain(void *self, const struct store_row *row, struct diag *diag)
{
	struct store_chain *chain = self;
	chain->sequence = store_row_number(row, 0);
	if (!str_copy(chain->hash, sizeof(chain->hash), store_row_text(row, 1)))
		return diag_set(diag, ERR_SYSTEM, "the hash of audit row %lld is too long", (long long)chain->sequence);
	return 0;
}

int store_db_load_chain(struct store_db *db, struct diag *diag)
{
	db->chain.sequence = 0;
	memset(db->chain.hash, '0', 64);
	db->chain.hash[64] = 0;
	return STORE_QUERY_ALL(db, diag, audit_last, take_chain, &db->chain);
}

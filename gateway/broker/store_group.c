/* store_group.c: many operations, one commit.
 *
 *     BEGIN IMMEDIATE
 *       SAVEPOINT o, work of the first,  RELEASE o        (or ROLLBACK TO o, RELEASE o: it alone is undone)
 *       SAVEPOINT o, work of the second, RELEASE o
 *     COMMIT                                             <- one fsync for all
 *
 * When the transaction itself fails, every operation has failed. The audit chain goes back with whatever
 * is undone.
 */
#include "store_db.h"

static void fail_all(struct store_operation *first, const struct diag *diag)
{
	for (struct store_operation *operation = first; operation; operation = operation->next) {
		operation->result = ERR_SYSTEM;
		operation->diag = *diag;
	}
}

/* Trouble of the whole transaction, not of one operation: SQLite has given it up already, or must. */
static bool transaction_is_lost(struct store_db *db)
{
	return db->broken || sqlite3_get_autocommit(db->sqlite);
}

static void run_one(struct store_db *db, struct store_operation *operation)
{
	operation->result = 0;
	if (!operation->work)
		return;
	struct store_chain before = db->chain;
	int result = store_db_execute(db, "SAVEPOINT o", &operation->diag);
	if (result == 0)
		result = operation->work(db, operation, &operation->diag);
	struct diag diag;
	if (result < 0) {
		db->chain = before;
		if (!transaction_is_lost(db) && store_db_execute(db, "ROLLBACK TO o", &diag) < 0)
			db->broken = true;
	}
	if (!transaction_is_lost(db) && store_db_execute(db, "RELEASE o", &diag) < 0)
		db->broken = true;
	operation->result = result;
}

static int run_all(struct store_db *db, struct store_operation *first, struct diag *diag)
{
	int result = store_db_execute(db, "BEGIN IMMEDIATE", diag);
	if (result < 0)
		return ERR_SYSTEM;
	for (struct store_operation *operation = first; operation; operation = operation->next) {
		run_one(db, operation);
		if (transaction_is_lost(db))
			return diag_set(diag, ERR_SYSTEM, "%s", operation->diag.text);
	}
	return store_db_execute(db, "COMMIT", diag) < 0 ? ERR_SYSTEM : 0;
}

void store_db_run_group(struct store_db *db, struct store_operation *first)
{
	struct store_chain before = db->chain;
	struct diag diag = {""};
	int64_t changes = sqlite3_total_changes64(db->sqlite);
	if (run_all(db, first, &diag) == 0) {
		db->has_written = sqlite3_total_changes64(db->sqlite) != changes;
		return;
	}
	if (db->sqlite && !sqlite3_get_autocommit(db->sqlite))
		(void)sqlite3_exec(db->sqlite, "ROLLBACK", NULL, NULL, NULL);
	db->chain = before;
	fail_all(first, &diag);
}

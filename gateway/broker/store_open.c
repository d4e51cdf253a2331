/* store_open.c: the file: who may read it, how it is opened, which version its schema has. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "migrations.h"
#include "sallyport/own.h"
#include "store_db.h"

/* Makes the file with its final mode, or looks at the one that is there. SQLite gives its own files beside
 * it (-wal, -shm) the same mode. */
static int check_file(const char *path, struct diag *diag)
{
	OWN_FD int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	struct stat status;
	if (fd < 0 || fstat(fd, &status) < 0)
		return diag_system(diag, "the store %s cannot be opened", path);
	if (!S_ISREG(status.st_mode))
		return diag_set(diag, ERR_BAD_CONFIG, "the store %s is not a file", path);
	if (status.st_uid != geteuid())
		return diag_set(diag, ERR_BAD_CONFIG, "the store %s belongs to user %u, not to the broker's: chown %u %s", path,
				status.st_uid, geteuid(), path);
	if (status.st_mode & 077)
		return diag_set(diag, ERR_BAD_CONFIG, "the store %s can be read or written by others (mode %04o): chmod 600 %s",
				path, status.st_mode & 07777, path);
	return 0;
}

static int take_number(void *self, int columns, char **values, char **names)
{
	(void)names;
	*(long long *)self = columns && values[0] ? atoll(values[0]) : 0;
	return 0;
}

static int ask_number(struct store_db *db, const char *text, long long *out_number, struct diag *diag)
{
	if (sqlite3_exec(db->sqlite, text, take_number, out_number, NULL) != SQLITE_OK)
		return store_db_error(db, "the store", diag);
	return 0;
}

static const char *const settings[] = {
	"PRAGMA trusted_schema = OFF",     "PRAGMA foreign_keys = ON", "PRAGMA journal_mode = WAL",
	"PRAGMA synchronous = FULL",       "PRAGMA temp_store = MEMORY", "PRAGMA journal_size_limit = 67108864",
};

static int apply_settings(struct store_db *db, struct diag *diag)
{
	/* Somebody who looks with sqlite3 may hold a lock for a moment. */
	sqlite3_busy_timeout(db->sqlite, 2000);
	int result = 0;
	for (size_t i = 0; result == 0 && i < sizeof(settings) / sizeof(settings[0]); i++)
		result = store_db_execute(db, settings[i], diag);
	return result;
}

static int check_version(struct store_db *db, const char *path, long long *out_version, struct diag *diag)
{
	long long tables = 0;
	int result = ask_number(db, "PRAGMA user_version", out_version, diag);
	if (result == 0)
		result = ask_number(db, "SELECT count(*) FROM sqlite_master", &tables, diag);
	if (result < 0)
		return result;
	if (*out_version > migration_count)
		return diag_set(diag, ERR_BAD_CONFIG,
				"the store %s has schema %lld, newer than this program's %u: run the program that made it", path,
				*out_version, migration_count);
	if (*out_version == 0 && tables > 0)
		return diag_set(diag, ERR_BAD_CONFIG, "%s is a database, but not a Sallyport store", path);
	return 0;
}

/* One migration and its number, whole or not at all. */
static int migrate_one(struct store_db *db, unsigned version, struct diag *diag)
{
	char number[48];
	snprintf(number, sizeof(number), "PRAGMA user_version = %u", version + 1);
	int result = store_db_execute(db, "BEGIN IMMEDIATE", diag);
	if (result == 0)
		result = store_db_execute(db, migrations[version].text, diag);
	if (result == 0)
		result = store_db_execute(db, number, diag);
	if (result == 0)
		result = store_db_execute(db, "COMMIT", diag);
	if (result < 0 && !sqlite3_get_autocommit(db->sqlite))
		(void)sqlite3_exec(db->sqlite, "ROLLBACK", NULL, NULL, NULL);
	return result;
}

static int migrate(struct store_db *db, const char *path, struct diag *diag)
{
	long long version = 0;
	int result = check_version(db, path, &version, diag);
	for (; result == 0 && version < migration_count; version++)
		result = migrate_one(db, (unsigned)version, diag);
	return result;
}

int store_db_open(const char *path, struct store_db *out_db, struct diag *diag)
{
	*out_db = (struct store_db){.sqlite = NULL};
	int result = check_file(path, diag);
	if (result < 0)
		return result;
	if (sqlite3_open_v2(path, &out_db->sqlite, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
		result = store_db_error(out_db, path, diag);
	if (result == 0)
		result = apply_settings(out_db, diag);
	if (result == 0)
		result = migrate(out_db, path, diag);
	if (result == 0)
		result = store_db_prepare(out_db, diag);
	if (result == 0)
		result = store_db_load_chain(out_db, diag);
	if (result < 0)
		store_db_close(out_db);
	return result;
}

void store_db_close(struct store_db *db)
{
	for (int i = 0; i < STATEMENT_COUNT; i++)
		sqlite3_finalize(db->statements[i]);
	sqlite3_close(db->sqlite);
	*db = (struct store_db){.sqlite = NULL};
}

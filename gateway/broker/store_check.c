/* store_check.c: PRAGMA quick_check by a thread of its own. */
#include "store_check.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "sallyport/own.h"
#include "sallyport/str.h"

struct store_check {
	sqlite3 *sqlite;
	uv_thread_t thread;
	uv_async_t finished;
	store_check_done done;
	void *context;
	int result;
	struct diag diag;
};

DEFINE_OWN(statement, sqlite3_stmt *, sqlite3_finalize)

static int look(sqlite3 *sqlite, struct diag *diag)
{
	OWN(own_statement) sqlite3_stmt *statement = NULL;
	if (sqlite3_prepare_v2(sqlite, "PRAGMA quick_check(1)", -1, &statement, NULL) != SQLITE_OK ||
	    sqlite3_step(statement) != SQLITE_ROW) {
		int code = sqlite3_errcode(sqlite) & 0xff;
		return diag_set(diag, code == SQLITE_CORRUPT || code == SQLITE_NOTADB ? ERR_BAD_INPUT : ERR_SYSTEM,
				"the store cannot be looked through: %s", sqlite3_errmsg(sqlite));
	}
	const char *text = (const char *)sqlite3_column_text(statement, 0);
	return text && strcmp(text, "ok") == 0 ? 0 : diag_set(diag, ERR_BAD_INPUT, "the store is damaged: %s", text ? text : "?");
}

static void run_thread(void *argument)
{
	struct store_check *check = argument;
	check->result = look(check->sqlite, &check->diag);
	str_make_printable(check->diag.text);
	uv_async_send(&check->finished);
}

static void on_finished(uv_async_t *async)
{
	struct store_check *check = async->data;
	check->done(check->context, check->result, &check->diag);
}

static void on_closed(uv_handle_t *handle)
{
	struct store_check *check = handle->data;
	sqlite3_close(check->sqlite);
	free(check);
}

int store_check_begin(const char *path, uv_loop_t *loop, store_check_done done, void *context, struct store_check **out_check,
		      struct diag *diag)
{
	OWN_MEMORY struct store_check *check = calloc(1, sizeof(*check));
	if (!check)
		return diag_system(diag, "memory");
	check->done = done;
	check->context = context;
	if (sqlite3_open_v2(path, &check->sqlite, SQLITE_OPEN_READONLY | SQLITE_OPEN_FULLMUTEX, NULL) != SQLITE_OK ||
	    uv_async_init(loop, &check->finished, on_finished) < 0) {
		sqlite3_close(check->sqlite);
		return diag_set(diag, ERR_SYSTEM, "the check of the store %s cannot be begun", path);
	}
	check->finished.data = check;
	uv_unref((uv_handle_t *)&check->finished);
	if (uv_thread_create(&check->thread, run_thread, check) < 0) {
		uv_close((uv_handle_t *)&take_pointer(&check)->finished, on_closed);
		return diag_system(diag, "the check of the store cannot be begun");
	}
	*out_check = take_pointer(&check);
	return 0;
}

void store_check_end(struct store_check *check)
{
	if (!check)
		return;
	sqlite3_interrupt(check->sqlite);
	uv_thread_join(&check->thread);
	uv_close((uv_handle_t *)&check->finished, on_closed);
}

/* audit.c: audit rows and their chain. */
#include "audit.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alert_note.h"
#include "broker.h"
#include "hash.h"
#include "sallyport/clock.h"
#include "sallyport/own.h"
#include "sallyport/str.h"

/* All columns of one row as netstrings; a row's texts are bounded by struct audit_entry. */
enum { ROW_BYTES_MAX = 4096 };

void audit_fill(struct audit_entry *entry, const char *event, const char *detail, ...)
{
	entry->event = event;
	va_list arguments;
	va_start(arguments, detail);
	vsnprintf(entry->detail, sizeof(entry->detail), detail, arguments);
	va_end(arguments);
	str_make_printable(entry->detail);
}

static void add(struct buf *row, const char *text)
{
	/* Cannot fail: see ROW_BYTES_MAX. A row that were cut would not verify, and so be seen. */
	(void)!buf_add_format(row, "%zu:%s,", strlen(text), text);
}

static void add_number(struct buf *row, uint64_t number)
{
	char text[24];
	snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
	add(row, text);
}

void audit_hash(uint64_t sequence, uint64_t at_ms, const struct audit_entry *entry, const char *previous_hash,
		char *out_hash)
{
	OWN_BUF struct buf row = BUF_INIT(ROW_BYTES_MAX);
	add_number(&row, sequence);
	add_number(&row, at_ms);
	const char *const columns[] = {entry->event, entry->code,    entry->request_id, entry->device,
				       entry->user,  entry->address, entry->detail,     previous_hash};
	for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++)
		add(&row, columns[i]);
	hash_sha256_hex(buf_view(&row), out_hash);
}

static atomic_uint_least64_t rows;

uint64_t audit_rows(void)
{
	return atomic_load(&rows);
}

int audit_append(struct store_db *db, const struct audit_entry *entry, struct diag *diag)
{
	struct store_chain *chain = store_chain(db);
	int64_t sequence = chain->sequence + 1;
	uint64_t now_ms = clock_wall_ms();
	char hash[65];
	audit_hash((uint64_t)sequence, now_ms, entry, chain->hash, hash);
	int result = STORE_RUN(db, diag, audit_insert, NUMBER(sequence), NUMBER(now_ms), TEXT(entry->event),
			       TEXT(entry->code), TEXT(entry->request_id), TEXT(entry->device), TEXT(entry->user),
			       TEXT(entry->address), TEXT(entry->detail), TEXT(chain->hash), TEXT(hash));
	if (result < 0)
		return result;
	if (strcmp(entry->event, AUDIT_CHECKPOINT) != 0)
		atomic_fetch_add(&rows, 1);
	chain->sequence = sequence;
	memcpy(chain->hash, hash, sizeof(hash));
	return alert_note(db, entry, (uint64_t)sequence, now_ms, diag);
}

/* ---- one row by itself ---- */

struct record {
	struct store_operation operation;
	struct audit_entry entry;
	audit_done done;
	void *context;
};

static int write_record(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	struct record *record = operation->context;
	return audit_append(db, &record->entry, diag);
}

static void on_recorded(struct store_operation *operation, int result, const struct diag *diag)
{
	OWN_MEMORY struct record *record = operation->context;
	if (record->done)
		record->done(record->context, result, diag);
}

void audit_record(struct broker *broker, const struct audit_entry *entry, audit_done done, void *context)
{
	struct record *record = malloc(sizeof(*record));
	if (!record) {
		struct diag diag;
		int result = diag_system(&diag, "memory");
		if (done)
			done(context, result, &diag);
		return;
	}
	*record = (struct record){.operation = {.work = write_record, .done = on_recorded, .context = record,
						.may_wait = !done},
				  .entry = *entry, .done = done, .context = context};
	store_submit(broker->store, &record->operation);
}

/* ---- reading ---- */

struct page {
	struct store_operation operation;
	struct audit_query query;
	uint64_t looked_to, last;
	audit_page_done done;
	void *context;
	struct audit_row rows[AUDIT_PAGE_MAX];
	size_t count;
};

enum { ROW_FIRST_TEXT = 2, ROW_TEXTS = 9 };

/* The texts of a row, in the order of the columns. */
static const char **text_of(struct audit_row *row, int i)
{
	const char **const texts[ROW_TEXTS] = {&row->event,   &row->code,   &row->request_id,    &row->device, &row->user,
					       &row->address, &row->detail, &row->previous_hash, &row->hash};
	return texts[i];
}

static int take_row(void *self, const struct store_row *row, struct diag *diag)
{
	struct page *page = self;
	struct audit_row *place = &page->rows[page->count++];
	place->sequence = (uint64_t)store_row_number(row, 0);
	place->at_ms = (uint64_t)store_row_number(row, 1);
	for (int i = 0; i < ROW_TEXTS; i++) {
		*text_of(place, i) = strdup(store_row_text(row, ROW_FIRST_TEXT + i));
		if (!*text_of(place, i))
			return diag_system(diag, "memory");
	}
	return 0;
}

static int read_page(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	struct page *page = operation->context;
	const struct audit_query *query = &page->query;
	page->last = (uint64_t)store_chain(db)->sequence;
	uint64_t end = query->after + AUDIT_LOOK_ROWS < page->last ? query->after + AUDIT_LOOK_ROWS : page->last;
	end = end > query->after ? end : query->after;
	int result = STORE_QUERY(db, diag, audit_page, take_row, page, NUMBER(query->after), NUMBER(end), NUMBER(query->since_ms),
				 TEXT(query->user), TEXT(query->device), TEXT(query->code), TEXT(query->event),
				 TEXT(query->request_id), NUMBER(query->limit));
	/* A full page ends at its last row. */
	page->looked_to = page->count == query->limit ? page->rows[page->count - 1].sequence : end;
	return result;
}

static void on_page(struct store_operation *operation, int result, const struct diag *diag)
{
	struct page *page = operation->context;
	const struct audit_page answer = {.rows = page->rows, .count = result < 0 ? 0 : page->count, .looked_to = page->looked_to,
					  .last = page->last};
	page->done(page->context, result, diag, &answer);
	for (size_t i = 0; i < page->count; i++)
		for (int j = 0; j < ROW_TEXTS; j++)
			free((void *)(uintptr_t)*text_of(&page->rows[i], j));
	free(page);
}

void audit_read(struct broker *broker, const struct audit_query *query, audit_page_done done, void *context)
{
	struct page *page = calloc(1, sizeof(*page));
	if (!page) {
		struct diag diag;
		int result = diag_system(&diag, "memory");
		done(context, result, &diag, &(struct audit_page){.count = 0});
		return;
	}
	page->operation = (struct store_operation){.work = read_page, .done = on_page, .context = page};
	page->query = *query;
	page->query.limit = query->limit && query->limit < AUDIT_PAGE_MAX ? query->limit : AUDIT_PAGE_MAX;
	page->done = done;
	page->context = context;
	store_submit(broker->store, &page->operation);
}

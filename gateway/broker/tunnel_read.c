/* tunnel_read.c: the record's rows of tunnels, a page at a time. */
#include <stdlib.h>
#include <string.h>

#include "broker.h"
#include "tunnel.h"

struct page {
	struct store_operation operation;
	uint64_t after;
	unsigned limit;
	tunnel_page_done done;
	void *context;
	struct tunnel_row rows[TUNNEL_PAGE_MAX];
	size_t count;
};

enum { TEXTS = 12 };

/* The texts of a row, and the column of each (statements.h: tunnel_page). */
static const char **text_of(struct tunnel_row *row, int i)
{
	const char **const texts[TEXTS] = {&row->session,  &row->device, &row->user,    &row->rule,
					   &row->resource, &row->host,   &row->address, &row->close_reason,
					   &row->connection, &row->request_id, &row->way, &row->form};
	return texts[i];
}
static const int columns[] = {1, 2, 3, 4, 5, 6, 8, 13, 14, 15, 16, 17};
enum { COLUMN_COUNT = sizeof(columns) / sizeof(columns[0]) };

static void fill_numbers(struct tunnel_row *place, const struct store_row *row)
{
	place->id = (uint64_t)store_row_number(row, 0);
	place->port = (uint32_t)store_row_number(row, 7);
	place->bytes_to_target = (uint64_t)store_row_number(row, 9);
	place->bytes_to_client = (uint64_t)store_row_number(row, 10);
	place->opened_at_ms = (uint64_t)store_row_number(row, 11);
	place->closed_at_ms = (uint64_t)store_row_number(row, 12);
}

static int take_row(void *self, const struct store_row *row, struct diag *diag)
{
	struct page *page = self;
	struct tunnel_row *place = &page->rows[page->count++];
	fill_numbers(place, row);
	for (int i = 0; i < COLUMN_COUNT; i++) {
		*text_of(place, i) = strdup(store_row_text(row, columns[i]));
		if (!*text_of(place, i))
			return diag_system(diag, "memory");
	}
	return 0;
}

static int read_page(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	struct page *page = operation->context;
	return STORE_QUERY(db, diag, tunnel_page, take_row, page, NUMBER(page->after), NUMBER(page->limit));
}

static void on_page(struct store_operation *operation, int result, const struct diag *diag)
{
	struct page *page = operation->context;
	page->done(page->context, result, diag, page->rows, result < 0 ? 0 : page->count);
	for (size_t i = 0; i < page->count; i++)
		for (int j = 0; j < COLUMN_COUNT; j++)
			free((void *)(uintptr_t)*text_of(&page->rows[i], j));
	free(page);
}

void tunnel_read(struct broker *broker, uint64_t after, unsigned limit, tunnel_page_done done, void *context)
{
	struct page *page = calloc(1, sizeof(*page));
	if (!page) {
		struct diag diag;
		int result = diag_system(&diag, "memory");
		done(context, result, &diag, NULL, 0);
		return;
	}
	page->operation = (struct store_operation){.work = read_page, .done = on_page, .context = page};
	page->after = after;
	page->limit = limit < TUNNEL_PAGE_MAX ? limit : TUNNEL_PAGE_MAX;
	page->done = done;
	page->context = context;
	store_submit(broker->store, &page->operation);
}

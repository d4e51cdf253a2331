/* table.c: rows for people. See table.h. */
#include "table.h"

#include <assert.h>
#include <stdio.h>

#include "say.h"

static void measure(const struct table *table, size_t width[TABLE_COLUMNS_MAX])
{
	for (size_t c = 0; c < table->columns; c++) {
		width[c] = say_cell_width(table->title(c));
		for (size_t r = 0; r < table->rows; r++) {
			size_t needed = say_cell_width(table->cell(table->owner, r, c));
			width[c] = needed > width[c] ? needed : width[c];
		}
	}
}

static void print_cell(const struct table *table, size_t column, const char *text, const size_t width[TABLE_COLUMNS_MAX])
{
	bool last = column + 1 == table->columns;
	say_cell(stdout, text, last ? 0 : width[column]);
	fputs(last ? "\n" : "  ", stdout);
}

void table_print(const struct table *table)
{
	size_t width[TABLE_COLUMNS_MAX];
	assert(table->columns <= TABLE_COLUMNS_MAX);
	measure(table, width);
	for (size_t c = 0; c < table->columns; c++)
		print_cell(table, c, table->title(c), width);
	for (size_t r = 0; r < table->rows; r++)
		for (size_t c = 0; c < table->columns; c++)
			print_cell(table, c, table->cell(table->owner, r, c), width);
}

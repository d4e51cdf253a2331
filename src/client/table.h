/* table.h: rows for people on standard output, in columns as wide as they need to be. */
#ifndef CLIENT_TABLE_H
#define CLIENT_TABLE_H

#include <stddef.h>

#define TABLE_COLUMNS_MAX 8

struct table {
	size_t columns, rows;
	const char *(*title)(size_t column);
	/* Valid until the next call; it is cleaned for the terminal here. */
	const char *(*cell)(const void *owner, size_t row, size_t column);
	const void *owner;
};

/* The titles, then the rows. */
void table_print(const struct table *table);

#endif

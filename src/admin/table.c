/* table.c: JSON as tables for people. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin.h"
#include "sallyport/buf.h"
#include "sallyport/str.h"

#define CELL_MAX 512

static void spell_list(const json_t *array, char *out_text, size_t capacity)
{
	size_t index, used = 0;
	const json_t *item;
	out_text[0] = 0;
	json_array_foreach(array, index, item) {
		const char *word = json_string_value(item);
		int length = snprintf(out_text + used, capacity - used, "%s%s", index ? "," : "", word ? word : "?");
		if (length < 0 || (size_t)length >= capacity - used)
			return;
		used += (size_t)length;
	}
	if (!used)
		str_copy(out_text, capacity, "-");
}

static void spell(const json_t *value, char *out_text, size_t capacity)
{
	if (json_is_string(value))
		str_copy(out_text, capacity, *json_string_value(value) ? json_string_value(value) : "-");
	else if (json_is_integer(value))
		snprintf(out_text, capacity, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else if (json_is_boolean(value))
		str_copy(out_text, capacity, json_is_true(value) ? "yes" : "no");
	else if (json_is_array(value))
		spell_list(value, out_text, capacity);
	else
		str_copy(out_text, capacity, "-");
	str_make_printable(out_text);
}

static int width_of(const json_t *array, const char *heading, const char *key)
{
	size_t index, widest = strlen(heading);
	const json_t *row;
	char cell[CELL_MAX];
	json_array_foreach(array, index, row) {
		spell(json_object_get(row, key), cell, sizeof(cell));
		widest = strlen(cell) > widest ? strlen(cell) : widest;
	}
	return (int)widest;
}

/* The last column needs no filling up. */
static void print_cell(const char *text, int width, bool is_last)
{
	if (is_last)
		printf("%s\n", text);
	else
		printf("%-*s  ", width, text);
}

void table_print(const json_t *array, const char *const *columns)
{
	int widths[16] = {0};
	unsigned count = 0;
	for (; columns[2 * count] && count < 16; count++)
		widths[count] = width_of(array, columns[2 * count], columns[2 * count + 1]);
	for (unsigned i = 0; i < count; i++)
		print_cell(columns[2 * i], widths[i], i + 1 == count);
	size_t index;
	const json_t *row;
	char cell[CELL_MAX];
	json_array_foreach(array, index, row) {
		for (unsigned i = 0; i < count; i++) {
			spell(json_object_get(row, columns[2 * i + 1]), cell, sizeof(cell));
			print_cell(cell, widths[i], i + 1 == count);
		}
	}
}

void table_print_object(const json_t *object, const char *const *pairs)
{
	char cell[CELL_MAX];
	for (; pairs[0]; pairs += 2) {
		spell(json_object_get(object, pairs[1]), cell, sizeof(cell));
		printf("%-24s %s\n", pairs[0], cell);
	}
}

void table_print_wrapped(const char *first, const char *others, const char *text)
{
	enum { COLUMNS = 80 };
	const char *before = first;
	do {
		size_t room = COLUMNS > strlen(before) + 20 ? COLUMNS - strlen(before) : 20, length = strlen(text);
		if (length > room) {
			/* At the last space that fits; a word that is longer than a line stays whole. */
			for (length = room; length && text[length] != ' '; length--)
				;
			if (!length)
				length = strcspn(text, " ");
		}
		printf("%s%.*s\n", before, (int)length, text);
		text += length;
		text += strspn(text, " ");
		before = others;
	} while (*text);
}

int table_print_json(const json_t *json)
{
	if (json_dumpf(json, stdout, JSON_INDENT(2)) < 0)
		return admin_say(ADMIN_FAILED, "cannot write the output");
	putchar('\n');
	return ADMIN_DONE;
}

static void print_quoted(const char *text)
{
	bool plain = !strpbrk(text, ",\"\r\n");
	if (plain) {
		fputs(text, stdout);
		return;
	}
	putchar('"');
	for (; *text; text++)
		fputs(*text == '"' ? "\"\"" : (char[]){*text, 0}, stdout);
	putchar('"');
}

void table_print_csv(const json_t *array, const char *const *columns)
{
	size_t index;
	const json_t *row;
	char cell[CELL_MAX];
	for (unsigned i = 0; columns[i]; i += 2)
		printf("%s%s", i ? "," : "", columns[i + 1]);
	putchar('\n');
	json_array_foreach(array, index, row) {
		for (unsigned i = 0; columns[i]; i += 2) {
			spell(json_object_get(row, columns[i + 1]), cell, sizeof(cell));
			fputs(i ? "," : "", stdout);
			print_quoted(cell);
		}
		putchar('\n');
	}
}

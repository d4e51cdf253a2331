/* pac.c: fuzz target: resources (a line each: name, a tab, addresses) into a script for browsers: no byte of theirs becomes
 * anything but a host's name. */
#include <string.h>

#include "fuzz.h"
#include "sallyport/own.h"
#include "sallyport/pac.h"

static void check_rows(const struct buf *rows)
{
	static const char known[] = "abcdefghijklmnopqrstuvwxyz0123456789.-_\",[] \t\n";
	unsigned quotes = 0;
	for (size_t i = 0; i < rows->size; i++) {
		MUST(memchr(known, rows->data[i], sizeof(known) - 1));
		quotes += rows->data[i] == '"';
		MUST(rows->data[i] != '\n' || quotes % 2 == 0);
	}
}

static int add_line(struct pac *pac, struct view line)
{
	const uint8_t *tab = line.size ? memchr(line.data, '\t', line.size) : NULL;
	struct view name = tab ? view_of(line.data, (size_t)(tab - line.data)) : view_of(line.data, 0);
	return pac_add(pac, name, tab ? view_of(tab + 1, line.size - name.size - 1) : line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	OWN_PAC struct pac pac;
	OWN_BUF struct buf text = BUF_INIT(PAC_BYTES_MAX);
	struct view rest = view_of(data, size);
	char host[256] = "gw.example";
	int result = 0;
	pac_init(&pac);
	while (rest.size && result == 0) {
		const uint8_t *end = memchr(rest.data, '\r', rest.size);
		size_t length = end ? (size_t)(end - rest.data) : rest.size;
		result = add_line(&pac, view_of(rest.data, length));
		rest = view_of(rest.data + length, rest.size - length);
		rest = view_of(rest.data + (rest.size > 0), rest.size - (rest.size > 0));
	}
	const struct buf *const tables[] = {&pac.names, &pac.zones, &pac.networks4, &pac.networks6};
	for (size_t i = 0; i < 4; i++)
		check_rows(tables[i]);
	(void)!view_to_string(view_of(data, size), host, sizeof(host));
	if (pac_write(&pac, &(struct pac_proxy){.is_tls = true, .host = host, .port = 443}, &text) == 0) {
		const uint8_t *line_end = memchr(text.data, '\n', text.size);
		MUST(line_end && strcspn(host, "\"\\;\n") == strlen(host));
	}
	return 0;
}

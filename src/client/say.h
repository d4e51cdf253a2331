/* say.h: what the user reads. Foreign text is made harmless here, for every way out. */
#ifndef CLIENT_SAY_H
#define CLIENT_SAY_H

#include <stdbool.h>
#include <stdio.h>

/* One line on standard error, "sallyport: SENTENCE", in one write. */
[[gnu::format(printf, 1, 2)]] void say(const char *format, ...);

/* Makes foreign text of several lines harmless for a terminal, in place: line feeds and tabs stay,
 * everything else that is a control character or not UTF-8 becomes a question mark. Trailing white
 * space is removed unless `keep_end` (a prompt ends in a space). */
enum say_end { SAY_TRIM_END, SAY_KEEP_END };
void say_clean(char *text, enum say_end end);

/* A cleaned copy of foreign text; NULL when memory is out. Caller frees. */
char *say_cleaned(const char *text, enum say_end end);

/* Prints foreign text as one table cell: cleaned, on one line, padded with spaces to `width`
 * characters (0: no padding). */
void say_cell(FILE *out, const char *text, size_t width);
/* The characters that say_cell prints without padding. */
size_t say_cell_width(const char *text);

/* Flushes standard output; false when what was printed did not arrive (a full disk, a closed pipe). */
bool say_finished(void);

#endif

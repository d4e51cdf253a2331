/* say.c: what the user reads. Decides nothing; who calls knows what to say. */
#include "say.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sallyport/str.h"

void say(const char *format, ...)
{
	char text[1024];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	str_make_printable(text);
	char line[1100];
	int length = snprintf(line, sizeof(line), "sallyport: %s\n", text);
	/* Nobody is left to be told when standard error is closed. */
	(void)!write(STDERR_FILENO, line, (size_t)length);
}

void say_clean(char *text, enum say_end end)
{
	char *at = text;
	while (*at) {
		/* str_make_printable cleans one line; what separates lines and columns stays. */
		size_t length = strcspn(at, "\n\t");
		char separator = at[length];
		at[length] = 0;
		str_make_printable(at);
		at[length] = separator;
		at += length + (separator ? 1 : 0);
	}
	while (end == SAY_TRIM_END && at > text && strchr(" \n\t", at[-1]))
		*--at = 0;
}

char *say_cleaned(const char *text, enum say_end end)
{
	char *copy = strdup(text);
	if (copy)
		say_clean(copy, end);
	return copy;
}

static size_t characters(const char *text)
{
	size_t count = 0;
	for (; *text; text++)
		count += ((uint8_t)*text & 0xc0) != 0x80;
	return count;
}

size_t say_cell_width(const char *text)
{
	return characters(text);
}

void say_cell(FILE *out, const char *text, size_t width)
{
	char *copy = strdup(text);
	if (!copy)
		return;
	str_make_printable(copy);
	size_t used = characters(copy);
	fprintf(out, "%s%*s", copy, width > used ? (int)(width - used) : 0, "");
	free(copy);
}

bool say_finished(void)
{
	return fflush(stdout) == 0 && !ferror(stdout);
}

/* log.c: one line per event on standard error. */
#include "sallyport/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sallyport/str.h"

static const char *room_name = "sallyport";
static enum log_level level_limit = LOG_LEVEL_NOTICE;

void log_open(const char *room, enum log_level most_verbose)
{
	room_name = room;
	level_limit = most_verbose;
}

void log_set_level(enum log_level most_verbose)
{
	level_limit = most_verbose;
}

/* sd-daemon(3): "<3>" in front of a line is its priority. */
static const char *priority_prefix(enum log_level level)
{
	static const char *const prefixes[] = {"<3>", "<4>", "<5>", "<7>"};
	return isatty(STDERR_FILENO) ? "" : prefixes[level];
}

void log_write(enum log_level level, const char *format, ...)
{
	if (level > level_limit)
		return;
	char text[1536];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	str_make_printable(text);
	char line[1664];
	int length = snprintf(line, sizeof(line), "%s%s: %s\n", priority_prefix(level), room_name, text);
	if (length > 0)
		/* One write, so that lines of different processes do not mix. A log that cannot be
		 * written has nobody to be told to. */
		(void)!write(STDERR_FILENO, line, (size_t)length < sizeof(line) ? (size_t)length : sizeof(line) - 1);
}

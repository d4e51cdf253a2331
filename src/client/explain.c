/* explain.c: what -v tells. Decides nothing. */
#include "explain.h"

#include <stdarg.h>
#include <stdio.h>

static explain_sink sink_now;
static void *sink_owner;

void explain_to(explain_sink sink, void *owner)
{
	sink_now = sink;
	sink_owner = owner;
}

bool explain_wanted(void)
{
	return sink_now;
}

void explain(const char *format, ...)
{
	char sentence[1024];
	va_list arguments;
	if (!sink_now)
		return;
	va_start(arguments, format);
	vsnprintf(sentence, sizeof(sentence), format, arguments);
	va_end(arguments);
	sink_now(sink_owner, sentence);
}

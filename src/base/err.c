/* err.c: names of errors and the sentence that goes with one. */
#include "sallyport/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const names[] = {
	"success", "again",     "closed",    "timeout",    "limit",  "denied",
	"not found", "bad peer", "bad input", "bad config", "system", "bug",
};

const char *err_name(int err)
{
	size_t index = err > 0 ? sizeof(names) : (size_t)-(long)err;
	return index < sizeof(names) / sizeof(names[0]) ? names[index] : "unknown";
}

int diag_set(struct diag *diag, int err, const char *format, ...)
{
	if (!diag)
		return err;
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(diag->text, sizeof(diag->text), format, arguments);
	va_end(arguments);
	return err;
}

int diag_system(struct diag *diag, const char *format, ...)
{
	int reason = errno;
	if (!diag)
		return ERR_SYSTEM;
	va_list arguments;
	va_start(arguments, format);
	int length = vsnprintf(diag->text, sizeof(diag->text), format, arguments);
	va_end(arguments);
	size_t used = length < 0 ? 0 : (size_t)length;
	if (used < sizeof(diag->text))
		snprintf(diag->text + used, sizeof(diag->text) - used, ": %s", strerror(reason));
	return ERR_SYSTEM;
}

/* err.h: how a function says that it failed.
 *
 * Every fallible function returns 0 or one of these negative numbers. A number says what the
 * *caller* can do about it, not which line failed; the sentence for people travels in a struct diag.
 * A foreign library's codes are mapped to these in the one file that owns the library.
 */
#ifndef SALLYPORT_ERR_H
#define SALLYPORT_ERR_H

#include <stddef.h>

enum err {
	ERR_AGAIN = -1,      /* nothing now; call again when the descriptor is ready */
	ERR_CLOSED = -2,     /* the other side has ended in good order */
	ERR_TIMEOUT = -3,    /* a time limit ran out */
	ERR_LIMIT = -4,      /* a configured bound was reached */
	ERR_DENIED = -5,     /* understood and refused */
	ERR_NOT_FOUND = -6,  /* no such thing */
	ERR_BAD_PEER = -7,   /* the other side broke the protocol: end it */
	ERR_BAD_INPUT = -8,  /* a value given from outside is not valid */
	ERR_BAD_CONFIG = -9, /* configuration or policy is not valid */
	ERR_SYSTEM = -10,    /* the system refused (errno is in the diag's text) */
	ERR_BUG = -11,       /* our own invariant does not hold */
};

/* One sentence that says what is wrong, where, and what to do. */
struct diag {
	char text[768];
};

/* Name of an error ("again", "bad peer"); never NULL, also for numbers that are none. */
const char *err_name(int err);

/* Writes a sentence into diag (NULL is allowed and ignored) and returns err, so that a function
 * can leave with `return diag_set(diag, ERR_BAD_INPUT, "...", ...)`. Overlong text is cut. */
[[gnu::format(printf, 3, 4)]] int diag_set(struct diag *diag, int err, const char *format, ...);

/* As diag_set, with ": " and the text of the present errno appended. Returns ERR_SYSTEM. */
[[gnu::format(printf, 2, 3)]] int diag_system(struct diag *diag, const char *format, ...);

#endif

/* store_check.h: looks through the whole store once, at the start, while everybody is served. store_check.c. */
#ifndef SALLYPORT_BROKER_STORE_CHECK_H
#define SALLYPORT_BROKER_STORE_CHECK_H

#include <uv.h>

#include "sallyport/err.h"

struct store_check;

/* On the loop, once: 0, or ERR_BAD_INPUT (damaged) or ERR_SYSTEM (it could not be looked through) with a sentence. Not called when the
 * check was ended before. */
typedef void (*store_check_done)(void *context, int result, const struct diag *diag);

/* Reads by a thread and a connection of its own: it takes no lock that a commit waits for. */
[[nodiscard]] int store_check_begin(const char *path, uv_loop_t *loop, store_check_done done, void *context,
				    struct store_check **out_check, struct diag *diag);
/* Interrupts it, wherever it is, and frees; NULL-safe. Blocks for a moment. */
void store_check_end(struct store_check *check);

#endif

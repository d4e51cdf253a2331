/* walls.h: the walls of the template, and the tighter ones of each worker that it forks.
 *
 * The template builds template_walls by room_lock and compiles worker_calls once (filter_compile, before
 * room_lock). A forked worker makes its loop, then calls worker_walls_tighten before it reads anything
 * from its client.
 */
#ifndef SALLYPORT_WORKER_WALLS_H
#define SALLYPORT_WORKER_WALLS_H

#include "jail.h"

/* `identity` is filled in from the setting worker_user. */
extern const struct jail template_walls;
extern const struct filter_list worker_calls;

/* In a forked worker: no further process (RLIMIT_NPROC 0), and the tighter filter on top of the
 * template's. ERR_SYSTEM: the worker must end. */
[[nodiscard]] int worker_walls_tighten(const struct filter *compiled_worker_calls, struct diag *diag);

#endif

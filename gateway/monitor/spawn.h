/* spawn.h: starts a room's executable with its edge on descriptor 3 and nothing else. */
#ifndef SALLYPORT_MONITOR_SPAWN_H
#define SALLYPORT_MONITOR_SPAWN_H

#include <sys/types.h>

#include "sallyport/conf.h"

/* Forks and execs SALLYPORT_ROOMS_DIRECTORY/`program` with an empty environment, standard input and output on
 * /dev/null, standard error kept. out_edge is the monitor's end; sends on it give up after some seconds.
 * `argument` (may be NULL) is the program's only argument. */
[[nodiscard]] int spawn_room(const char *program, const char *argument, pid_t *out_pid, int *out_edge, struct diag *diag);

/* Sends every setting that the room (a bit of enum conf_room) may see. */
[[nodiscard]] int spawn_send_settings(int edge, unsigned room, const struct conf *conf, struct diag *diag);

/* Waits for `ready` or `failed` of a room that was told to begin. ERR_DENIED with the room's own sentence when it
 * failed. Missing walls are in out_missing (512 characters). */
[[nodiscard]] int spawn_wait_ready(int edge, const char *program, char *out_missing, struct diag *diag);

#endif

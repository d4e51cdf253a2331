/* handover.h: live tunnels outlive a restart: what the monitor that goes leaves to the one that comes.
 *
 *     handover.c   SIGUSR1 (systemctl restart): into systemd's descriptor store; SIGUSR2: across execve(2) of itself
 *     heritage.c   the start: descriptors from either, checked
 *
 * Both ways are the same to the successor: sd_listen_fds(3)'s variables name listeners, and socketpairs that are filled with
 * descriptors (edge/handover.h).
 */
#ifndef SALLYPORT_MONITOR_HANDOVER_H
#define SALLYPORT_MONITOR_HANDOVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "sallyport/err.h"

struct monitor;

#define HANDOVER_LISTENER "listener"
#define HANDOVER_HERITAGE "heritage"

/* A descriptor of the broker's, between the old one and the new one. */
struct kept {
	TAILQ_ENTRY(kept) all;
	uint8_t kind; /* enum handover_kind */
	uint64_t number;
	int fd;
};
TAILQ_HEAD(kept_list, kept);

enum handover_way { HANDOVER_NONE, HANDOVER_STORE, HANDOVER_EXEC };

/* ---- handover.c ---- */
/* Asks the broker for what live tunnels need. The loop stops when it has ended. */
void handover_begin(struct monitor *monitor, enum handover_way way);
/* The broker's `keep`. */
[[nodiscard]] int handover_keep(struct monitor *monitor, uint8_t kind, uint64_t number, int *fd);
/* Whether the broker has left in good order. */
bool handover_is_whole(const struct monitor *monitor);
/* Kills a broker that does not leave. Returns the milliseconds until then, -1 when nothing is under way. */
int handover_tick(struct monitor *monitor, uint64_t now_ms);
/* After the other rooms: leaves everything to the successor; comes back when this process is to end. */
void handover_finish(struct monitor *monitor, char **arguments);

/* ---- heritage.c ---- */
/* Takes what was left, if anything was: workers, listeners, what is the broker's. */
void heritage_take(struct monitor *monitor);
/* An inherited listener at that address; -1: none. It is the caller's. */
struct sockaddr_storage;
int heritage_listener(struct monitor *monitor, const struct sockaddr_storage *address);
/* Closes listeners that nobody wanted. */
void heritage_close_listeners(struct monitor *monitor);
/* Hands the broker's part to the new one. */
[[nodiscard]] int heritage_send(struct monitor *monitor, int edge, struct diag *diag);
void heritage_forget(struct monitor *monitor);

#endif

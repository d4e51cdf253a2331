/* room.h: how every room starts: enter, take what you need, lock the door, loop.
 *
 *     int main(void)
 *     {
 *             struct room room;
 *             room_start(&room, "signer", MONITOR_ROOM_SIGNER);
 *             ... open files, load keys from room_descriptor(...), make the loop ...
 *             struct jail walls = signer_walls;
 *             walls.identity = room.conf.signer_user;
 *             room_lock(&room, &walls);
 *             ... loop over room.monitor ...
 *     }
 *
 * A room that cannot start has no use: room_start and room_lock do not come back then, they tell the
 * monitor one sentence (`failed`) and end the process. Counterpart: gateway/monitor/rooms.c; what is said
 * on the edge: edge/monitor_room.h.
 */
#ifndef SALLYPORT_ROOM_ROOM_H
#define SALLYPORT_ROOM_ROOM_H

#include <stddef.h>

#include "jail.h"
#include "sallyport/conf.h"
#include "sallyport/edge/monitor_room.h"
#include "sallyport/err.h"

/* The monitor edge is this descriptor in every room. */
#define ROOM_MONITOR_FD 3

/* One descriptor that the monitor has sent. */
struct room_descriptor {
	char purpose[65]; /* MONITOR_ROOM_PURPOSE_... */
	char *name;       /* its path or name, for sentences */
	int fd;           /* close-on-exec; -1 once taken with take_fd(&d->fd) */
};

struct room {
	const char *name;
	int monitor; /* the monitor edge: blocking until the room changes that */
	enum monitor_room_state role; /* the state for monitor_room_dispatch once ready */
	struct conf conf;    /* the settings in force */
	struct conf offered; /* the settings since the last reload; see room_accept */
	bool has_offered;
	bool begun;
	struct room_descriptor *descriptors; /* received and not yet forgotten */
	size_t descriptor_count;
};

/* Opens the log, makes the process undumpable and without core files, closes stray descriptors, ignores
 * SIGINT, SIGHUP and SIGPIPE (the monitor ends rooms by `stop` or by closing the edge), checks that
 * descriptor 3 is a monitor edge, and takes settings and descriptors until `begin`. Ends the process with a
 * sentence when something is wrong, and silently with 0 when the monitor says stop or is gone. */
void room_start(struct room *room, const char *name, enum monitor_room_state role);

/* The next received descriptor of that purpose, NULL after the last. *position starts at 0. The struct is
 * the room's; a descriptor to keep is taken with take_fd(&found->fd). */
struct room_descriptor *room_descriptor(struct room *room, const char *purpose, size_t *position);

/* Reads a received file whole: the first of that purpose. out_name (may be NULL) borrows its name until
 * room_forget_descriptors. ERR_NOT_FOUND when the monitor sent none. The diag's sentence names the file. */
[[nodiscard]] int room_read_descriptor(struct room *room, const char *purpose, struct buf *out_bytes,
				       const char **out_name, struct diag *diag);

/* Closes and forgets every received descriptor that was not taken. */
void room_forget_descriptors(struct room *room);

/* Builds the walls and answers `ready`, with the names of missing walls when not root. Forgets received
 * descriptors first. Does not return on failure. */
void room_lock(struct room *room, const struct jail *jail);

/* Logs the sentence, sends `failed`, ends the process with status 1. Before `ready` only. */
[[noreturn]] void room_fail(struct room *room, const struct diag *diag);

/* For the keepers (broker, signer) in their working state, as handlers of monitor_room: a new setting or
 * descriptor waits in room->offered / room->descriptors until `reload`; then room_accept puts the offered
 * settings in force (when the room has found all good), room_decline drops them. Both forget the received
 * descriptors and answer `reloaded`. */
[[nodiscard]] int room_take_setting(struct room *room, const struct monitor_room_setting *message, struct diag *diag);
[[nodiscard]] int room_take_descriptor(struct room *room, const struct monitor_room_descriptor *message, int *fd,
				       struct diag *diag);
/* The settings that `reload` is about: the offered ones, or, when none came, those in force. */
const struct conf *room_offered(const struct room *room);
[[nodiscard]] int room_accept(struct room *room);
[[nodiscard]] int room_decline(struct room *room, const struct diag *diag);

#endif

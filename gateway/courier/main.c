/* main.c: the courier: the only room that talks outward: delivers alerts, fetches what the broker may need from elsewhere.
 *
 * Enter, take the broker's edge, lock the door, loop. It decides nothing: the broker says what to fetch and judges what
 * came. Strangers' answers are bytes here; only libcurl looks into heads and TLS records.
 */
#include <stdlib.h>
#include <unistd.h>

#include "courier.h"
#include "sallyport/fd.h"
#include "sallyport/log.h"
#include "sallyport/own.h"
#include "walls.h"

enum { WAIT_MS = 60000, COURIER_PATHS_MAX = 64 };

static int prepare(struct courier *courier, struct diag *diag)
{
	size_t position = 0;
	struct room_descriptor *edge = room_descriptor(&courier->room, MONITOR_ROOM_PURPOSE_BROKER_EDGE, &position);
	courier->broker = edge ? take_fd(&edge->fd) : -1;
	courier->space = malloc(EDGE_FRAME_MAX);
	if (!courier->space || fd_set_nonblocking(courier->room.monitor) < 0 ||
	    (courier->broker >= 0 && fd_set_nonblocking(courier->broker) < 0))
		return diag_system(diag, "cannot set up the loop");
	return 0;
}

/* Authorities of alerts beside the trust list: the files that the admin has named. */
static const struct jail_path *courier_walls_with(struct jail_path *paths, const struct deliveries *deliveries)
{
	size_t count = 0;
	for (const struct jail_path *path = courier_walls.paths; path->path && count + 1 < COURIER_PATHS_MAX; path++)
		paths[count++] = *path;
	for (size_t i = 0; i < deliveries->place_count && count + 1 < COURIER_PATHS_MAX; i++)
		if (*deliveries->places[i].authority)
			paths[count++] = (struct jail_path){deliveries->places[i].authority, JAIL_READ};
	paths[count] = (struct jail_path){NULL, 0};
	return paths;
}

/* Without a monitor nobody would start a new one. */
static void look_at_monitor(struct courier *courier)
{
	int result = edges_take_monitor(courier);
	if (result == 0 || result == ERR_AGAIN)
		return;
	if (result != ERR_CLOSED)
		log_error("the edge to the monitor is dropped: %s", courier->diag.text);
	courier->stopped = true;
}

static void look_at_broker(struct courier *courier)
{
	int result = edges_take_broker(courier);
	if (result == 0 || result == ERR_AGAIN)
		return;
	if (result != ERR_CLOSED)
		log_error("the edge to the broker is dropped: %s", courier->diag.text);
	close(courier->broker);
	courier->broker = -1;
}

static void loop(struct courier *courier)
{
	while (!courier->stopped) {
		struct transfers_watch watches[] = {{.fd = courier->room.monitor}, {.fd = courier->broker}};
		transfers_turn(&courier->transfers, watches, 2, WAIT_MS);
		deliver_look(courier);
		if (watches[0].readable)
			look_at_monitor(courier);
		/* The monitor may have brought another broker just now. */
		if (watches[1].readable && courier->broker == watches[1].fd)
			look_at_broker(courier);
	}
}

int main(void)
{
	static struct courier courier;
	struct diag diag;
	room_start(&courier.room, "courier", MONITOR_ROOM_COURIER);
	if (prepare(&courier, &diag) < 0 || deliver_prepare(&courier, &diag) < 0 || transfers_init(&courier.transfers, &diag) < 0)
		room_fail(&courier.room, &diag);
	static struct jail_path paths[COURIER_PATHS_MAX];
	struct jail walls = courier_walls;
	walls.identity = courier.room.conf.courier_user;
	walls.paths = courier_walls_with(paths, &courier.deliveries);
	room_lock(&courier.room, &walls);
	loop(&courier);
	return EXIT_SUCCESS;
}

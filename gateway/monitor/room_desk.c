/* room_desk.c: what the broker asks about the rooms, for the admin: who runs, since when, how often it was started again.
 *
 * Counterpart: gateway/broker/admin_rooms.c.
 */
#include <unistd.h>

#include "monitor.h"
#include "sallyport/clock.h"
#include "sallyport/edge/monitor_room.h"
#include "sallyport/wire.h"

static unsigned count_conversations(const struct monitor *monitor)
{
	const struct conversation *conversation;
	unsigned count = 0;
	LIST_FOREACH(conversation, &monitor->conversations, all)
		count++;
	return count;
}

int room_desk_list(const struct monitor *monitor, int edge)
{
	uint64_t now_ms = clock_monotonic_ms();
	int result = WIRE_SEND(edge, monitor_room, room_item, -1, .room = view_string("monitor"), .process = (uint32_t)getpid(),
			       .age_ms = now_ms - monitor->started_ms);
	for (int role = 0; result == 0 && role < KEEPER_COUNT; role++) {
		const struct keeper *keeper = &monitor->keepers[role];
		if (keeper_is_wanted(monitor, (enum keeper_role)role))
			result = WIRE_SEND(edge, monitor_room, room_item, -1, .room = view_string(keeper_name((enum keeper_role)role)),
					   .process = (uint32_t)keeper->pid, .age_ms = keeper->pid ? now_ms - keeper->started_ms : 0,
					   .restarts = keeper->restarts);
	}
	return result < 0 ? result
			  : WIRE_SEND(edge, monitor_room, rooms_end, -1, .workers = monitor->worker_count, .spares = monitor->spares,
				      .strangers = monitor->strangers, .conversations = count_conversations(monitor));
}

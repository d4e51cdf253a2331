/* admin_rooms.c: `status`: the monitor knows who runs, the broker has the admin socket. Counterpart: gateway/monitor/room_desk.c. */
#include "admin_rooms.h"

#include <sys/queue.h>

#include "admin_call.h"
#include "admin_json.h"
#include "monitor_edge.h"
#include "sallyport/clock.h"

/* One broker, one monitor: those that wait, oldest first, and the items for the first of them. */
static TAILQ_HEAD(, admin_call) waiting = TAILQ_HEAD_INITIALIZER(waiting);
static json_t *items;

void admin_rooms_list(struct admin_call *call)
{
	TAILQ_INSERT_TAIL(&waiting, call, waiting);
	monitor_want_rooms(call->broker);
}

int admin_rooms_item(const struct monitor_room_room_item *item)
{
	uint64_t now_ms = clock_wall_ms();
	if (TAILQ_EMPTY(&waiting))
		return ERR_BAD_PEER;
	if (!items)
		items = json_array();
	json_t *room = json_pack("{s:s%, s:o, s:o, s:I}", "room", (const char *)item->room.data, item->room.size, "process",
				 item->process ? json_integer(item->process) : json_null(), "since",
				 item->process ? admin_json_time(now_ms - item->age_ms) : json_null(), "restarts",
				 (json_int_t)item->restarts);
	return json_array_append_new(items, room) < 0 ? ERR_SYSTEM : 0;
}

int admin_rooms_end(const struct monitor_room_rooms_end *message)
{
	struct admin_call *call = TAILQ_FIRST(&waiting);
	if (!call)
		return ERR_BAD_PEER;
	TAILQ_REMOVE(&waiting, call, waiting);
	json_t *list = items ? items : json_array();
	items = NULL;
	admin_reply(call, 200, json_pack("{s:o, s:I, s:I, s:I, s:I}", "rooms", list, "workers", (json_int_t)message->workers,
					 "spare_workers", (json_int_t)message->spares, "before_door_one",
					 (json_int_t)message->strangers, "conversations", (json_int_t)message->conversations));
	return 0;
}

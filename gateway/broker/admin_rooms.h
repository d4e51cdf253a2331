/* admin_rooms.h: which rooms run, as the monitor says it. admin_rooms.c. */
#ifndef SALLYPORT_BROKER_ADMIN_ROOMS_H
#define SALLYPORT_BROKER_ADMIN_ROOMS_H

#include "sallyport/edge/monitor_room.h"
#include "sallyport/err.h"

struct admin_call;

/* Answers later. */
void admin_rooms_list(struct admin_call *call);

/* The monitor's answers. ERR_BAD_PEER when nobody has asked. */
[[nodiscard]] int admin_rooms_item(const struct monitor_room_room_item *item);
[[nodiscard]] int admin_rooms_end(const struct monitor_room_rooms_end *message);

#endif

/* admin_sources.h: the admin's questions about sources, which only the monitor can answer, in the order of the questions. */
#ifndef SALLYPORT_BROKER_ADMIN_SOURCES_H
#define SALLYPORT_BROKER_ADMIN_SOURCES_H

#include "sallyport/edge/monitor_room.h"

struct admin_call;
struct broker;

/* For admin_routes.c: each answers its call, later. */
void admin_sources_list(struct admin_call *call);
void admin_sources_clear(struct admin_call *call);

/* For monitor_edge.c: what the monitor says. ERR_BAD_PEER when nobody had asked. */
[[nodiscard]] int admin_sources_item(struct broker *broker, const struct monitor_room_source_item *item);
[[nodiscard]] int admin_sources_end(struct broker *broker, const struct monitor_room_sources_end *message);
[[nodiscard]] int admin_sources_cleared(struct broker *broker, const struct monitor_room_sources_cleared *message);

#endif

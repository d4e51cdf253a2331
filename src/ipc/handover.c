/* handover.c: which versions can hand live workers over to one another: a number of the tables that both must share. */
#include "sallyport/edge/handover.h"

#include "sallyport/edge/monitor_room.h"
#include "sallyport/edge/worker_broker.h"

uint32_t handover_protocol(void)
{
	return edge_sum(&worker_broker_edge, EDGE_ANY) ^ edge_sum(&monitor_room_edge, MONITOR_ROOM_WORKER) ^ HANDOVER_VERSION;
}

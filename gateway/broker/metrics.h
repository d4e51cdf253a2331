/* metrics.h: what the broker has counted since its start, for Prometheus (metrics_listen).
 *
 * Whoever sees something happen calls in here, on the loop. A metric's labels come from sets that are fixed in metrics.c or
 * by the configuration: what a stranger says makes no new series.
 */
#ifndef SALLYPORT_BROKER_METRICS_H
#define SALLYPORT_BROKER_METRICS_H

#include <stdbool.h>
#include <stdint.h>

#include "sallyport/edge/monitor_room.h"
#include "sallyport/err.h"

struct broker;
struct tunnel;

/* Door one: the code of the refusal, "" for an open door. */
void metrics_handshake(const char *code);
/* A login has ended: its realm ("" before it has one); the code, "" when it was granted. */
void metrics_login(const char *realm, const char *code);
/* A target was dialed: since uv_hrtime() said so; the result of dial.h. */
void metrics_dialed(uint64_t began_ns, int result);
/* A tunnel ends: what the kernel has counted on the broker's copy of its socket since this broker has it. */
void metrics_tunnel_closed(const struct tunnel *tunnel);

/* What became of connections at a door within the last hour, for `status`: each outcome that there was, the good one
 * ("accepted", "granted") first. False after the last; *position starts at 0. */
enum metrics_door { METRICS_DOOR_ONE, METRICS_DOOR_TWO, METRICS_DOORS };
bool metrics_lately(enum metrics_door door, unsigned *position, const char **out_outcome, uint64_t *out_count);

/* The monitor's answer to `counts_wanted`. ERR_BAD_PEER when nobody has asked. */
[[nodiscard]] int metrics_counts(struct broker *broker, const struct monitor_room_counts *message);

#endif

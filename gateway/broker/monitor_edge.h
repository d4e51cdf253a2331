/* monitor_edge.h: what the broker tells the monitor, and asks of it. */
#ifndef SALLYPORT_BROKER_MONITOR_EDGE_H
#define SALLYPORT_BROKER_MONITOR_EDGE_H

#include <stdint.h>

#include "sallyport/err.h"

struct broker;

/* After `ready`: watches the monitor's edge. */
[[nodiscard]] int monitor_edge_new(struct broker *broker, struct diag *diag);

void monitor_door_one(struct broker *broker, uint64_t worker);
void monitor_kill_worker(struct broker *broker, uint64_t worker);
/* As SIGHUP; answered by broker_reload() or admin_policy_declined(). */
void monitor_want_reload(struct broker *broker);
/* Answered in the order of the requests by login_connect() or login_not_started(). */
void monitor_want_conversation(struct broker *broker);

#endif

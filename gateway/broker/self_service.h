/* self_service.h: what a logged-in user may see and do of his own: his devices, and the second factor (self_factor.c).
 *
 * Everything here is asked with the token of a live session, answers about that session's user only (B3), and is in the
 * record before it is answered. Counterpart: gateway/worker/self_service.c.
 */
#ifndef SALLYPORT_BROKER_SELF_SERVICE_H
#define SALLYPORT_BROKER_SELF_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "sallyport/buf.h"
#include "sallyport/edge/worker_broker.h"

struct session;
struct worker;

/* ---- handlers of worker_edge.c: self is the worker ---- */
[[nodiscard]] int self_service_devices(void *self, const struct worker_broker_devices *message, int *fd);
[[nodiscard]] int self_service_lost(void *self, const struct worker_broker_device_lost *message, int *fd);
[[nodiscard]] int self_factor_get(void *self, const struct worker_broker_factor_get *message, int *fd);
[[nodiscard]] int self_factor_new(void *self, const struct worker_broker_factor_new *message, int *fd);
[[nodiscard]] int self_factor_confirm(void *self, const struct worker_broker_factor_confirm *message, int *fd);
[[nodiscard]] int self_factor_codes(void *self, const struct worker_broker_factor_codes *message, int *fd);

/* ---- between the two files ---- */
#define SELF_SERVICE_EVENT "self_service"
/* The session of an act; NULL when there is none, or the configuration leaves such acts to administrators: refused. */
struct session *self_service_session(struct worker *worker, uint32_t request, struct view token);

#endif

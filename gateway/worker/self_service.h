/* self_service.h: a user's own devices and second factor, and QR pictures: what exchange.c's routes serve, and what
 * broker_edge.c takes for them. self_service.c. */
#ifndef SALLYPORT_WORKER_SELF_SERVICE_H
#define SALLYPORT_WORKER_SELF_SERVICE_H

#include "worker.h"

/* ---- routes ---- */
void self_service_devices(struct exchange *exchange);
void self_service_lost(struct exchange *exchange);
void self_service_factor(struct exchange *exchange);
void self_service_new_factor(struct exchange *exchange);
void self_service_confirm(struct exchange *exchange);
void self_service_codes(struct exchange *exchange);
void self_service_qr(struct exchange *exchange);

/* ---- handlers of the broker's edge: self is the worker ---- */
[[nodiscard]] int self_service_on_device(void *self, const struct worker_broker_device_item *message, int *fd);
[[nodiscard]] int self_service_on_devices_end(void *self, const struct worker_broker_devices_end *message, int *fd);
[[nodiscard]] int self_service_on_device_locked(void *self, const struct worker_broker_device_locked *message, int *fd);
[[nodiscard]] int self_service_on_factor_state(void *self, const struct worker_broker_factor_state *message, int *fd);
[[nodiscard]] int self_service_on_factor_made(void *self, const struct worker_broker_factor_made *message, int *fd);
[[nodiscard]] int self_service_on_recovery_codes(void *self, const struct worker_broker_recovery_codes *message, int *fd);

#endif

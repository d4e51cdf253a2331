/* registry_memory.h: how the registry's files make and place its objects. Between registry*.c only. */
#ifndef SALLYPORT_BROKER_REGISTRY_MEMORY_H
#define SALLYPORT_BROKER_REGISTRY_MEMORY_H

#include "registry.h"

/* Copies; users and tags one a line. NULL without memory or when a text is too long. */
struct device *device_new(const char *id, const char *name, const char *users, const char *tags);
/* With its certificates; NULL-safe. Not while it is attached. */
void device_free(struct device *device);
void certificate_free(struct certificate *certificate);
[[nodiscard]] int certificate_set_key(struct certificate *certificate, struct view key);

/* A device of generation 1 with a fresh id; not attached. NULL without memory. */
struct device *registry_new_device(const char *name, const char *users, const char *tags);
/* Inside an operation: its rows, without a certificate's. ERR_DENIED when the name is taken. */
[[nodiscard]] int registry_record_device(struct store_db *db, const struct device *device, struct diag *diag);

/* Inside an operation: a certificate's row. ERR_DENIED when its serial number or fingerprint is there already. */
[[nodiscard]] int registry_record_certificate(struct store_db *db, const char *device_id,
					      const struct certificate *certificate, struct diag *diag);

/* From now on it is found. The registry owns it. */
void registry_attach(struct registry *registry, struct device *device);
void registry_attach_certificate(struct registry *registry, struct device *device, struct certificate *certificate);

/* ---- registry_act.c ---- */
/* Inside an operation: the ends of a device's sessions. */
[[nodiscard]] int registry_record_ends(struct store_db *db, const char *device_id, const char *reason, struct diag *diag);
/* Memory alone: no certificate that it has now is good any more. */
void registry_revoke_certificates(struct broker *broker, struct device *device);
struct ending;
/* Memory alone, between ending_begin and ending_commit: its sessions, logins, connections. How many sessions there were. */
unsigned registry_end_device(struct ending *ending, struct device *device);

#endif

/* monitor_edge.h: what the broker tells the monitor, and asks of it. */
#ifndef SALLYPORT_BROKER_MONITOR_EDGE_H
#define SALLYPORT_BROKER_MONITOR_EDGE_H

#include <stdint.h>

#include "sallyport/err.h"

struct broker;

/* After `ready`: watches the monitor's edge. */
[[nodiscard]] int monitor_edge_new(struct broker *broker, struct diag *diag);

void monitor_door_one(struct broker *broker, uint64_t worker);
/* That worker's client left, or waited too long, before it showed a certificate: a smaller penalty. */
void monitor_undecided(struct broker *broker, uint64_t worker);
void monitor_kill_worker(struct broker *broker, uint64_t worker);
/* As by SIGHUP; the outcome comes to admin_reload_over(). */
void monitor_want_reload(struct broker *broker);
/* A login of a client at that address was refused: its source gets a penalty. */
void monitor_login_refused(struct broker *broker, const char *address);
/* Where that worker's client is, behind a trusted sender; empty: the sender itself. */
void monitor_client_behind(struct broker *broker, uint64_t worker, const char *address);
/* Answered in the order of the requests by admin_sources.c's functions. "" clears all. */
void monitor_want_sources(struct broker *broker);
/* The file of that authority section's list; the answer goes to issuers_file() or issuers_no_file(). */
void monitor_want_list(struct broker *broker, const char *issuer);
void monitor_clear_sources(struct broker *broker, const char *source);
/* Answered in the order of the requests by metrics_counts(). */
void monitor_want_counts(struct broker *broker);
/* Answered in the order of the requests by admin_rooms_item() and admin_rooms_end(). */
void monitor_want_rooms(struct broker *broker);
/* How busy the broker is, when that has changed. */
void monitor_tell_busy(struct broker *broker);
/* Answered in the order of the requests by login_connect() or login_not_started(). */
void monitor_want_conversation(struct broker *broker);

/* For the successor (enum handover_kind): waits until the monitor has it. */
void monitor_keep(struct broker *broker, uint8_t kind, uint64_t number, int fd);

#endif

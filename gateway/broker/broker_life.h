/* broker_life.h: the policy's files, new settings, the minute, the end in good order. broker.c. */
#ifndef SALLYPORT_BROKER_BROKER_LIFE_H
#define SALLYPORT_BROKER_BROKER_LIFE_H

#include "sallyport/err.h"

struct broker;
struct conf;
struct dial_manner;
struct policy;
struct room;

/* Parses the policy files that the monitor has sent. The diag names file and line of the first error; the
 * others are logged. */
[[nodiscard]] int broker_read_policy(struct room *room, struct policy **out_policy, struct diag *diag);
/* The server authority's fingerprint (64 hexadecimal characters), or "" where none is configured. */
[[nodiscard]] int broker_read_pin(struct room *room, char *out_pin, struct diag *diag);
/* How targets are dialed. */
[[nodiscard]] int broker_read_manner(const struct conf *conf, struct dial_manner *out_manner, struct diag *diag);
/* Has the store looked through in the background; a damaged one is an alarm. */
[[nodiscard]] int broker_check_store(struct broker *broker, struct diag *diag);
/* Watches the minutes: rules have hours, and groups change. */
[[nodiscard]] int broker_start_minutes(struct broker *broker);
/* The settings and policy files since the last reload: all good and in force, or none of them. */
void broker_reload(struct broker *broker);
/* Ends every tunnel, closes the record, leaves the loop. */
void broker_stop(struct broker *broker);

#endif

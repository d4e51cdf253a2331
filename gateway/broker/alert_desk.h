/* alert_desk.h: what waits in the spool is told, in order, until it has arrived. alert_desk.c. */
#ifndef SALLYPORT_BROKER_ALERT_DESK_H
#define SALLYPORT_BROKER_ALERT_DESK_H

#include <stdint.h>

#include "sallyport/err.h"

struct broker;
struct alert_desk;

/* After the settings are there and the store is open, before anything is recorded: what is wanted. */
[[nodiscard]] int alert_desk_plan(struct broker *broker, struct diag *diag);
/* Begins to send. */
[[nodiscard]] int alert_desk_new(struct broker *broker, struct diag *diag);
/* New settings are in force. */
void alert_desk_reload(struct broker *broker);
/* Something was put back into the spool. */
void alert_desk_look(struct broker *broker);

/* The name of the next alert whose last message was not delivered; NULL after the last. *position starts at 0. */
const char *alert_desk_failing(const struct broker *broker, unsigned *position);

/* A room died and was started again: recorded, and so told. */
void alert_desk_room_restarted(struct broker *broker, const char *room, const char *cause);

#endif

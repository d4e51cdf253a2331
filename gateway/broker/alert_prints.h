/* alert_prints.h: notices that the policy, the gateway's certificate or its authority is another one. alert_prints.c. */
#ifndef SALLYPORT_BROKER_ALERT_PRINTS_H
#define SALLYPORT_BROKER_ALERT_PRINTS_H

#include "sallyport/err.h"

struct broker;
struct room;

#define ALERT_PRINTS 3
struct alert_prints {
	char text[ALERT_PRINTS][65]; /* SHA-256 of the files, in the order of the table in alert_prints.c; "": no such file */
};
/* Of the files that the monitor has sent and that are not forgotten yet. */
[[nodiscard]] int alert_prints_take(struct room *room, struct alert_prints *out_prints, struct diag *diag);
/* Compares with those of the last start or reload, and records each change. Before the store's thread runs, and after. */
[[nodiscard]] int alert_prints_start(struct broker *broker, const struct alert_prints *prints, struct diag *diag);
void alert_prints_reload(struct broker *broker, const struct alert_prints *prints);

#endif

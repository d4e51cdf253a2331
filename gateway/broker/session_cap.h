/* session_cap.h: how many sessions a user and a device may have at the same time, and what happens to the oldest. */
#ifndef SALLYPORT_BROKER_SESSION_CAP_H
#define SALLYPORT_BROKER_SESSION_CAP_H

#include <stdbool.h>

struct broker;
struct session;

/* Whether this new one (not counted itself) must be refused: sessions_full = "refuse" and a cap is reached. */
bool session_cap_refuses(const struct broker *broker, const struct session *wanted);
/* sessions_full = "end-oldest": ends what is too many besides the newest: the oldest without a tunnel, else the oldest. */
void session_cap_make_room(struct broker *broker, const struct session *newest);

#endif

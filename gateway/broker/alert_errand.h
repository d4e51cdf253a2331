/* alert_errand.h: messages that go to the courier at once and past the spool: a test, and trouble with the store itself. */
#ifndef SALLYPORT_BROKER_ALERT_ERRAND_H
#define SALLYPORT_BROKER_ALERT_ERRAND_H

#include "sallyport/err.h"

struct broker;

/* Sends a test message at once, whatever waits. ERR_NOT_FOUND, ERR_DENIED (refused), ERR_SYSTEM with a sentence. */
typedef void (*alert_test_done)(void *context, int result, const struct diag *diag);
void alert_errand_test(struct broker *broker, const char *alert, const char *by, alert_test_done done, void *context);

/* Once, as well as that goes: nobody is told whether it arrives. The texts are copied. */
void alert_errand_tell(struct broker *broker, const char *alert, const char *event, const char *detail);

#endif

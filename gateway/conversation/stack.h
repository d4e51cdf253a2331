/* stack.h: one run through a PAM stack: authentication, then the account. */
#ifndef SALLYPORT_CONVERSATION_STACK_H
#define SALLYPORT_CONVERSATION_STACK_H

#include "dialogue.h"

/* Runs the stack of `service` (from `directory` unless that is empty) for the user of the dialogue and says
 * its result to the broker. The user of a granted result is PAM_USER at the end (promise A8).
 * An error means that the result could not be told. pam_start(3), pam_authenticate(3), pam_acct_mgmt(3). */
[[nodiscard]] int stack_run(struct dialogue *dialogue, const char *service, const char *directory);

#endif

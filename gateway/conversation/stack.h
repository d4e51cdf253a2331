/* stack.h: one run through a PAM stack: authentication, the account, perhaps a session. */
#ifndef SALLYPORT_CONVERSATION_STACK_H
#define SALLYPORT_CONVERSATION_STACK_H

#include "dialogue.h"

struct stack {
	const char *service;
	const char *directory; /* of its file; empty: /etc/pam.d */
	/* The session is open; may be NULL. */
	void (*on_open)(void *context);
	void *context;
};

/* Runs the stack for the user of the dialogue and says its result to the broker. The user of a granted result is PAM_USER
 * at the end (promise A8). Where the service has session lines, its session is opened when the broker says so, and closed
 * when the broker's edge ends: only then this comes back. An error means that the result could not be told.
 * pam_start(3), pam_authenticate(3), pam_acct_mgmt(3), pam_setcred(3), pam_open_session(3). */
[[nodiscard]] int stack_run(struct dialogue *dialogue, const struct stack *stack);

#endif

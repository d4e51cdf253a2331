/* say.h: what the user is shown and asked, by the host program's conversation. */
#ifndef SALLYPORT_PAM_SAY_H
#define SALLYPORT_PAM_SAY_H

#include <security/pam_modules.h>

#include "call.h"

/* Shows a new factor: the QR code, and the secret for whoever cannot scan. A PAM code. */
int say_new_factor(pam_handle_t *pam, const struct call_answer *answer);
/* Shows the recovery codes and waits until the user has them. A PAM code. */
int say_recovery(pam_handle_t *pam, const struct call_answer *answer);
/* Asks without echo. *out_text is the caller's, to wipe and free (say_forget). A PAM code. */
int say_ask(pam_handle_t *pam, const char *prompt, char **out_text);
void say_forget(char **text);

#endif

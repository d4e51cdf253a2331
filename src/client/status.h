/* status.h: how the program ends, and how its functions say so.
 *
 * In this program a function that may fail returns STATUS_OK or the status with which the program should
 * end; the sentence for the user is in the struct diag (`return diag_set(diag, STATUS_USAGE, _("..."))`), in his language (words.h).
 * The table is what --help prints. To add a status, add a row.
 */
#ifndef CLIENT_STATUS_H
#define CLIENT_STATUS_H

#include "sallyport/err.h"
#include "words.h"

#define STATUSES(S)                                                                    \
	S(OK, 0, N_("done"))                                                               \
	S(FAILED, 1, N_("failed; the sentence says why"))                                  \
	S(USAGE, 2, N_("an option, an argument or a setting is wrong"))                    \
	S(NOT_ALLOWED, 3, N_("the policy does not allow it"))                              \
	S(LOGIN_NEEDED, 4, N_("not logged in, or the login was refused"))                  \
	S(DEVICE_REFUSED, 5, N_("this device is not trusted, or its certificate expired")) \
	S(UNREACHABLE, 6, N_("the gateway cannot be reached, or is not the right one"))    \
	S(NOBODY, 7, N_("a person is needed to answer the gateway's questions"))

#define STATUS_ENUM(name, number, documentation) STATUS_##name = number,
enum status {
	STATUSES(STATUS_ENUM)
	/* A signal arrived (signals_caught): clean up, then end by that signal. */
	STATUS_SIGNAL = 128,
};

#endif

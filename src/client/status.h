/* status.h: how the program ends, and how its functions say so.
 *
 * In this program a function that may fail returns STATUS_OK or the status with which the program should
 * end; the sentence for the user is in the struct diag (`return diag_set(diag, STATUS_USAGE, "...")`).
 * The table is what --help prints. To add a status, add a row.
 */
#ifndef CLIENT_STATUS_H
#define CLIENT_STATUS_H

#include "sallyport/err.h"

#define STATUSES(S)                                                                    \
	S(OK, 0, "done")                                                               \
	S(FAILED, 1, "failed; the sentence says why")                                  \
	S(USAGE, 2, "an option, an argument or a setting is wrong")                    \
	S(NOT_ALLOWED, 3, "the policy does not allow it")                              \
	S(LOGIN_NEEDED, 4, "not logged in, or the login was refused")                  \
	S(DEVICE_REFUSED, 5, "this device is not trusted, or its certificate expired") \
	S(UNREACHABLE, 6, "the gateway cannot be reached, or is not the right one")    \
	S(NOBODY, 7, "a person is needed to answer the gateway's questions")

#define STATUS_ENUM(name, number, documentation) STATUS_##name = number,
enum status {
	STATUSES(STATUS_ENUM)
	/* A signal arrived (signals_caught): clean up, then end by that signal. */
	STATUS_SIGNAL = 128,
};

#endif

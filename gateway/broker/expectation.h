/* expectation.h: a sentence that an admin keeps beside his policy, and whether a policy meets it. Pure.
 *
 *     USER on DEVICE may [not] reach HOST:PORT [CIRCUMSTANCES]
 *     nobody [on DEVICE | on tag TAG] may reach HOST:PORT [CIRCUMSTANCES]
 *
 * Circumstances: at 2026-11-24T10:00, at Tue 10:00, from ADDRESS, by realm NAME. What must not be must not be in any that
 * are left open; what may be is asked for now, from an unknown address, in the realm that a login gets that asks for none.
 */
#ifndef SALLYPORT_BROKER_EXPECTATION_H
#define SALLYPORT_BROKER_EXPECTATION_H

#include "trial.h"

struct expectation {
	const char *user, *device, *tag; /* NULL: any; borrowed from the line */
	bool allowed;
	struct target target;
	struct circumstances circumstances;
};

/* Takes the line apart, in place; ERR_BAD_INPUT with a sentence. ERR_NOT_FOUND: there is nothing but a comment. `realms`: as
 * in the configuration. */
[[nodiscard]] int expectation_parse(char *line, const char *realms, struct expectation *out_expectation, struct diag *diag);
/* 0 when it is so; else ERR_DENIED and a sentence that says what is. */
[[nodiscard]] int expectation_hold(const struct expectation *expectation, const struct policy *policy, const char *realms,
				   const struct people *people, struct diag *diag);
/* Appends the user whom a line is about, one a line: for people_gather. */
[[nodiscard]] int expectation_add_user(const char *line, struct buf *users);

#endif

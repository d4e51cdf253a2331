/* call.h: the module's only I/O: one question to the gateway, over its unix socket (factor) or by mTLS (presence). */
#ifndef SALLYPORT_PAM_CALL_H
#define SALLYPORT_PAM_CALL_H

#include <stdbool.h>

#include "arguments.h"
#include "profile.h"
#include "way.h"

#define CALL_RECOVERY_CODES 16

enum call_state { CALL_STATE_NONE, CALL_STATE_ACTIVE, CALL_STATE_PENDING };

struct call_question {
	const char *user, *code; /* code: NULL at the beginning */
	const char *request_id, *service;
};

/* Bounded copies of what the broker says; call_forget wipes them. */
struct call_answer {
	enum call_state state;
	bool good;
	char uri[2048], secret[64];
	char recovery[CALL_RECOVERY_CODES][32];
	unsigned recovery_count;
};

/* Asks how things stand with the user. ERR_CLOSED, ERR_TIMEOUT, ERR_BAD_PEER with a sentence when there is no answer
 * that makes sense: nobody may take that for a yes. */
[[nodiscard]] int call_begin(const struct arguments *arguments, const struct call_question *question,
			     struct call_answer *out_answer, struct diag *diag);
/* Has a code judged. */
[[nodiscard]] int call_check(const struct arguments *arguments, const struct call_question *question,
			     struct call_answer *out_answer, struct diag *diag);

/* Is the user here? `way` NULL: whichever way he came. Each gateway of the profile is asked until one answers. Only
 * `present`, after 0, is a yes; else `code` says why not. ERR_DENIED: the gateway refuses this host itself. */
struct call_presence {
	const char *user, *service;
	const struct profile *profile;
	const struct way *way;
	bool present;
	char code[33];
};
[[nodiscard]] int call_presence(const struct arguments *arguments, struct call_presence *presence, struct diag *diag);

void call_forget(struct call_answer *answer);

#endif

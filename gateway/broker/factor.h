/* factor.h: the second factor of a user: a one-time code or a recovery code, each taken once (A11).
 *
 * Everything is decided inside one operation of the store, on its thread: of two who bring the same code at the same
 * moment the second one finds it used. What is answered is committed before. HTTP is admin_factor.c's, a
 * user's own wishes are self_factor.c's; the one who asks is pam_module/, sallyport-admin or a worker.
 */
#ifndef SALLYPORT_BROKER_FACTOR_H
#define SALLYPORT_BROKER_FACTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "act.h"
#include "oath.h"
#include "seal.h"

struct broker;

#define FACTOR_RECOVERY_CODES 10

enum factor_state { FACTOR_NONE, FACTOR_PENDING, FACTOR_ACTIVE };
const char *factor_state_name(enum factor_state state);

struct factor_answer {
	int result; /* 0; ERR_NOT_FOUND, ERR_DENIED, ERR_BAD_CONFIG (no factor_key), ERR_SYSTEM */
	struct diag diag;
	enum factor_state state;
	bool good;            /* of a check */
	const char *code;     /* of a refusal: "factor_wrong" ...; "" */
	/* New: shown once to the user. */
	char secret[OATH_SECRET_CHARACTERS + 1];
	char recovery[FACTOR_RECOVERY_CODES][OATH_RECOVERY_CHARACTERS + 1];
	unsigned recovery_count;
	/* Of factor_show. */
	uint64_t failures, created_at_ms, used_at_ms, recovery_left;
	uint64_t recovery_used_ms[FACTOR_RECOVERY_CODES]; /* when recovery codes of this sheet were used, oldest first; 0 behind them */
};
typedef void (*factor_done)(void *context, const struct factor_answer *answer);

struct factor_request {
	const char *user, *code; /* the code as it was typed; copied */
	const char *request_id;  /* of the login, or "" */
	const char *by;          /* who asks, for the record */
	const char *device, *address; /* of his connection; NULL: none */
	bool may_replace;        /* factor_next.c: the present factor was given in the login that asks */
};

/* Reads the key (fd is taken over; -1: there is none, and every question is answered with ERR_BAD_CONFIG). */
[[nodiscard]] int factor_load(struct broker *broker, int fd, struct diag *diag);
/* A login begins: the user's state. Where the user may enrol himself and has no factor: a new one, pending. */
void factor_begin(struct broker *broker, const struct factor_request *request, factor_done done, void *context);
/* Is this code good, now? A pending factor becomes active by it, and has recovery codes from then on. */
void factor_check(struct broker *broker, const struct factor_request *request, factor_done done, void *context);
/* An admin's: a new one, active at once; ERR_DENIED when there is one. */
void factor_add(struct broker *broker, const struct factor_request *request, factor_done done, void *context);
/* An admin's: new recovery codes, in place of the former ones; ERR_NOT_FOUND when there is no factor. */
void factor_codes(struct broker *broker, const struct factor_request *request, factor_done done, void *context);
/* An admin's: those that are left are worthless, the factor stays; ERR_NOT_FOUND when none is left. */
void factor_revoke_codes(struct broker *broker, const struct factor_request *request, factor_done done, void *context);
void factor_remove(struct broker *broker, const struct factor_request *request, factor_done done, void *context);
void factor_show(struct broker *broker, const struct factor_request *request, factor_done done, void *context);

/* ---- factor_next.c: a user's own, by self-service. A refusal has its code in the answer and result 0 ---- */
/* A new one. Where none is active and users may enrol themselves: pending, as of factor_begin. Where one is: it stays good
 * until the new one is confirmed, at most self_service_fresh_login later. "factor_by_admin" "fresh_login_required" */
void factor_next_begin(struct broker *broker, const struct factor_request *request, factor_done done, void *context);
/* The first code of the new one, which makes it the user's, with new recovery codes. A few wrong ones, and it must be begun
 * anew. "factor_none" "factor_wrong" "factor_replayed" "factor_wait" */
void factor_next_confirm(struct broker *broker, const struct factor_request *request, factor_done done, void *context);
/* New recovery codes of an active one. "factor_none" "fresh_login_required" */
void factor_next_codes(struct broker *broker, const struct factor_request *request, factor_done done, void *context);

#endif

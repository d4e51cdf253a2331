/* factor.h: the second factor of a user: a one-time code or a recovery code, each taken once (A11).
 *
 * Everything is decided inside one operation of the store, on its thread: of two who bring the same code at the same
 * moment the second one finds it used. What is answered is committed before. HTTP is admin_factor.c's; the one who asks
 * is pam_module/ or sallyport-admin.
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
};
typedef void (*factor_done)(void *context, const struct factor_answer *answer);

struct factor_request {
	const char *user, *code; /* the code as it was typed; copied */
	const char *request_id;  /* of the login, or "" */
	const char *by;          /* who asks, for the record */
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
void factor_remove(struct broker *broker, const struct factor_request *request, factor_done done, void *context);
void factor_show(struct broker *broker, const struct factor_request *request, factor_done done, void *context);

#endif

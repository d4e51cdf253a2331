/* factor_act.h: one operation on a user's second factor, and its row of the store. Between factor*.c only.
 *
 * Everything but factor_ask runs on the store's thread, inside the operation's transaction.
 */
#ifndef SALLYPORT_BROKER_FACTOR_ACT_H
#define SALLYPORT_BROKER_FACTOR_ACT_H

#include "audit.h"
#include "factor.h"
#include "store.h"

struct factor_secret {
	uint8_t bytes[SEAL_SECRET_MAX];
	size_t size; /* 0: none */
};

/* The store's row, opened. */
struct factor {
	enum factor_state state;
	int64_t last_step, failed_at, failures;
	struct factor_secret secret;
	/* What will take its place when a code has confirmed it. */
	struct factor_secret next;
	int64_t next_at, next_failures;
};

struct factor_act {
	struct store_operation operation;
	const struct seal *seal;
	char user[257], typed[129];
	char by[129];
	bool may_replace;
	/* Of the settings, when it was asked. */
	bool may_enroll;
	unsigned window;
	int64_t attempts, next_life_ms;
	struct audit_entry entry;
	struct factor_answer answer;
	struct factor factor;
	factor_done done;
	void *context;
};

/* Submits an act that does `work`; or fails at once, where there is no key. */
void factor_ask(struct broker *broker, const struct factor_request *request, store_work work, factor_done done, void *context);

[[nodiscard]] int factor_read(struct store_db *db, struct factor_act *act, struct diag *diag);
/* A fresh secret: spelled in the answer, and sealed. */
[[nodiscard]] int factor_make_secret(struct factor_act *act, char out_closed[SEAL_TEXT_MAX], struct diag *diag);
/* The same as the user's row, which is new or pending. */
[[nodiscard]] int factor_put_row(struct store_db *db, struct factor_act *act, const char *state, struct diag *diag);
/* Recovery codes in place of those that are left: whoever has an old list has nothing. */
[[nodiscard]] int factor_put_recovery(struct store_db *db, struct factor_act *act, struct diag *diag);
/* Judges the code that was typed by the row that was read, and records it. */
[[nodiscard]] int factor_judge(struct store_db *db, struct factor_act *act, struct diag *diag);
/* `code` is a literal, and the answer's as well. */
[[nodiscard]] int factor_record(struct store_db *db, struct factor_act *act, const char *event, const char *code, const char *detail,
				struct diag *diag);

#endif

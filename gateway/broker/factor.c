/* factor.c: second factors: begun, checked, added, removed: a store operation each. Counterpart: pam_module/. What a user
 * changes by himself: factor_next.c. */
#include "factor.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "broker.h"
#include "factor_act.h"
#include "sallyport/clock.h"
#include "sallyport/fd.h"
#include "sallyport/own.h"
#include "sallyport/str.h"

enum { WAIT_FIRST_MS = 30000, WAIT_MOST_MS = 3600000 };

static const char *const state_names[] = {
	[FACTOR_NONE] = "none", [FACTOR_PENDING] = "pending", [FACTOR_ACTIVE] = "active"};

const char *factor_state_name(enum factor_state state)
{
	return state_names[state];
}

/* ---- the row ---- */

static int open_secret(const struct factor_act *act, const char *text, struct factor_secret *secret, struct diag *diag)
{
	if (!*text || seal_open(act->seal, act->user, text, secret->bytes, &secret->size) == 0)
		return 0;
	return diag_set(diag, ERR_SYSTEM, "the second factor of %s cannot be opened: factor_key is another one", act->user);
}

static int take_row(void *self, const struct store_row *row, struct diag *diag)
{
	struct factor_act *act = self;
	struct factor *factor = &act->factor;
	factor->state = strcmp(store_row_text(row, 0), "active") == 0 ? FACTOR_ACTIVE : FACTOR_PENDING;
	factor->last_step = store_row_number(row, 2);
	factor->failures = store_row_number(row, 3);
	factor->failed_at = store_row_number(row, 4);
	factor->next_at = store_row_number(row, 9);
	factor->next_failures = store_row_number(row, 10);
	act->answer.failures = (uint64_t)factor->failures;
	act->answer.created_at_ms = (uint64_t)store_row_number(row, 5);
	act->answer.used_at_ms = (uint64_t)store_row_number(row, 6);
	act->answer.recovery_left = (uint64_t)store_row_number(row, 7);
	int result = open_secret(act, store_row_text(row, 1), &factor->secret, diag);
	return result < 0 ? result : open_secret(act, store_row_text(row, 8), &factor->next, diag);
}

int factor_read(struct store_db *db, struct factor_act *act, struct diag *diag)
{
	int result = STORE_QUERY(db, diag, factor_get, take_row, act, TEXT(act->user));
	act->answer.state = act->factor.state;
	return result;
}

int factor_make_secret(struct factor_act *act, char out_closed[SEAL_TEXT_MAX], struct diag *diag)
{
	uint8_t secret[OATH_SECRET_BYTES];
	fd_random(secret, sizeof(secret));
	oath_spell_secret(secret, act->answer.secret);
	int result = seal_close(act->seal, act->user, view_of(secret, sizeof(secret)), out_closed);
	wipe(secret, sizeof(secret));
	return result < 0 ? diag_set(diag, ERR_BUG, "a secret cannot be sealed") : 0;
}

int factor_put_row(struct store_db *db, struct factor_act *act, const char *state, struct diag *diag)
{
	char closed[SEAL_TEXT_MAX];
	int result = factor_make_secret(act, closed, diag);
	return result < 0 ? result
			  : STORE_RUN(db, diag, factor_put, TEXT(act->user), TEXT(state), TEXT(closed), NUMBER(clock_wall_ms()));
}

int factor_put_recovery(struct store_db *db, struct factor_act *act, struct diag *diag)
{
	int result = STORE_RUN(db, diag, factor_recovery_delete, TEXT(act->user));
	for (unsigned i = 0; result == 0 && i < FACTOR_RECOVERY_CODES; i++) {
		char mark[SEAL_MARK_CHARACTERS + 1];
		oath_make_recovery(act->answer.recovery[i]);
		seal_mark(act->seal, act->user, act->answer.recovery[i], mark);
		result = STORE_RUN(db, diag, factor_recovery_insert, TEXT(act->user), TEXT(mark));
	}
	act->answer.recovery_count = FACTOR_RECOVERY_CODES;
	return result;
}

static int delete_row(struct store_db *db, const struct factor_act *act, struct diag *diag)
{
	int result = STORE_RUN(db, diag, factor_recovery_delete, TEXT(act->user));
	return result < 0 ? result : STORE_RUN(db, diag, factor_delete, TEXT(act->user));
}

int factor_record(struct store_db *db, struct factor_act *act, const char *event, const char *code, const char *detail,
		  struct diag *diag)
{
	act->answer.code = code;
	str_copy(act->entry.code, sizeof(act->entry.code), code);
	audit_fill(&act->entry, event, "%s; by %s", detail, act->by);
	return audit_append(db, &act->entry, diag);
}

/* ---- a login begins ---- */

static int work_begin(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	struct factor_act *act = operation->context;
	int result = factor_read(db, act, diag);
	if (result < 0 || act->factor.state == FACTOR_ACTIVE || !act->may_enroll)
		return result;
	act->answer.state = FACTOR_PENDING;
	result = factor_put_row(db, act, "pending", diag);
	return result < 0 ? result : factor_record(db, act, "factor_offered", "", "a second factor is shown to the user", diag);
}

/* ---- a code ---- */

static int64_t wait_ms(const struct factor_act *act)
{
	int64_t over = act->factor.failures - act->attempts;
	if (over < 0)
		return 0;
	return over >= 7 ? WAIT_MOST_MS : (int64_t)WAIT_FIRST_MS << over;
}

static int take_code(struct store_db *db, struct factor_act *act, int64_t step, const char *detail, struct diag *diag)
{
	bool is_new = act->factor.state == FACTOR_PENDING;
	int result = STORE_RUN(db, diag, factor_accept, NUMBER(step), NUMBER(clock_wall_ms()), TEXT(act->user));
	if (result == 0 && is_new)
		result = factor_put_recovery(db, act, diag);
	if (result == 0)
		result = factor_record(db, act, is_new ? "factor_enrolled" : "factor", "", detail, diag);
	act->answer.good = result == 0;
	return result;
}

static int refuse(struct store_db *db, struct factor_act *act, const char *code, const char *detail, struct diag *diag)
{
	int result = STORE_RUN(db, diag, factor_fail, NUMBER(clock_wall_ms()), TEXT(act->user));
	return result < 0 ? result : factor_record(db, act, "factor", code, detail, diag);
}

static int check_recovery(struct store_db *db, struct factor_act *act, const char *code, struct diag *diag)
{
	char mark[SEAL_MARK_CHARACTERS + 1];
	seal_mark(act->seal, act->user, code, mark);
	int result = STORE_RUN(db, diag, factor_recovery_use, NUMBER(clock_wall_ms()), TEXT(act->user), TEXT(mark));
	if (result < 0)
		return result;
	if (store_changed(db) != 1)
		return refuse(db, act, "factor_wrong", "no recovery code, or a used one", diag);
	return take_code(db, act, act->factor.last_step, "a recovery code", diag);
}

static int check_code(struct store_db *db, struct factor_act *act, const char *code, struct diag *diag)
{
	int64_t step = 0;
	struct view secret = view_of(act->factor.secret.bytes, act->factor.secret.size);
	if (strlen(code) != OATH_DIGITS)
		return check_recovery(db, act, code, diag);
	int64_t now = (int64_t)(clock_wall_ms() / OATH_STEP_MS);
	switch (oath_judge(secret, code, now, act->window, act->factor.last_step, &step)) {
	case OATH_RIGHT:
		return take_code(db, act, step, "a one-time code", diag);
	case OATH_REPLAYED:
		return refuse(db, act, "factor_replayed", "a one-time code that was used, or an older one", diag);
	default:
		return refuse(db, act, "factor_wrong", "no code of these minutes", diag);
	}
}

int factor_judge(struct store_db *db, struct factor_act *act, struct diag *diag)
{
	char code[OATH_RECOVERY_CHARACTERS + 1] = "";
	if (act->factor.state == FACTOR_NONE || (act->factor.state == FACTOR_PENDING && !act->may_enroll))
		return factor_record(db, act, "factor", "factor_none", "the user has no second factor", diag);
	if ((int64_t)clock_wall_ms() < act->factor.failed_at + wait_ms(act))
		return factor_record(db, act, "factor", "factor_wait", "too many wrong codes; this one was not looked at", diag);
	int result = oath_read_code(act->typed, code);
	result = result < 0 ? refuse(db, act, "factor_wrong", "what was typed is no code", diag)
			    : check_code(db, act, code, diag);
	wipe(code, sizeof(code));
	return result;
}

static int work_check(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	struct factor_act *act = operation->context;
	int result = factor_read(db, act, diag);
	return result < 0 ? result : factor_judge(db, act, diag);
}

/* ---- an admin's ---- */

static int work_add(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	struct factor_act *act = operation->context;
	int result = factor_read(db, act, diag);
	if (result == 0 && act->factor.state == FACTOR_ACTIVE)
		return diag_set(diag, ERR_DENIED, "%s has a second factor; remove it first", act->user);
	if (result == 0)
		result = delete_row(db, act, diag);
	if (result == 0)
		result = factor_put_row(db, act, "active", diag);
	if (result == 0)
		result = factor_put_recovery(db, act, diag);
	act->answer.state = FACTOR_ACTIVE;
	return result < 0 ? result : factor_record(db, act, "factor_added", "", "a second factor", diag);
}

static int work_codes(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	struct factor_act *act = operation->context;
	int result = factor_read(db, act, diag);
	if (result == 0 && act->factor.state != FACTOR_ACTIVE)
		return diag_set(diag, ERR_NOT_FOUND, "%s has no second factor; add one first", act->user);
	if (result == 0)
		result = factor_put_recovery(db, act, diag);
	return result < 0 ? result : factor_record(db, act, "factor_codes", "", "new recovery codes, in place of the former ones", diag);
}

static int work_revoke_codes(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	struct factor_act *act = operation->context;
	int result = STORE_RUN(db, diag, factor_recovery_revoke, TEXT(act->user));
	if (result == 0 && store_changed(db) == 0)
		return diag_set(diag, ERR_NOT_FOUND, "%s has no recovery codes that are good", act->user);
	return result < 0 ? result : factor_record(db, act, "factor_codes_revoked", "", "the recovery codes that were left", diag);
}

static int work_remove(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	struct factor_act *act = operation->context;
	int result = delete_row(db, act, diag);
	if (result == 0 && store_changed(db) == 0)
		return diag_set(diag, ERR_NOT_FOUND, "%s has no second factor", act->user);
	if (result < 0)
		return result;
	return factor_record(db, act, "factor_removed", "", "the second factor and its recovery codes", diag);
}

static int take_used(void *self, const struct store_row *row, struct diag *diag)
{
	uint64_t *used_ms = self;
	(void)diag;
	for (unsigned i = 0; i < FACTOR_RECOVERY_CODES; i++)
		if (!used_ms[i]) {
			used_ms[i] = (uint64_t)store_row_number(row, 0);
			break;
		}
	return 0;
}

static int work_show(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	struct factor_act *act = operation->context;
	int result = factor_read(db, act, diag);
	return result < 0 ? result : STORE_QUERY(db, diag, factor_recovery_used, take_used, act->answer.recovery_used_ms, TEXT(act->user));
}

/* ---- asking ---- */

static void on_done(struct store_operation *operation, int result, const struct diag *diag)
{
	struct factor_act *act = operation->context;
	if (result < 0)
		act->answer = (struct factor_answer){.result = result, .diag = *diag, .code = ""};
	act->done(act->context, &act->answer);
	wipe(act, sizeof(*act));
	free(act);
}

static void fail(factor_done done, void *context, int result, const char *sentence)
{
	struct factor_answer answer = {.result = result, .code = ""};
	str_copy(answer.diag.text, sizeof(answer.diag.text), sentence);
	done(context, &answer);
}

void factor_ask(struct broker *broker, const struct factor_request *request, store_work work, factor_done done, void *context)
{
	const struct conf *conf = &broker->room->conf;
	if (!broker->seal.present) {
		fail(done, context, ERR_BAD_CONFIG,
		     "this gateway has no factor_key: make one as sallyport-admin(8) says, and restart it");
		return;
	}
	struct factor_act *act = calloc(1, sizeof(*act));
	if (!act) {
		fail(done, context, ERR_SYSTEM, "no memory");
		return;
	}
	*act = (struct factor_act){.seal = &broker->seal, .window = (unsigned)conf->factor_window,
				   .may_enroll = strcmp(conf->factor_enroll, "first-login") == 0,
				   .attempts = (int64_t)conf->factor_attempts, .may_replace = request->may_replace,
				   .next_life_ms = (int64_t)conf->self_service_fresh_login_ms, .done = done, .context = context,
				   .answer = {.code = ""},
				   .operation = {.work = work, .done = on_done, .context = act}};
	/* What is too long is no user's name and no code: cut, it fits nobody's. */
	str_copy(act->user, sizeof(act->user), request->user);
	str_copy(act->typed, sizeof(act->typed), request->code);
	str_copy(act->by, sizeof(act->by), request->by);
	str_copy(act->entry.user, sizeof(act->entry.user), request->user);
	str_copy(act->entry.request_id, sizeof(act->entry.request_id), request->request_id);
	str_copy(act->entry.device, sizeof(act->entry.device), request->device ? request->device : "");
	str_copy(act->entry.address, sizeof(act->entry.address), request->address ? request->address : "");
	store_submit(broker->store, &act->operation);
}

void factor_begin(struct broker *broker, const struct factor_request *request, factor_done done, void *context)
{
	factor_ask(broker, request, work_begin, done, context);
}

void factor_check(struct broker *broker, const struct factor_request *request, factor_done done, void *context)
{
	factor_ask(broker, request, work_check, done, context);
}

void factor_add(struct broker *broker, const struct factor_request *request, factor_done done, void *context)
{
	factor_ask(broker, request, work_add, done, context);
}

void factor_codes(struct broker *broker, const struct factor_request *request, factor_done done, void *context)
{
	factor_ask(broker, request, work_codes, done, context);
}

void factor_revoke_codes(struct broker *broker, const struct factor_request *request, factor_done done, void *context)
{
	factor_ask(broker, request, work_revoke_codes, done, context);
}

void factor_remove(struct broker *broker, const struct factor_request *request, factor_done done, void *context)
{
	factor_ask(broker, request, work_remove, done, context);
}

void factor_show(struct broker *broker, const struct factor_request *request, factor_done done, void *context)
{
	factor_ask(broker, request, work_show, done, context);
}

int factor_load(struct broker *broker, int fd, struct diag *diag)
{
	OWN_FD int owned = fd;
	if (owned < 0)
		return 0;
	if (oath_begin() < 0)
		return diag_set(diag, ERR_SYSTEM, "liboath cannot be used");
	return seal_read(owned, &broker->seal, diag);
}

/* factor_next.c: a user changes his second factor by himself: a new one beside the present one, until a code confirms it.
 *
 * At no moment is he without: who closes the browser in the middle goes on with what he had. To replace a factor, or its
 * recovery codes, the login that asks must have been passed with that very factor (may_replace): a login by a realm that
 * does not ask for it must not get around those that do.
 */
#include <string.h>

#include "broker.h"
#include "factor_act.h"
#include "sallyport/clock.h"

/* The loop records it with the refusal. */
static int refuse_unrecorded(struct factor_act *act, const char *code)
{
	act->answer.code = code;
	return 0;
}

/* ---- a new one ---- */

static int put_next(struct store_db *db, struct factor_act *act, struct diag *diag)
{
	char closed[SEAL_TEXT_MAX];
	int result = factor_make_secret(act, closed, diag);
	return result < 0 ? result
			  : STORE_RUN(db, diag, factor_next_put, TEXT(closed), NUMBER(clock_wall_ms()), TEXT(act->user));
}

static int work_begin(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	struct factor_act *act = operation->context;
	int result = factor_read(db, act, diag);
	bool is_active = act->factor.state == FACTOR_ACTIVE;
	if (result < 0)
		return result;
	if (is_active && !act->may_replace)
		return refuse_unrecorded(act, "fresh_login_required");
	if (!is_active && !act->may_enroll)
		return refuse_unrecorded(act, "factor_by_admin");
	result = is_active ? put_next(db, act, diag) : factor_put_row(db, act, "pending", diag);
	return result < 0 ? result
			  : factor_record(db, act, "factor_offered", "",
					  is_active ? "another second factor is shown to the user; the present one stays until a code confirms it"
						    : "a second factor is shown to the user",
					  diag);
}

/* ---- its first code ---- */

static bool has_next(const struct factor_act *act)
{
	const struct factor *factor = &act->factor;
	return factor->state == FACTOR_ACTIVE && factor->next.size && factor->next_failures < act->attempts &&
	       (int64_t)clock_wall_ms() < factor->next_at + act->next_life_ms;
}

static int accept_next(struct store_db *db, struct factor_act *act, int64_t step, struct diag *diag)
{
	uint64_t now_ms = clock_wall_ms();
	int result = STORE_RUN(db, diag, factor_next_accept, NUMBER(step), NUMBER(now_ms), NUMBER(now_ms), TEXT(act->user));
	if (result == 0)
		result = factor_put_recovery(db, act, diag);
	if (result == 0)
		result = factor_record(db, act, "factor_replaced", "", "a code of the new second factor; the former one is worthless", diag);
	act->answer.good = result == 0;
	return result;
}

static int judge_next(struct store_db *db, struct factor_act *act, struct diag *diag)
{
	char code[OATH_RECOVERY_CHARACTERS + 1] = "";
	int64_t step = 0, now = (int64_t)(clock_wall_ms() / OATH_STEP_MS);
	struct view secret = view_of(act->factor.next.bytes, act->factor.next.size);
	bool is_right = oath_read_code(act->typed, code) == 0 && strlen(code) == OATH_DIGITS &&
			oath_judge(secret, code, now, act->window, 0, &step) == OATH_RIGHT;
	wipe(code, sizeof(code));
	if (is_right)
		return accept_next(db, act, step, diag);
	int result = STORE_RUN(db, diag, factor_next_fail, TEXT(act->user));
	return result < 0 ? result : factor_record(db, act, "factor", "factor_wrong", "no code of the new second factor", diag);
}

static int work_confirm(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	struct factor_act *act = operation->context;
	int result = factor_read(db, act, diag);
	if (result < 0)
		return result;
	if (act->factor.state == FACTOR_PENDING)
		return factor_judge(db, act, diag);
	return has_next(act) ? judge_next(db, act, diag) : refuse_unrecorded(act, "factor_none");
}

/* ---- its recovery codes ---- */

static int work_codes(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	struct factor_act *act = operation->context;
	int result = factor_read(db, act, diag);
	if (result < 0)
		return result;
	if (act->factor.state != FACTOR_ACTIVE)
		return refuse_unrecorded(act, "factor_none");
	if (!act->may_replace)
		return refuse_unrecorded(act, "fresh_login_required");
	result = factor_put_recovery(db, act, diag);
	return result < 0 ? result
			  : factor_record(db, act, "factor_codes", "", "new recovery codes, in place of the former ones", diag);
}

/* ---- asking ---- */

void factor_next_begin(struct broker *broker, const struct factor_request *request, factor_done done, void *context)
{
	factor_ask(broker, request, work_begin, done, context);
}

void factor_next_confirm(struct broker *broker, const struct factor_request *request, factor_done done, void *context)
{
	factor_ask(broker, request, work_confirm, done, context);
}

void factor_next_codes(struct broker *broker, const struct factor_request *request, factor_done done, void *context)
{
	factor_ask(broker, request, work_codes, done, context);
}

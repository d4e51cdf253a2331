/* account_act.c: what an admin does to a user's account: lock, unlock. Recorded first; then sessions and tunnels end. */
#include <stdlib.h>
#include <string.h>

#include "broker.h"
#include "ending.h"
#include "login_rate.h"
#include "registry.h"
#include "sallyport/clock.h"
#include "sallyport/str.h"
#include "session_memory.h"

#define REASON "user_locked"

struct account_act {
	struct store_operation operation;
	struct ending ending;
	struct broker *broker;
	struct account *account;
	uint64_t at_ms; /* of a lock; 0: unlock */
	struct audit_entry entry;
	act_done done;
	void *context;
	struct act_result result;
};

static int record(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	const struct account_act *act = operation->context;
	const char *user = act->entry.user;
	int result = act->at_ms ? STORE_RUN(db, diag, account_lock, TEXT(user), NUMBER(act->at_ms))
				: STORE_RUN(db, diag, account_unlock, TEXT(user));
	if (result == 0 && act->at_ms)
		result = STORE_RUN(db, diag, session_end_user, NUMBER(act->at_ms), TEXT(REASON), TEXT(user));
	if (result == 0 && !act->at_ms)
		result = STORE_RUN(db, diag, login_failure_clear, TEXT("user"), TEXT(user));
	return result < 0 ? result : audit_append(db, &act->entry, diag);
}

static void answer(struct account_act *act)
{
	act->done(act->context, &act->result);
	free(act);
}

static void on_tunnels_ended(struct ending *ending)
{
	struct account_act *act = ending->context;
	act->result.tunnels_closed = ending->tunnels;
	answer(act);
}

static void end_sessions(struct account_act *act)
{
	struct session *session, *next;
	act->ending.context = act;
	ending_begin(&act->ending, act->broker, REASON, on_tunnels_ended);
	for (session = LIST_FIRST(&act->broker->sessions.live); session; session = next) {
		next = LIST_NEXT(session, all);
		if (strcmp(session->user, act->account->name) != 0)
			continue;
		session_mark_ended(&act->broker->sessions, session, REASON);
		act->result.sessions_ended++;
		ending_add_session(&act->ending, session);
	}
	ending_commit(&act->ending);
}

static void forget_failures(struct account_act *act)
{
	const struct device *device;
	act->account->failures = act->account->wait_until_ms = 0;
	login_rate_forget_user(act->broker, act->account->name);
	LIST_FOREACH(device, &act->broker->registry.devices, all)
		if (device_is_bound_to(device, act->account->name))
			account_succeeded(act->broker, act->account->name, device);
}

static void on_recorded(struct store_operation *operation, int result, const struct diag *diag)
{
	struct account_act *act = operation->context;
	if (result < 0) {
		act->result.result = result;
		act->result.diag = *diag;
		answer(act);
		return;
	}
	if (act->at_ms && act->account->locked_at_ms == 0)
		act->account->locked_at_ms = act->at_ms;
	if (act->at_ms) {
		end_sessions(act);
		return;
	}
	act->account->locked_at_ms = 0;
	forget_failures(act);
	answer(act);
}

static void begin(struct broker *broker, const char *user, bool is_lock, const struct act_by *by, act_done done,
		  void *context)
{
	struct account_act *act = calloc(1, sizeof(*act));
	struct account *account = account_need(&broker->accounts, ACCOUNT_USER, user);
	if (!act || !account) {
		struct act_result failed = {.result = 0};
		failed.result = diag_system(&failed.diag, "memory");
		free(act);
		done(context, &failed);
		return;
	}
	*act = (struct account_act){.broker = broker, .account = account, .at_ms = is_lock ? clock_wall_ms() : 0, .done = done,
				    .context = context};
	str_copy(act->entry.user, sizeof(act->entry.user), user);
	str_copy(act->entry.address, sizeof(act->entry.address), "admin");
	audit_fill(&act->entry, is_lock ? "user_locked" : "user_unlocked", "by %s", by->admin);
	act->operation = (struct store_operation){.work = record, .done = on_recorded, .context = act};
	store_submit(broker->store, &act->operation);
}

void account_lock(struct broker *broker, const char *user, const struct act_by *by, act_done done, void *context)
{
	begin(broker, user, true, by, done, context);
}

void account_unlock(struct broker *broker, const char *user, const struct act_by *by, act_done done, void *context)
{
	begin(broker, user, false, by, done, context);
}

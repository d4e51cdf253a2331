/* registry_act.c: what an admin does to devices: lock, unlock, revoke; and a user to one that he has lost. Adding one:
 * registry_add.c. */
#include <stdlib.h>
#include <string.h>

#include "broker.h"
#include "ending.h"
#include "login.h"
#include "registry_memory.h"
#include "sallyport/clock.h"
#include "sallyport/log.h"
#include "sallyport/own.h"
#include "sallyport/str.h"
#include "session_memory.h"
#include "worker.h"

/* One kind of act. */
struct act_kind {
	const char *event;
	enum device_state state;
	const char *reason; /* of the endings; NULL: nothing ends */
	bool keeps_state, keeps_sessions;
};
static const struct act_kind act_lock = {"device_locked", DEVICE_LOCKED, "device_locked"};
static const struct act_kind act_unlock = {"device_unlocked", DEVICE_ACTIVE, NULL};
static const struct act_kind act_lose = {"device_lost", DEVICE_LOCKED, "device_locked"};
static const struct act_kind act_revoke = {"device_revoked", DEVICE_REVOKED, "device_revoked"};
/* No acts of an admin: what its authority says (issuers.h). */
static const struct act_kind bars[] = {
	{"device_barred", DEVICE_ACTIVE, "certificate_revoked", .keeps_state = true},
	{"device_barred", DEVICE_ACTIVE, "crl_stale", .keeps_state = true, .keeps_sessions = true},
	{"device_barred", DEVICE_ACTIVE, "ocsp_unavailable", .keeps_state = true, .keeps_sessions = true},
};

struct act {
	struct store_operation operation;
	struct ending ending;
	struct broker *broker;
	struct device *device; /* NULL: there is none of that name */
	const struct act_kind *kind;
	struct audit_entry entry;
	bool answers_first;
	act_done done; /* NULL: answered */
	void *context;
	struct act_result result;
};

static void answer(struct act *act)
{
	if (act->done)
		act->done(act->context, &act->result);
	free(act);
}

int registry_record_ends(struct store_db *db, const char *device_id, const char *reason, struct diag *diag)
{
	return STORE_RUN(db, diag, session_end_device, NUMBER(clock_wall_ms()), TEXT(reason), TEXT(device_id));
}

static int record_ends(struct store_db *db, const struct act *act, struct diag *diag)
{
	bool ends = act->kind->reason && !act->kind->keeps_sessions;
	int result = ends ? registry_record_ends(db, act->device->id, act->kind->reason, diag) : 0;
	if (result < 0 || act->kind->state != DEVICE_REVOKED)
		return result;
	result = STORE_RUN(db, diag, certificate_revoke, TEXT(act->device->id));
	return result < 0 ? result : STORE_RUN(db, diag, invitation_withdraw_device, TEXT(act->device->id));
}

static int record(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	const struct act *act = operation->context;
	int result = act->kind->keeps_state ? 0 : STORE_RUN(db, diag, device_set_state, TEXT(device_state_name(act->kind->state)),
							    TEXT(act->device->id));
	/* Another act may have revoked it since this one began. */
	if (result == 0 && !act->kind->keeps_state && store_changed(db) == 0)
		result = diag_set(diag, ERR_DENIED, "the device \"%s\" is revoked, and stays so", act->device->name);
	if (result == 0)
		result = record_ends(db, act, diag);
	return result < 0 ? result : audit_append(db, &act->entry, diag);
}

static void on_tunnels_ended(struct ending *ending)
{
	struct act *act = ending->context;
	act->result.tunnels_closed = ending->tunnels;
	answer(act);
}

void registry_revoke_certificates(struct broker *broker, struct device *device)
{
	struct certificate *certificate;
	revocations_changed(broker);
	LIST_FOREACH(certificate, &device->certificates, of_device)
		if (certificate->state == CERTIFICATE_ACTIVE)
			certificate->state = CERTIFICATE_REVOKED;
}

unsigned registry_end_device(struct ending *ending, struct device *device)
{
	struct session *session;
	unsigned sessions = 0;
	for (; (session = LIST_FIRST(&device->sessions)); sessions++)
		session_mark_ended(&ending->broker->sessions, session, ending->reason);
	login_end_device(ending->broker, device);
	ending_add_device(ending, device);
	return sessions;
}

/* Before the orders: whoever asks is behind one of the connections that end. */
static void answer_first(struct act *act)
{
	const struct session *session;
	const struct worker *worker;
	const struct tunnel *tunnel;
	LIST_FOREACH(session, &act->device->sessions, of_device)
		act->result.sessions_ended++;
	LIST_FOREACH(worker, &act->device->workers, of_device)
		LIST_FOREACH(tunnel, &worker->tunnels, of_worker)
			act->result.tunnels_closed += tunnel->state == TUNNEL_OPEN;
	act->done(act->context, &act->result);
	act->done = NULL;
}

static void end_everything(struct act *act)
{
	if (act->answers_first)
		answer_first(act);
	if (act->kind->state == DEVICE_REVOKED) {
		registry_revoke_certificates(act->broker, act->device);
		invitations_withdraw_device(&act->broker->invitations, act->device->id);
	}
	act->ending.context = act;
	ending_begin(&act->ending, act->broker, act->kind->reason, on_tunnels_ended);
	if (act->kind->keeps_sessions) {
		login_end_device(act->broker, act->device);
		ending_add_device(&act->ending, act->device);
	} else {
		act->result.sessions_ended = registry_end_device(&act->ending, act->device);
	}
	ending_commit(&act->ending);
}

static void on_recorded(struct store_operation *operation, int result, const struct diag *diag)
{
	struct act *act = operation->context;
	if (result < 0) {
		act->result.result = result;
		act->result.diag = *diag;
		answer(act);
		return;
	}
	if (!act->kind->keeps_state)
		act->device->state = act->kind->state;
	if (act->kind->reason)
		end_everything(act);
	else
		answer(act);
}

static void on_refused(struct store_operation *operation, int result, const struct diag *diag)
{
	(void)result, (void)diag;
	answer(operation->context);
}

static void check(struct act *act, const char *name)
{
	if (!act->device)
		act->result.result = diag_set(&act->result.diag, ERR_NOT_FOUND, "there is no device \"%s\"", name);
	else if (act->device->state == DEVICE_REVOKED && act->kind != &act_revoke && !act->kind->keeps_state)
		act->result.result =
			diag_set(&act->result.diag, ERR_DENIED, "the device \"%s\" is revoked, and stays so", name);
}

/* NULL without memory: `done` was told so. */
static struct act *act_new(struct broker *broker, const char *name, const struct act_kind *kind, act_done done, void *context)
{
	struct act *act = calloc(1, sizeof(*act));
	if (!act) {
		struct act_result failed = {.result = 0};
		failed.result = diag_system(&failed.diag, "memory");
		done(context, &failed);
		return NULL;
	}
	act->broker = broker;
	act->device = registry_device(&broker->registry, name);
	act->kind = kind;
	act->done = done;
	act->context = context;
	check(act, name);
	return act;
}

static void submit(struct act *act)
{
	bool refused = act->result.result < 0;
	act->operation = (struct store_operation){
		.work = refused ? NULL : record, .done = refused ? on_refused : on_recorded, .context = act};
	store_submit(act->broker->store, &act->operation);
}

static void begin(struct broker *broker, const char *name, const struct act_kind *kind, const struct act_by *by,
		  act_done done, void *context)
{
	struct act *act = act_new(broker, name, kind, done, context);
	if (!act)
		return;
	str_copy(act->entry.device, sizeof(act->entry.device), name);
	str_copy(act->entry.address, sizeof(act->entry.address), "admin");
	if (kind->keeps_state)
		str_copy(act->entry.code, sizeof(act->entry.code), kind->reason);
	audit_fill(&act->entry, kind->event, kind->keeps_state ? "%s" : "by %s", by->admin);
	submit(act);
}

void registry_lose(struct broker *broker, const struct registry_loss *loss, act_done done, void *context)
{
	struct act *act = act_new(broker, loss->device->name, &act_lose, done, context);
	if (!act)
		return;
	act->answers_first = loss->answers_first;
	act->entry = *loss->entry;
	act->entry.event = act_lose.event;
	str_copy(act->entry.device, sizeof(act->entry.device), loss->device->name);
	submit(act);
}

void registry_lock(struct broker *broker, const char *name, const struct act_by *by, act_done done, void *context)
{
	begin(broker, name, &act_lock, by, done, context);
}

void registry_unlock(struct broker *broker, const char *name, const struct act_by *by, act_done done, void *context)
{
	begin(broker, name, &act_unlock, by, done, context);
}

void registry_revoke(struct broker *broker, const char *name, const struct act_by *by, act_done done, void *context)
{
	begin(broker, name, &act_revoke, by, done, context);
}

/* ---- its authority says no ---- */

static void on_barred(void *context, const struct act_result *result)
{
	(void)context;
	if (result->result < 0)
		log_error("a device that its authority bars cannot be cut off: %s", result->diag.text);
}

void registry_bar(struct broker *broker, const struct device *device, const char *code, const char *detail)
{
	for (size_t i = 0; i < sizeof(bars) / sizeof(bars[0]); i++)
		if (strcmp(bars[i].reason, code) == 0)
			begin(broker, device->name, &bars[i], &(struct act_by){.admin = detail}, on_barred, NULL);
}

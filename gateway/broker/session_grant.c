/* session_grant.c: door two is open: the session is recorded, then the token goes out.
 *
 * The token exists in two places: in this function's memory until it is sent, and at the client. The store
 * and the broker's memory keep its SHA-256.
 */
#include <stdlib.h>
#include <string.h>

#include "broker.h"
#include "hash.h"
#include "judge.h"
#include "metrics.h"
#include "pam_session.h"
#include "sallyport/clock.h"
#include "sallyport/fd.h"
#include "sallyport/log.h"
#include "sallyport/own.h"
#include "sallyport/str.h"
#include "session_cap.h"
#include "session_memory.h"
#include "session_request.h"
#include "worker.h"

struct grant {
	struct store_operation operation;
	struct judgement judgement;
	struct worker *worker;
	uint32_t request;
	struct session *session; /* its own until it is recorded */
	char token[SESSION_TOKEN_CHARACTERS + 1];
	struct audit_entry entry;
	struct audit_entry alarm; /* of a realm for emergencies; else its event is NULL */
};

static void grant_free(struct grant *grant)
{
	wipe(grant->token, sizeof(grant->token));
	worker_release(grant->worker);
	free(grant);
}

/* ---- after the commit ---- */

static void on_facts(struct judgement *judgement, int result, const struct policy_facts *facts,
		     const struct policy_verdict *verdict)
{
	struct grant *grant = judgement->context;
	struct session *session = grant->session;
	(void)verdict;
	/* Without the groups there is no list; the session stands all the same. */
	if (result == 0)
		session_send_resources(grant->worker, grant->request, facts);
	WORKER_SEND(grant->worker, login_granted, -1, .request = grant->request, .user = view_string(session->user),
		    .token = view_string(grant->token), .expires_at_ms = session->expires_at_ms, .portal = session->portal);
	session->holds--;
	grant_free(grant);
}

/* The device or the user may have been locked between the submission and the commit, or other logins were quicker: then
 * the session is not to be. */
static const char *reason_against(const struct grant *grant)
{
	const struct session *session = grant->session;
	const struct broker *broker = grant->worker->broker;
	const char *code, *sentence;
	if (session->device->state != DEVICE_ACTIVE)
		return "device_locked";
	if (issuers_judge_device(broker, session->device, clock_wall_ms(), &code, &sentence) < 0)
		return code;
	if (account_is_locked(&broker->accounts, session->user))
		return "user_locked";
	return session_cap_refuses(broker, session) ? "too_many" : NULL;
}

static void take_back(struct grant *grant, const char *reason)
{
	struct audit_entry entry = {.code = "login_failed"};
	metrics_login(grant->session->realm, entry.code);
	worker_fill_audit(grant->worker, grant->request, &entry);
	session_fill_audit(grant->session, &entry);
	audit_fill(&entry, "session_ended", "the session ended in the middle of its login: %s", reason);
	session_finish(grant->worker->broker, grant->session, reason, &entry, NULL, NULL);
	worker_unavailable(grant->worker, grant->request);
	grant_free(grant);
}

/* The user has just proved himself on this device: his other sessions of this realm there have a fresh login too. Their
 * leases stay. */
static void refresh_others(const struct session *session)
{
	struct session *other;
	struct tunnel *tunnel;
	LIST_FOREACH(other, &session->device->sessions, of_device) {
		if (strcmp(other->user, session->user) != 0 || strcmp(other->realm, session->realm) != 0)
			continue;
		other->login_at_ms = session->login_at_ms;
		other->with_factor = session->with_factor;
		/* What the login makes last longer is seen at the next look. */
		LIST_FOREACH(tunnel, &other->tunnels, of_session)
			tunnel->judge_at_ms = 0;
	}
}

static void on_recorded(struct store_operation *operation, int result, const struct diag *diag)
{
	struct grant *grant = operation->context;
	struct session *session = grant->session;
	(void)diag;
	if (result < 0) {
		metrics_login(session->realm, "unavailable");
		worker_unavailable(grant->worker, grant->request);
		session_free(session);
		grant_free(grant);
		return;
	}
	session_attach(&grant->worker->broker->sessions, session);
	const char *against = reason_against(grant);
	if (against) {
		take_back(grant, against);
		return;
	}
	metrics_login(session->realm, "");
	refresh_others(session);
	session_cap_make_room(grant->worker->broker, session);
	session->holds++;
	grant->judgement = (struct judgement){.broker = grant->worker->broker, .device = session->device,
					      .user = session->user, .session = session,
					      .worker = grant->worker->number, .done = on_facts, .context = grant};
	judge(&grant->judgement);
}

/* ---- before ---- */

static int record(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	const struct grant *grant = operation->context;
	const struct session *session = grant->session;
	char hash[2 * HASH_BYTES + 1];
	str_hex(view_of(session->token_hash, sizeof(session->token_hash)), hash);
	int result = STORE_RUN(db, diag, session_insert, TEXT(session->id), NUMBER(session->number), TEXT(hash),
			       TEXT(session->device->id), TEXT(session->user), NUMBER(session->created_at_ms),
			       NUMBER(session->expires_at_ms), TEXT(session->address), TEXT(session->connection), TEXT(session->realm),
			       NUMBER(session->portal));
	if (result == 0)
		result = audit_append(db, &grant->entry, diag);
	return result < 0 || !grant->alarm.event ? result : audit_append(db, &grant->alarm, diag);
}

static void make_token(struct grant *grant)
{
	uint8_t random[SESSION_TOKEN_CHARACTERS / 2];
	fd_random(random, sizeof(random));
	str_hex(view_of(random, sizeof(random)), grant->token);
	wipe(random, sizeof(random));
	hash_sha256(view_string(grant->token), grant->session->token_hash);
}

static int make_session(struct grant *grant, const struct session_wish *wish)
{
	struct worker *worker = grant->worker;
	struct session *session = grant->session = calloc(1, sizeof(*session));
	uint8_t random[16];
	if (!session || !(session->user = strdup(wish->user)))
		return ERR_SYSTEM;
	fd_random(random, sizeof(random));
	str_hex(view_of(random, sizeof(random)), session->id);
	session->number = ++worker->broker->sessions.last_number;
	session->device = worker->device;
	session->created_at_ms = clock_wall_ms();
	session->expires_at_ms = session->created_at_ms + worker->broker->room->conf.lease_ms;
	session->began_at_ms = session->login_at_ms = (int64_t)clock_monotonic_ms();
	session->lease_end_ms = session->began_at_ms + (int64_t)worker->broker->room->conf.lease_ms;
	str_copy(session->address, sizeof(session->address), worker->address);
	str_copy(session->connection, sizeof(session->connection), worker->connection);
	str_copy(session->realm, sizeof(session->realm), wish->realm);
	session->portal = wish->portal;
	session->with_factor = wish->with_factor;
	make_token(grant);
	return 0;
}

static void refuse_full(struct worker *worker, uint32_t request, const struct session_wish *wish)
{
	metrics_login(wish->realm, "too_many");
	worker_refuse(worker, request,
		      &(struct refusal){.event = "login", .status = 429, .code = "too_many", .user = wish->user, .retry_after_s = 60,
					.sentence = "There are as many sessions as may be at the same time. Log out of one of them."});
}

/* The emergency door is open: nobody shall overlook it. */
static void shout(struct grant *grant)
{
	grant->alarm = grant->entry;
	str_copy(grant->alarm.code, sizeof(grant->alarm.code), "break_glass");
	audit_fill(&grant->alarm, "alarm", "%s has logged in on %s by the break-glass realm %s: session %s", grant->session->user,
		   grant->session->device->name, grant->session->realm, grant->session->id);
	log_warning("%s", grant->alarm.detail);
}

void session_grant(struct worker *worker, uint32_t request, const struct session_wish *wish)
{
	struct grant *grant = calloc(1, sizeof(*grant));
	if (!grant) {
		worker_unavailable(worker, request);
		pam_session_drop(wish->pam_session);
		return;
	}
	worker_hold(worker);
	grant->worker = worker;
	grant->request = request;
	bool is_made = make_session(grant, wish) == 0;
	if (!is_made || session_cap_refuses(worker->broker, grant->session)) {
		if (is_made)
			refuse_full(worker, request, wish);
		else
			worker_unavailable(worker, request);
		pam_session_drop(wish->pam_session);
		session_free(grant->session);
		grant_free(grant);
		return;
	}
	pam_session_adopt(grant->session, wish->pam_session);
	worker_fill_audit(worker, request, &grant->entry);
	str_copy(grant->entry.user, sizeof(grant->entry.user), wish->user);
	audit_fill(&grant->entry, "login", "granted: session %s, realm %s%s", grant->session->id, grant->session->realm,
		   wish->portal ? ", by the portal" : "");
	if (session_breaks_glass(worker->broker, grant->session))
		shout(grant);
	grant->operation = (struct store_operation){.work = record, .done = on_recorded, .context = grant};
	store_submit(worker->broker->store, &grant->operation);
}

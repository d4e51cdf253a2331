/* session_request.c: a worker's questions about a session, and the step from a login to a session. */
#include "session_request.h"

#include <stdlib.h>
#include <string.h>

#include "broker.h"
#include "browser.h"
#include "hash.h"
#include "judge.h"
#include "sallyport/clock.h"
#include "sallyport/fd.h"
#include "sallyport/own.h"
#include "sallyport/str.h"
#include "session_memory.h"
#include "worker.h"

/* ---- whose session is it? ---- */

static const char no_session[] = "There is no such session. Log in first.";

/* On any other device every token is unknown (A7); the record knows better. */
static void refuse_other_device(struct refusal *refusal, const struct session *session)
{
	refusal->recorded_code = "other_device";
	refusal->user = session->user;
	snprintf(refusal->detail, sizeof(refusal->detail), "the session %s belongs to the device %s", session->id,
		 session->device->name);
}

static void refuse_ended(struct refusal *refusal, const struct session *session)
{
	const char *reason = session->end_reason ? session->end_reason
			     : !session_is_live(session, clock_wall_ms()) ? "lease_expired" : "device_not_active";
	bool is_lease = strcmp(reason, "lease_expired") == 0;
	refusal->code = is_lease ? "lease_expired" : "session_ended";
	refusal->sentence = is_lease ? "The session's lease has ended. Log in again." : "The session has ended. Log in again.";
	refusal->user = session->user;
	snprintf(refusal->detail, sizeof(refusal->detail), "the session %s has ended: %s", session->id, reason);
}

struct session *session_admit(struct worker *worker, uint32_t request, struct session *session, uint32_t status, const char *event)
{
	struct refusal refusal = {.event = event, .status = status, .code = "no_session", .sentence = no_session};
	if (session && session->device == worker->device && session_is_live(session, clock_wall_ms()) &&
	    session->device->state == DEVICE_ACTIVE && device_is_bound_to(session->device, session->user))
		return session;
	if (session && session->device != worker->device)
		refuse_other_device(&refusal, session);
	else if (session)
		refuse_ended(&refusal, session);
	worker_refuse(worker, request, &refusal);
	return NULL;
}

struct session *session_of_request(struct worker *worker, uint32_t request, struct view token, uint32_t status,
				   const char *event)
{
	return session_admit(worker, request, session_of_token(&worker->broker->sessions, token), status, event);
}

/* ---- get, renew, end ---- */

/* So many of a session's tunnels are named. */
enum { TUNNELS_TOLD = 256 };

static void send_tunnels(struct worker *worker, uint32_t request, const struct session *session)
{
	const struct tunnel *tunnel;
	unsigned told = 0;
	LIST_FOREACH(tunnel, &session->tunnels, of_session) {
		if (tunnel->state != TUNNEL_OPEN || told++ == TUNNELS_TOLD)
			continue;
		const char *reason = "";
		uint64_t ends_at_ms = tunnel_ends_at_ms(tunnel, &reason);
		WORKER_SEND(worker, session_tunnel, -1, .request = request, .tunnel = tunnel->id, .host = view_string(tunnel->host),
			    .port = tunnel->port, .opened_at_ms = tunnel->opened_at_ms, .ends_at_ms = ends_at_ms,
			    .reason = view_string(reason), .idle_limit_ms = tunnel->idle_limit_ms, .rate = tunnel->rate);
	}
}

static void send_state(struct worker *worker, uint32_t request, const struct session *session)
{
	send_tunnels(worker, request, session);
	WORKER_SEND(worker, session_state, -1, .request = request, .session = view_string(session->id),
		    .user = view_string(session->user), .device = view_string(session->device->name),
		    .created_at_ms = session->created_at_ms, .expires_at_ms = session->expires_at_ms,
		    .login_at_ms = clock_wall_ms() - (uint64_t)((int64_t)clock_monotonic_ms() - session->login_at_ms),
		    .tunnels = session->tunnel_count, .realm = view_string(session->realm), .portal = session->portal,
		    .browser = browser_is_allowed(worker->broker, session));
}

void session_on_get(struct worker *worker, const struct worker_broker_session_get *message)
{
	struct session *session = session_of_request(worker, message->request, message->token, 401, "session");
	if (session)
		send_state(worker, message->request, session);
}

/* One request that waits. */
struct asking {
	struct store_operation operation;
	struct judgement judgement;
	struct worker *worker;
	struct session *session;
	uint32_t request;
	uint64_t expires_at_ms;
	int64_t lease_end_ms;
	unsigned ends, tunnels; /* logout: how many sessions are still to end; what they had open */
	int result;
	struct audit_entry entry;
};

static struct asking *asking_new(struct worker *worker, uint32_t request, struct session *session)
{
	struct asking *asking = calloc(1, sizeof(*asking));
	if (!asking) {
		worker_unavailable(worker, request);
		return NULL;
	}
	asking->worker = worker;
	asking->session = session;
	asking->request = request;
	asking->operation.context = asking;
	worker_hold(worker);
	session->holds++;
	worker_fill_audit(worker, request, &asking->entry);
	str_copy(asking->entry.user, sizeof(asking->entry.user), session->user);
	return asking;
}

static void asking_free(struct asking *asking)
{
	asking->session->holds--;
	worker_release(asking->worker);
	free(asking);
}

static int record_renewal(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	const struct asking *asking = operation->context;
	int result = STORE_RUN(db, diag, session_extend, NUMBER(asking->expires_at_ms), TEXT(asking->session->id));
	if (result == 0 && store_changed(db) == 0)
		return diag_set(diag, ERR_NOT_FOUND, "the session has ended meanwhile");
	return result < 0 ? result : audit_append(db, &asking->entry, diag);
}

static void on_renewed(struct store_operation *operation, int result, const struct diag *diag)
{
	struct asking *asking = operation->context;
	(void)diag;
	if (result < 0) {
		worker_unavailable(asking->worker, asking->request);
	} else {
		asking->session->expires_at_ms = asking->expires_at_ms;
		if (asking->session->lease_end_ms < asking->lease_end_ms)
			asking->session->lease_end_ms = asking->lease_end_ms;
		events_session_extended(asking->session);
		send_state(asking->worker, asking->request, asking->session);
	}
	asking_free(asking);
}

void session_on_renew(struct worker *worker, const struct worker_broker_session_renew *message)
{
	struct session *session = session_of_request(worker, message->request, message->token, 401, "session");
	struct asking *asking = session ? asking_new(worker, message->request, session) : NULL;
	if (!asking)
		return;
	uint64_t expires_at_ms = clock_wall_ms() + worker->broker->room->conf.lease_ms;
	asking->expires_at_ms = expires_at_ms > session->expires_at_ms ? expires_at_ms : session->expires_at_ms;
	asking->lease_end_ms = (int64_t)(clock_monotonic_ms() + worker->broker->room->conf.lease_ms);
	audit_fill(&asking->entry, "session_renewed", "session %s", session->id);
	asking->operation.work = record_renewal;
	asking->operation.done = on_renewed;
	store_submit(worker->broker->store, &asking->operation);
}

static void on_logged_out(void *context, int result, const struct diag *diag, unsigned tunnels)
{
	struct asking *asking = context;
	(void)diag;
	asking->tunnels += tunnels;
	asking->result = result < 0 ? result : asking->result;
	if (--asking->ends > 0)
		return;
	if (asking->result < 0)
		worker_unavailable(asking->worker, asking->request);
	else
		WORKER_SEND(asking->worker, session_ended, -1, .request = asking->request, .tunnels = asking->tunnels);
	asking_free(asking);
}

static void log_out(struct asking *asking, struct session *session)
{
	struct audit_entry entry = asking->entry;
	audit_fill(&entry, "session_ended", "session %s: logout", session->id);
	asking->ends++;
	session_finish(asking->worker->broker, session, "logout", &entry, on_logged_out, asking);
}

/* A new login at the portal takes the place of a cookie, and the former session lives on behind it: by that one, or by another
 * browser's, requests without a token would still count for who has logged out. */
static void log_out_browsers(struct asking *asking)
{
	struct session *session;
	LIST_FOREACH(session, &asking->session->device->sessions, of_device)
		if (session != asking->session && session->portal && !session->is_ending &&
		    strcmp(session->user, asking->session->user) == 0)
			log_out(asking, session);
}

void session_on_end(struct worker *worker, const struct worker_broker_session_end *message)
{
	struct session *session = session_of_request(worker, message->request, message->token, 401, "session");
	struct asking *asking = session ? asking_new(worker, message->request, session) : NULL;
	if (!asking)
		return;
	asking->ends = 1;
	log_out(asking, session);
	if (session->portal)
		log_out_browsers(asking);
	on_logged_out(asking, 0, NULL, 0);
}

/* ---- what may I reach? ---- */

static struct view cut(const char *text, size_t most)
{
	size_t length = strlen(text);
	while (length > most)
		/* not in the middle of a UTF-8 character */
		for (length = most; length > 0 && ((uint8_t)text[length] & 0xc0) == 0x80; length--)
			;
	return view_of(text, length);
}

void session_send_resources(struct worker *worker, uint32_t request, const struct policy_facts *facts)
{
	const struct policy *policy = worker->broker->policy;
	const struct policy_resource *resource;
	size_t position = 0;
	while ((resource = policy_next_resource(policy, &position))) {
		struct policy_verdict verdict;
		char missing[POLICY_SENTENCE_MAX];
		policy_decide_resource(policy, facts, resource, &verdict);
		/* What he could reach after a login, or with fewer tunnels, is his as well; the rest of the policy is not (B3). */
		if (!verdict.allowed && strcmp(verdict.code, "not_allowed") == 0)
			continue;
		policy_sentence(&verdict, missing, sizeof(missing));
		WORKER_SEND(worker, resource_item, -1, .request = request, .name = cut(policy_resource_name(resource), 128),
			    .description = cut(policy_resource_description(resource), 512),
			    .kind = view_string(policy_resource_kind(resource)),
			    .addresses = cut(policy_resource_addresses(resource), 8192), .allowed = verdict.allowed,
			    .missing = cut(verdict.allowed ? "" : missing, 256), .code = view_string(verdict.allowed ? "" : verdict.code));
	}
}

static void on_resources(struct judgement *judgement, int result, const struct policy_facts *facts,
			 const struct policy_verdict *verdict)
{
	struct asking *asking = judgement->context;
	(void)verdict;
	if (result < 0) {
		worker_unavailable(asking->worker, asking->request);
	} else {
		session_send_resources(asking->worker, asking->request, facts);
		WORKER_SEND(asking->worker, resources_end, -1, .request = asking->request);
	}
	asking_free(asking);
}

void session_answer_resources(struct worker *worker, uint32_t request, struct session *session)
{
	struct asking *asking = asking_new(worker, request, session);
	if (!asking)
		return;
	asking->judgement = (struct judgement){.broker = worker->broker, .device = session->device, .user = session->user,
					       .session = session, .worker = worker->number, .done = on_resources,
					       .context = asking};
	judge(&asking->judgement);
}

void session_on_resources(struct worker *worker, const struct worker_broker_resources *message)
{
	struct session *session = session_of_request(worker, message->request, message->token, 401, "session");
	if (session)
		session_answer_resources(worker, message->request, session);
}

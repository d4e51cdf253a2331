/* self_factor.c: a user's own second factor: how it stands, another one, its first code, new recovery codes.
 *
 * factor_next.c decides, in the store. Here it is judged what the session may ask for, and how often it may guess: a wrong
 * confirmation counts like a failed login (A10), since whoever confirms is given recovery codes.
 */
#include <stdlib.h>
#include <string.h>

#include "broker.h"
#include "factor.h"
#include "sallyport/clock.h"
#include "sallyport/own.h"
#include "sallyport/str.h"
#include "self_service.h"
#include "session_request.h"
#include "worker.h"

/* One request that waits. */
struct asking {
	struct worker *worker; /* held */
	uint32_t request;
	char user[257], device_id[33];
};

static struct asking *asking_new(struct worker *worker, uint32_t request, const struct session *session)
{
	struct asking *asking = calloc(1, sizeof(*asking));
	if (!asking) {
		worker_unavailable(worker, request);
		return NULL;
	}
	asking->worker = worker;
	asking->request = request;
	str_copy(asking->user, sizeof(asking->user), session->user);
	str_copy(asking->device_id, sizeof(asking->device_id), session->device->id);
	worker_hold(worker);
	return asking;
}

static void asking_free(struct asking *asking)
{
	worker_release(asking->worker);
	free(asking);
}

/* ---- refusals ---- */

static const struct factor_refusal {
	uint32_t status;
	const char *code, *sentence;
} refusals[] = {
	{403, "fresh_login_required", "Log in again before this, with your second factor if you have one."},
	{403, "factor_by_admin", "Here an administrator gives second factors. Ask one."},
	{409, "factor_none", "There is no second factor to do this with. Begin with a new one."},
	{403, "factor_wrong", "That is not the code that is shown now. Look again, and mind the clock of the phone."},
	{429, "factor_wait", "Too many codes were wrong; wait before the next one."},
	{409, "factor_elsewhere", "This gateway keeps no second factors; yours is somewhere else. Ask an administrator."},
};

/* Of the record's code; what is not in the table means that the code was wrong. */
static const struct factor_refusal *refusal_of(const char *code)
{
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
		if (strcmp(refusals[i].code, code) == 0)
			return &refusals[i];
	return refusal_of("factor_wrong");
}

static void refuse(struct worker *worker, uint32_t request, const char *user, const char *code)
{
	const struct factor_refusal *row = refusal_of(code);
	worker_refuse(worker, request,
		      &(struct refusal){.event = SELF_SERVICE_EVENT, .status = row->status, .code = row->code, .sentence = row->sentence,
					.recorded_code = code, .user = user, .retry_after_s = row->status == 429 ? 30 : 0});
}

static bool is_refused(struct asking *asking, const struct factor_answer *answer)
{
	if (answer->result < 0)
		worker_unavailable(asking->worker, asking->request);
	else if (*answer->code)
		refuse(asking->worker, asking->request, asking->user, answer->code);
	return answer->result < 0 || *answer->code;
}

/* ---- how it stands ---- */

static void send_state(struct worker *worker, uint32_t request, const struct factor_answer *answer)
{
	const struct broker *broker = worker->broker;
	WORKER_SEND(worker, factor_state, -1, .request = request, .managed = broker->seal.present,
		    .self_service = broker->room->conf.self_service, .state = view_string(factor_state_name(answer->state)),
		    .created_at_ms = answer->created_at_ms, .used_at_ms = answer->used_at_ms,
		    .recovery_left = (uint32_t)answer->recovery_left);
}

static void on_shown(void *context, const struct factor_answer *answer)
{
	struct asking *asking = context;
	if (!is_refused(asking, answer))
		send_state(asking->worker, asking->request, answer);
	asking_free(asking);
}

int self_factor_get(void *self, const struct worker_broker_factor_get *message, int *fd)
{
	struct worker *worker = self;
	const struct session *session = session_of_request(worker, message->request, message->token, 401, SELF_SERVICE_EVENT);
	(void)fd;
	if (session && !worker->broker->seal.present) {
		send_state(worker, message->request, &(struct factor_answer){.state = FACTOR_NONE});
		return 0;
	}
	struct asking *asking = session ? asking_new(worker, message->request, session) : NULL;
	if (asking)
		factor_show(worker->broker, &(struct factor_request){.user = asking->user, .code = "", .request_id = "", .by = ""}, on_shown,
			    asking);
	return 0;
}

/* ---- acts ---- */

typedef void (*factor_ask_function)(struct broker *broker, const struct factor_request *request, factor_done done, void *context);

static bool is_fresh(const struct broker *broker, const struct session *session)
{
	int64_t age_ms = (int64_t)clock_monotonic_ms() - session->login_at_ms;
	return age_ms <= (int64_t)broker->room->conf.self_service_fresh_login_ms;
}

static void submit(struct asking *asking, const struct session *session, const char *code, factor_ask_function ask, factor_done done)
{
	struct worker *worker = asking->worker;
	char request_id[AUDIT_REQUEST_ID_MAX + 1], by[129];
	worker_request_id(worker, asking->request, request_id, sizeof(request_id));
	snprintf(by, sizeof(by), "the user himself, on %s", session->device->name);
	const struct factor_request request = {
		.user = asking->user, .code = code, .request_id = request_id, .by = by, .device = session->device->name,
		.address = worker->address, .may_replace = session->with_factor && is_fresh(worker->broker, session)};
	ask(worker->broker, &request, done, asking);
}

/* The session for an act on the factor; NULL: refused. */
static const struct session *session_for_act(struct worker *worker, uint32_t request, struct view token)
{
	const struct session *session = self_service_session(worker, request, token);
	if (!session || worker->broker->seal.present)
		return session;
	refuse(worker, request, session->user, "factor_elsewhere");
	return NULL;
}

static void on_made(void *context, const struct factor_answer *answer)
{
	struct asking *asking = context;
	OWN_SECRET_BUF struct buf uri = BUF_INIT(OATH_URI_MAX);
	if (is_refused(asking, answer))
		;
	else if (oath_spell_uri(asking->worker->broker->room->conf.name, asking->user, answer->secret, &uri) < 0)
		worker_unavailable(asking->worker, asking->request);
	else
		WORKER_SEND(asking->worker, factor_made, -1, .request = asking->request, .secret = view_string(answer->secret),
			    .uri = buf_view(&uri));
	asking_free(asking);
}

int self_factor_new(void *self, const struct worker_broker_factor_new *message, int *fd)
{
	struct worker *worker = self;
	const struct session *session = session_for_act(worker, message->request, message->token);
	(void)fd;
	if (session && !is_fresh(worker->broker, session)) {
		refuse(worker, message->request, session->user, "fresh_login_required");
		return 0;
	}
	struct asking *asking = session ? asking_new(worker, message->request, session) : NULL;
	if (asking)
		submit(asking, session, "", factor_next_begin, on_made);
	return 0;
}

static void on_codes(void *context, const struct factor_answer *answer)
{
	struct asking *asking = context;
	OWN_SECRET_BUF struct buf codes = BUF_INIT(512);
	int result = 0;
	for (unsigned i = 0; result == 0 && i < answer->recovery_count; i++) {
		char code[OATH_RECOVERY_SPELLED + 1];
		oath_spell_recovery(answer->recovery[i], code);
		result = buf_add_format(&codes, "%s\n", code);
		wipe(code, sizeof(code));
	}
	if (is_refused(asking, answer))
		;
	else if (result < 0)
		worker_unavailable(asking->worker, asking->request);
	else
		WORKER_SEND(asking->worker, recovery_codes, -1, .request = asking->request, .codes = buf_view(&codes));
	asking_free(asking);
}

static bool is_wrong(const struct factor_answer *answer)
{
	return answer->result == 0 && (strcmp(answer->code, "factor_wrong") == 0 || strcmp(answer->code, "factor_replayed") == 0);
}

static void on_confirmed(void *context, const struct factor_answer *answer)
{
	const struct asking *asking = context;
	struct broker *broker = asking->worker->broker;
	const struct device *device = registry_device_by_id(&broker->registry, asking->device_id);
	/* Before the refusal's own row: the count stands when anybody learns of it. */
	if (device && is_wrong(answer))
		account_failed(broker, asking->user, device);
	on_codes(context, answer);
}

static void refuse_for_now(struct worker *worker, uint32_t request, const struct session *session, uint32_t wait_s)
{
	worker_refuse(worker, request,
		      &(struct refusal){.event = SELF_SERVICE_EVENT, .status = 429, .code = "rate_limited", .user = session->user,
					.sentence = "Too many logins or codes have failed; wait before the next one.", .retry_after_s = wait_s});
}

int self_factor_confirm(void *self, const struct worker_broker_factor_confirm *message, int *fd)
{
	struct worker *worker = self;
	const struct session *session = session_for_act(worker, message->request, message->token);
	uint32_t wait_s = session ? account_wait_s(worker->broker, session->user, session->device) : 0;
	char code[129];
	(void)fd;
	if (wait_s > 0) {
		refuse_for_now(worker, message->request, session, wait_s);
		return 0;
	}
	struct asking *asking = session ? asking_new(worker, message->request, session) : NULL;
	/* What is no text is no code. */
	if (asking && view_to_string(message->code, code, sizeof(code)) < 0)
		code[0] = 0;
	if (asking)
		submit(asking, session, code, factor_next_confirm, on_confirmed);
	wipe(code, sizeof(code));
	return 0;
}

int self_factor_codes(void *self, const struct worker_broker_factor_codes *message, int *fd)
{
	struct worker *worker = self;
	const struct session *session = session_for_act(worker, message->request, message->token);
	struct asking *asking = session ? asking_new(worker, message->request, session) : NULL;
	(void)fd;
	if (asking)
		submit(asking, session, "", factor_next_codes, on_codes);
	return 0;
}

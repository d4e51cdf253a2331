/* tunnel.c: the life of a tunnel. See tunnel.h for its states.
 *
 *     open -> session? target? -> JUDGING: policy -> RECORDING: the row is on the disk -> RESOLVING: names to
 *     addresses, each judged (B2) -> DIALING: exactly those -> OPEN: the worker has the socket
 *
 * No step is taken before the row is durable, and no byte flows before. Whatever fails closes the row again
 * with the reason. What waits for somebody (groups, disk, resolver) cannot be called back: an abandoned
 * tunnel leaves the lists at once, and its memory when that somebody answers.
 */
#include "tunnel.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "address.h"
#include "bandwidth.h"
#include "broker.h"
#include "browser.h"
#include "dial.h"
#include "ending.h"
#include "judge.h"
#include "metrics.h"
#include "resolve.h"
#include "sallyport/clock.h"
#include "sallyport/log.h"
#include "sallyport/own.h"
#include "sallyport/str.h"
#include "session_request.h"
#include "tunnel_record.h"
#include "tunnel_review.h"
#include "worker.h"

/* What a tunnel needs until it is open. */
struct opening {
	struct store_operation operation;
	struct audit_entry entry;
	struct judgement judgement;
	struct resolve_query query;
	struct dial *dial;
	uint64_t dialed_at_ns;
	struct target target;
	bool is_recorded;
	bool abandoned;
	const char *reason; /* of the abandoning */
};

const char *tunnel_state_name(enum tunnel_state state)
{
	static const char *const names[] = {"judging", "recording", "resolving", "dialing", "open"};
	return names[state];
}

static const char *const way_names[] = {"token", "browser_token", "browser_session"};
static const char *const form_names[] = {"connect", "request"};

const char *tunnel_way_name(enum tunnel_way way)
{
	return way_names[way];
}

enum tunnel_way tunnel_way_named(const char *name)
{
	int way = TUNNEL_BY_BROWSER_SESSION;
	while (way > TUNNEL_BY_TOKEN && strcmp(name, way_names[way]) != 0)
		way--;
	return (enum tunnel_way)way;
}

const char *tunnel_form_name(enum worker_broker_form form)
{
	return form_names[form];
}

enum worker_broker_form tunnel_form_named(const char *name)
{
	return strcmp(name, form_names[WORKER_BROKER_REQUEST]) == 0 ? WORKER_BROKER_REQUEST : WORKER_BROKER_CONNECT;
}

struct tunnel *tunnel_find(const struct tunnels *tunnels, uint64_t id)
{
	return MAP_FIND(&tunnels->ids, view_of(&id, sizeof(id)), struct tunnel, by_id);
}

/* ---- memory ---- */

static void tunnel_free(struct tunnel *tunnel)
{
	free(tunnel->opening);
	free(tunnel->host);
	free(tunnel->rule);
	free(tunnel->resource);
	free(tunnel->address);
	if (tunnel->watch >= 0)
		close(tunnel->watch);
	worker_release(tunnel->worker);
	tunnel->session->holds--;
	free(tunnel);
}

/* What a worker asks for, and for whom. */
struct wish {
	struct session *session;
	enum tunnel_way way;
	enum worker_broker_form form;
	struct target target;
};

static struct tunnel *tunnel_new(struct worker *worker, uint32_t request, const struct wish *wish)
{
	struct tunnel *tunnel = calloc(1, sizeof(*tunnel));
	struct opening *opening = calloc(1, sizeof(*opening));
	char *host = strdup(wish->target.host);
	if (!tunnel || !opening || !host) {
		free(tunnel);
		free(opening);
		free(host);
		return NULL;
	}
	*tunnel = (struct tunnel){.worker = worker, .session = wish->session, .request = request, .port = wish->target.port,
				  .state = TUNNEL_JUDGING, .way = wish->way, .form = wish->form, .host = host, .watch = -1,
				  .opening = opening, .opened_at_ms = clock_wall_ms()};
	opening->target = wish->target;
	worker_hold(worker);
	wish->session->holds++;
	return tunnel;
}

static void attach(struct tunnel *tunnel)
{
	struct tunnels *tunnels = &tunnel->worker->broker->tunnels;
	LIST_INSERT_HEAD(&tunnels->live, tunnel, all);
	LIST_INSERT_HEAD(&tunnel->session->tunnels, tunnel, of_session);
	LIST_INSERT_HEAD(&tunnel->worker->tunnels, tunnel, of_worker);
	map_add(&tunnels->ids, &tunnel->by_id, view_of(&tunnel->id, sizeof(tunnel->id)));
	tunnel->session->tunnel_count++;
	tunnels->live_count++;
}

static void detach(struct tunnel *tunnel)
{
	struct tunnels *tunnels = &tunnel->worker->broker->tunnels;
	LIST_REMOVE(tunnel, all);
	LIST_REMOVE(tunnel, of_session);
	LIST_REMOVE(tunnel, of_worker);
	map_remove(&tunnels->ids, &tunnel->by_id);
	tunnel->session->tunnel_count--;
	tunnels->live_count--;
}

struct tunnel *tunnel_inherit(struct worker *worker, struct session *session, uint32_t request, const struct tunnel_row *row,
			      int watch)
{
	struct tunnel *tunnel = calloc(1, sizeof(*tunnel));
	OWN_FD int owned = watch;
	if (!tunnel)
		return NULL;
	*tunnel = (struct tunnel){.id = row->id, .worker = worker, .session = session, .request = request, .port = row->port,
				  .state = TUNNEL_OPEN, .opened_at_ms = row->opened_at_ms, .watch = take_fd(&owned),
				  .way = tunnel_way_named(row->way), .form = tunnel_form_named(row->form),
				  .host = strdup(row->host), .rule = strdup(row->rule), .resource = strdup(row->resource),
				  .address = strdup(row->address)};
	tunnel->inherited = traffic_of(tunnel->watch);
	worker_hold(worker);
	session->holds++;
	bandwidth_unknown(tunnel);
	if (!tunnel->host || !tunnel->rule || !tunnel->resource || !tunnel->address) {
		tunnel_free(tunnel);
		return NULL;
	}
	attach(tunnel);
	return tunnel;
}

/* ---- the end ---- */

static void fill_audit(const struct tunnel *tunnel, struct audit_entry *entry)
{
	worker_fill_audit(tunnel->worker, tunnel->request, entry);
	str_copy(entry->user, sizeof(entry->user), tunnel->session->user);
}

void tunnel_close(struct tunnel *tunnel, const char *reason, uint64_t bytes_to_target, uint64_t bytes_to_client)
{
	metrics_tunnel_closed(tunnel);
	struct tunnel_end end = {.id = tunnel->id, .bytes_to_target = bytes_to_target, .bytes_to_client = bytes_to_client};
	str_copy(end.reason, sizeof(end.reason), tunnel->end_reason ? tunnel->end_reason : reason);
	fill_audit(tunnel, &end.entry);
	audit_fill(&end.entry, "tunnel_closed",
		   "tunnel %llu to %s:%u: %s; %llu bytes to the target, %llu to the client (the worker's claim)",
		   (unsigned long long)tunnel->id, tunnel->host, tunnel->port, end.reason,
		   (unsigned long long)bytes_to_target, (unsigned long long)bytes_to_client);
	tunnel_record_end(tunnel->worker->broker, &end);
	detach(tunnel);
	bandwidth_left(tunnel);
	tunnel_free(tunnel);
}

/* A tunnel that never opened: the row, if there is one, is closed; then the client is told. */
static void fail(struct tunnel *tunnel, const struct tunnel_failure *failure)
{
	struct tunnel_end end = {.id = tunnel->id, .failure = *failure, .request = tunnel->request};
	end.worker = failure->status ? tunnel->worker : NULL;
	end.has_row = tunnel->opening->is_recorded;
	str_copy(end.reason, sizeof(end.reason), failure->code);
	fill_audit(tunnel, &end.entry);
	str_copy(end.entry.code, sizeof(end.entry.code), failure->code);
	audit_fill(&end.entry, "tunnel_failed", "%s:%u: %s", tunnel->host, tunnel->port,
		   failure->detail ? failure->detail : failure->sentence);
	tunnel_record_failure(tunnel->worker->broker, &end);
}

static void fail_and_free(struct tunnel *tunnel, const struct tunnel_failure *failure)
{
	fail(tunnel, failure);
	detach(tunnel);
	tunnel_free(tunnel);
}

/* What the client is told when its session or its right went while it waited. */
static struct tunnel_failure failure_of(const char *reason, enum tunnel_tell tell)
{
	static const struct tunnel_failure failures[] = {
		{"hours_over", 403, "not_allowed", "The policy does not allow this at this time.", NULL},
		{"policy_changed", 403, "not_allowed", "The policy no longer allows this.", NULL},
		{"fresh_login_required", 403, "fresh_login_required", "This target needs a fresh login.", NULL},
		{"too_many", 403, "too_many", "The policy allows no more tunnels to this target at the same time.", NULL},
		{"lease_expired", 407, "lease_expired", "The session's lease has ended. Log in again.", NULL},
		{NULL, 407, "session_ended", "The session has ended. Log in again.", NULL},
	};
	const struct tunnel_failure *found = failures;
	while (found->reason && strcmp(found->reason, reason) != 0)
		found++;
	struct tunnel_failure failure = *found;
	failure.detail = reason;
	if (tell == TUNNEL_TELL_NOBODY) {
		failure.status = 0;
		failure.code = "cancelled";
	}
	return failure;
}

void tunnel_abandon(struct tunnel *tunnel, const char *reason, enum tunnel_tell tell)
{
	struct opening *opening = tunnel->opening;
	struct tunnel_failure failure = failure_of(reason, tell);
	fail(tunnel, &failure);
	detach(tunnel);
	opening->abandoned = true;
	if (tunnel->state == TUNNEL_DIALING) {
		dial_cancel(opening->dial);
		tunnel_free(tunnel);
	}
}

void tunnel_open_cancelled(struct worker *worker, uint32_t request)
{
	struct tunnel *tunnel;
	LIST_FOREACH(tunnel, &worker->tunnels, of_worker)
		if (tunnel->request == request && tunnel->state != TUNNEL_OPEN) {
			tunnel_abandon(tunnel, "client_gone", TUNNEL_TELL_NOBODY);
			return;
		}
}

/* ---- dialing ---- */

static void on_dialed(void *context, int result, int fd, const struct sockaddr *address, const struct diag *diag)
{
	struct tunnel *tunnel = context;
	OWN_FD int owned = fd;
	tunnel->opening->dial = NULL;
	metrics_dialed(tunnel->opening->dialed_at_ns, result);
	if (result < 0) {
		bool is_late = result == ERR_TIMEOUT;
		fail_and_free(tunnel, &(struct tunnel_failure){
			.status = is_late ? 504 : 502, .code = is_late ? "dial_timeout" : "unreachable",
			.sentence = is_late ? "The target did not answer in time." : "The target cannot be reached.",
			.detail = diag ? diag->text : NULL});
		return;
	}
	tunnel->state = TUNNEL_OPEN;
	char text[ADDRESS_TEXT_MAX];
	address_text(address, text, sizeof(text));
	tunnel->address = strdup(text);
	tunnel_record_address(tunnel->worker->broker, tunnel->id, text);
	tunnel->watch = fcntl(owned, F_DUPFD_CLOEXEC, 0);
	free(take_pointer(&tunnel->opening));
	bandwidth_changed(tunnel);
	WORKER_SEND(tunnel->worker, opened, owned, .request = tunnel->request, .tunnel = tunnel->id,
		    .session = tunnel->session->number, .rate_group = tunnel->rate_group, .rate = tunnel->rate_share);
}

/* The checked ones, and only those. */
static void take_allowed(struct tunnel *tunnel, struct dial_request *dial)
{
	const struct resolve_query *query = &tunnel->opening->query;
	for (unsigned i = 0; i < query->count && dial->count < DIAL_ADDRESSES_MAX; i++) {
		struct sockaddr_storage address = query->addresses[i];
		address_set_port(&address, tunnel->port);
		if (judge_address(tunnel->worker->broker, tunnel->resource, (struct sockaddr *)&address))
			dial->addresses[dial->count++] = address;
	}
}

static void dial(struct tunnel *tunnel)
{
	struct broker *broker = tunnel->worker->broker;
	struct dial_request request = {.attempt_delay_ms = broker->room->conf.dial_attempt_delay_ms,
				       .limit_ms = broker->room->conf.dial_time_limit_ms, .manner = &broker->manner,
				       .done = on_dialed, .context = tunnel};
	take_allowed(tunnel, &request);
	if (request.count == 0) {
		fail_and_free(tunnel, &(struct tunnel_failure){
			.status = 403, .code = "address_forbidden",
			.sentence = "The name points at an address that may not be reached by a name."});
		return;
	}
	tunnel->state = TUNNEL_DIALING;
	tunnel->opening->dialed_at_ns = uv_hrtime();
	if (dial_start(broker->loop, &request, &tunnel->opening->dial) < 0)
		fail_and_free(tunnel, &(struct tunnel_failure){.status = 503, .code = "unavailable",
							       .sentence = "The gateway cannot dial now; try again in a moment."});
}

/* ---- resolving ---- */

static void on_resolved(struct resolve_query *query, int result)
{
	struct tunnel *tunnel = query->context;
	if (tunnel->opening->abandoned) {
		tunnel_free(tunnel);
		return;
	}
	if (result == 0) {
		dial(tunnel);
		return;
	}
	static const struct tunnel_failure failures[] = {
		{NULL, 502, "name_unknown", "The name of the target is unknown.", NULL},
		{NULL, 502, "unreachable", "The name of the target could not be looked up in time.", NULL},
		{NULL, 502, "unreachable", "The name of the target cannot be looked up now.", NULL},
	};
	fail_and_free(tunnel, &failures[result == ERR_NOT_FOUND ? 0 : result == ERR_TIMEOUT ? 1 : 2]);
}

static void resolve(struct tunnel *tunnel)
{
	struct opening *opening = tunnel->opening;
	opening->query.done = on_resolved;
	opening->query.context = tunnel;
	tunnel->state = TUNNEL_RESOLVING;
	if (!opening->target.is_address) {
		resolver_look_up(tunnel->worker->broker->resolver, tunnel->host, &opening->query);
		return;
	}
	opening->query.addresses[0] = opening->target.address;
	opening->query.count = 1;
	dial(tunnel);
}

/* ---- recording ---- */

static int record(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	const struct tunnel *tunnel = operation->context;
	const struct audit_entry *entry = &tunnel->opening->entry;
	int result = STORE_RUN(db, diag, tunnel_insert, NUMBER(tunnel->id), TEXT(tunnel->session->id),
			       TEXT(tunnel->session->device->id), TEXT(tunnel->session->user), TEXT(tunnel->rule),
			       TEXT(tunnel->resource), TEXT(tunnel->host), NUMBER(tunnel->port),
			       NUMBER(tunnel->opened_at_ms), TEXT(tunnel->worker->connection), TEXT(entry->request_id),
			       TEXT(tunnel_way_name(tunnel->way)), TEXT(tunnel_form_name(tunnel->form)));
	return result < 0 ? result : audit_append(db, entry, diag);
}

static void on_recorded(struct store_operation *operation, int result, const struct diag *diag)
{
	struct tunnel *tunnel = operation->context;
	(void)diag;
	if (tunnel->opening->abandoned) {
		tunnel_free(tunnel);
	} else if (result < 0) {
		worker_unavailable(tunnel->worker, tunnel->request);
		detach(tunnel);
		tunnel_free(tunnel);
	} else {
		resolve(tunnel);
	}
}

/* From here on the end of the tunnel closes the row: both go through the same queue, in this order. */
static void submit_row(struct tunnel *tunnel)
{
	struct opening *opening = tunnel->opening;
	tunnel->state = TUNNEL_RECORDING;
	opening->is_recorded = true;
	fill_audit(tunnel, &opening->entry);
	audit_fill(&opening->entry, "tunnel_open", "tunnel %llu to %s:%u, by the rule \"%s\" (resource \"%s\"); %s by %s of session %s",
		   (unsigned long long)tunnel->id, tunnel->host, tunnel->port, tunnel->rule, tunnel->resource,
		   tunnel_form_name(tunnel->form), tunnel_way_name(tunnel->way), tunnel->session->id);
	opening->operation = (struct store_operation){.work = record, .done = on_recorded, .context = tunnel};
	store_submit(tunnel->worker->broker->store, &opening->operation);
}

/* ---- judging ---- */

static void deny(struct tunnel *tunnel, const struct policy_verdict *verdict)
{
	char sentence[POLICY_SENTENCE_MAX];
	policy_sentence(verdict, sentence, sizeof(sentence));
	struct refusal refusal = {.event = "tunnel", .status = 403, .code = verdict->code, .sentence = sentence,
				  .user = tunnel->session->user};
	snprintf(refusal.detail, sizeof(refusal.detail), "%s:%u: %s (resource \"%s\", rule \"%s\")", tunnel->host,
		 tunnel->port, sentence, verdict->resource, verdict->rule);
	worker_refuse(tunnel->worker, tunnel->request, &refusal);
	detach(tunnel);
	tunnel_free(tunnel);
}

static void on_judged(struct judgement *judgement, int result, const struct policy_facts *facts,
		      const struct policy_verdict *verdict)
{
	struct tunnel *tunnel = judgement->context;
	if (tunnel->opening->abandoned) {
		tunnel_free(tunnel);
		return;
	}
	if (result == 0 && !verdict->allowed) {
		deny(tunnel, verdict);
		return;
	}
	if (result == 0) {
		tunnel->rule = strdup(verdict->rule);
		tunnel->resource = strdup(verdict->resource);
		tunnel_set_review(tunnel, facts, &tunnel->opening->target, verdict);
	}
	if (!tunnel->rule || !tunnel->resource)
		fail_and_free(tunnel, &(struct tunnel_failure){
			.status = 503, .code = "unavailable", .detail = "the groups of the user cannot be looked up",
			.sentence = "The gateway cannot judge this now; try again in a moment."});
	else
		submit_row(tunnel);
}

/* ---- the request ---- */

static void refuse(struct worker *worker, uint32_t request, const struct session *session, uint32_t status,
		   const char *code, const char *sentence)
{
	worker_refuse(worker, request, &(struct refusal){.event = "tunnel", .status = status, .code = code,
							 .sentence = sentence, .user = session->user,
							 .retry_after_s = status == 429 ? 1 : 0});
}

static void begin(struct worker *worker, uint32_t request, const struct wish *wish)
{
	const struct session *session = wish->session;
	struct tunnel *tunnel = tunnel_new(worker, request, wish);
	if (!tunnel) {
		worker_unavailable(worker, request);
		return;
	}
	tunnel->id = ++worker->broker->tunnels.last_id;
	attach(tunnel);
	struct judgement *judgement = &tunnel->opening->judgement;
	judgement->broker = worker->broker;
	judgement->device = session->device;
	judgement->user = session->user;
	judgement->session = session;
	judgement->worker = worker->number;
	judgement->tunnel = tunnel->id;
	judgement->target = &tunnel->opening->target;
	judgement->done = on_judged;
	judgement->context = tunnel;
	judge(judgement);
}

static void judge_wish(struct worker *worker, const struct worker_broker_open *message, struct wish *wish)
{
	const struct session *session = wish->session;
	struct diag diag;
	int result = target_parse(message->host, message->port, &wish->target, &diag);
	if (result == 0)
		(void)policy_follow_name(worker->broker->policy, &wish->target);
	if (message->user.size && !view_is(message->user, session->user))
		refuse(worker, message->request, session, 407, "no_session", "There is no such session. Log in first.");
	else if (result < 0)
		refuse(worker, message->request, session, 400, "bad_target", diag.text);
	else if (session->tunnel_count >= worker->broker->room->conf.tunnels_per_session)
		refuse(worker, message->request, session, 429, "too_many", "This session has too many tunnels at the same time.");
	else
		begin(worker, message->request, wish);
}

int tunnel_open(struct worker *worker, const struct worker_broker_open *message)
{
	const struct browser_claim claim = {.token = message->token, .user = message->user, .status = 407, .event = "tunnel"};
	if (message->form >= WORKER_BROKER_FORM_COUNT)
		return ERR_BAD_PEER;
	struct wish wish = {.form = (enum worker_broker_form)message->form};
	wish.session = browser_session(worker, message->request, &claim, &wish.way);
	if (wish.session)
		judge_wish(worker, message, &wish);
	return 0;
}

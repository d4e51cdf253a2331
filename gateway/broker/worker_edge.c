/* worker_edge.c: the broker's end of a worker's edge: who is there, who may say what, who is killed.
 *
 * What is asked is answered elsewhere: door_one.c, login.c, session_request.c, self_service.c, tunnel.c.
 * Counterpart: gateway/worker/broker_edge.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker.h"
#include "browser.h"
#include "door_one.h"
#include "enrolment.h"
#include "login.h"
#include "monitor_edge.h"
#include "presence.h"
#include "renewal.h"
#include "sallyport/clock.h"
#include "sallyport/fd.h"
#include "sallyport/log.h"
#include "sallyport/own.h"
#include "sallyport/str.h"
#include "self_service.h"
#include "session_request.h"
#include "target.h"
#include "worker.h"

/* What a worker leaves unread; it always reads, so more means that it is stopped or hostile. */
enum { PENDING_BYTES_MAX = 8 << 20 };
/* The answers of one round, all together: more than a request's body holds. */
enum { ANSWERS_BYTES_MAX = 256 << 10 };
/* Requests that wait for the disk, a name or a target at the same time. */
enum { HOLDS_MAX = 16384 };

/* ---- life ---- */

int workers_new(struct broker *broker, struct diag *diag)
{
	broker->workers = calloc(1, sizeof(*broker->workers));
	if (!broker->workers || map_init(&broker->workers->numbers) < 0)
		return diag_system(diag, "memory");
	return 0;
}

struct worker *worker_find(const struct broker *broker, uint64_t number)
{
	return MAP_FIND(&broker->workers->numbers, view_of(&number, sizeof(number)), struct worker, by_number);
}

void worker_hold(struct worker *worker)
{
	worker->holds++;
}

static void forget_answers(struct worker *worker)
{
	for (uint32_t i = 0; i < worker->answers.count; i++)
		buf_wipe(&worker->answers.texts[i]);
	worker->answers.count = 0;
	worker->answers.bytes = 0;
}

void worker_release(struct worker *worker)
{
	if (--worker->holds > 0)
		return;
	free(worker);
}

static void on_handle_closed(struct worker *worker)
{
	if (--worker->handles == 0)
		worker_release(worker);
}

static void on_timer_closed(uv_handle_t *handle)
{
	on_handle_closed(handle->data);
}

static void on_link_closed(struct link *link)
{
	on_handle_closed(link->owner);
}

static void close_tunnels(struct worker *worker, const char *reason)
{
	struct tunnel *tunnel;
	while ((tunnel = LIST_FIRST(&worker->tunnels)))
		if (tunnel->state == TUNNEL_OPEN)
			tunnel_close(tunnel, reason, 0, 0);
		else
			tunnel_abandon(tunnel, reason, TUNNEL_TELL_NOBODY);
}

static void leave(struct worker *worker, const char *reason)
{
	if (worker->gone)
		return;
	worker->gone = true;
	struct broker *broker = worker->broker;
	map_remove(&broker->workers->numbers, &worker->by_number);
	LIST_REMOVE(worker, all);
	if (worker->device)
		LIST_REMOVE(worker, of_device);
	if (worker->counted)
		broker->workers->accepted--;
	forget_answers(worker);
	login_forget_worker(worker);
	events_worker_gone(worker);
	close_tunnels(worker, reason);
	ending_worker_gone(worker);
	uv_close((uv_handle_t *)&worker->order_timer, on_timer_closed);
	link_close(&worker->link, on_link_closed);
}

void worker_kill(struct worker *worker, const char *reason)
{
	if (worker->gone)
		return;
	monitor_kill_worker(worker->broker, worker->number);
	leave(worker, reason);
}

void worker_request_id(const struct worker *worker, uint32_t request, char *out_text, size_t capacity)
{
	snprintf(out_text, capacity, "%s-%u", worker->connection, request);
}

void worker_fill_audit(const struct worker *worker, uint32_t request, struct audit_entry *entry)
{
	worker_request_id(worker, request, entry->request_id, sizeof(entry->request_id));
	str_copy(entry->device, sizeof(entry->device), worker->device ? worker->device->name : "");
	str_copy(entry->address, sizeof(entry->address), worker->address);
}

void worker_breach(struct worker *worker, const char *sentence)
{
	struct audit_entry entry = {.code = "breach"};
	worker_fill_audit(worker, 0, &entry);
	audit_fill(&entry, "breach", "worker %llu was killed: %s", (unsigned long long)worker->number, sentence);
	audit_record(worker->broker, &entry, NULL, NULL);
	log_error("%s", entry.detail);
	worker_kill(worker, "worker_killed");
}

/* ---- refusals ---- */

struct refusing {
	struct store_operation operation;
	struct worker *worker;
	uint32_t request, status, retry_after_s;
	char code[33];
	char sentence[513];
	struct audit_entry entry;
};

static int record_refusal(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	struct refusing *refusing = operation->context;
	return audit_append(db, &refusing->entry, diag);
}

void worker_unavailable(struct worker *worker, uint32_t request)
{
	WORKER_SEND(worker, problem, -1, .request = request, .status = 503, .code = view_string("unavailable"),
		    .sentence = view_string("The gateway cannot do that now. Nothing was granted; try again in a moment."),
		    .retry_after_s = 5);
}

static void on_refused(struct store_operation *operation, int result, const struct diag *diag)
{
	OWN_MEMORY struct refusing *refusing = operation->context;
	(void)diag;
	if (result < 0)
		worker_unavailable(refusing->worker, refusing->request);
	else
		WORKER_SEND(refusing->worker, problem, -1, .request = refusing->request, .status = refusing->status,
			    .code = view_string(refusing->code), .sentence = view_string(refusing->sentence),
			    .retry_after_s = refusing->retry_after_s);
	worker_release(refusing->worker);
}

void worker_refuse(struct worker *worker, uint32_t request, const struct refusal *refusal)
{
	struct refusing *refusing = calloc(1, sizeof(*refusing));
	if (!refusing) {
		worker_unavailable(worker, request);
		return;
	}
	*refusing = (struct refusing){.operation = {.work = record_refusal, .done = on_refused, .context = refusing},
				      .worker = worker, .request = request, .status = refusal->status,
				      .retry_after_s = refusal->retry_after_s};
	worker_hold(worker);
	str_copy(refusing->code, sizeof(refusing->code), refusal->code);
	str_copy(refusing->sentence, sizeof(refusing->sentence), refusal->sentence);
	worker_fill_audit(worker, request, &refusing->entry);
	str_copy(refusing->entry.code, sizeof(refusing->entry.code),
		 refusal->recorded_code ? refusal->recorded_code : refusal->code);
	str_copy(refusing->entry.user, sizeof(refusing->entry.user), refusal->user ? refusal->user : "");
	str_make_printable(refusing->entry.user);
	audit_fill(&refusing->entry, refusal->event, "%s", refusal->detail[0] ? refusal->detail : refusal->sentence);
	store_submit(worker->broker->store, &refusing->operation);
}

/* ---- messages ---- */

/* The sender's word, by the worker's mouth: only where the monitor has seen a trusted sender, only once, and never behind
 * the handshake. The monitor's limits count the client from here on. */
static int on_proxied(void *self, const struct worker_broker_proxied *message, int *fd)
{
	struct worker *worker = self;
	struct target client;
	(void)fd;
	if (!worker->proxied)
		return ERR_BAD_PEER;
	worker->proxied = false;
	if (message->address.size == 0) {
		monitor_client_behind(worker->broker, worker->number, "");
		return 0;
	}
	if (target_parse(message->address, 1, &client, NULL) < 0 || !client.is_address)
		return ERR_BAD_PEER;
	str_copy(worker->address, sizeof(worker->address), client.host);
	worker->port = message->port;
	monitor_client_behind(worker->broker, worker->number, worker->address);
	return 0;
}

static int on_peer(void *self, const struct worker_broker_peer *message, int *fd)
{
	(void)fd;
	if (((struct worker *)self)->proxied)
		return ERR_BAD_PEER;
	return door_one_peer(self, message);
}

static int on_peer_refused(void *self, const struct worker_broker_peer_refused *message, int *fd)
{
	(void)fd;
	return door_one_peer_refused(self, message);
}

static int on_login_start(void *self, const struct worker_broker_login_start *message, int *fd)
{
	(void)fd;
	return login_start(self, message);
}

static int on_answer_item(void *self, const struct worker_broker_answer_item *message, int *fd)
{
	struct worker *worker = self;
	struct worker_answers *answers = &worker->answers;
	(void)fd;
	if (answers->count > 0 && answers->request != message->request)
		return ERR_BAD_PEER;
	if (answers->count == CONVERSATION_MESSAGES_MAX || answers->bytes + message->text.size > ANSWERS_BYTES_MAX)
		return ERR_BAD_PEER;
	struct buf *text = &answers->texts[answers->count];
	*text = BUF_INIT(CONVERSATION_ANSWER_MAX);
	int result = buf_add(text, message->text);
	if (result < 0)
		return result;
	answers->request = message->request;
	answers->bytes += message->text.size;
	answers->count++;
	return 0;
}

static int on_login_answer(void *self, const struct worker_broker_login_answer *message, int *fd)
{
	struct worker *worker = self;
	(void)fd;
	if (message->answers != worker->answers.count ||
	    (message->answers > 0 && message->request != worker->answers.request))
		return ERR_BAD_PEER;
	int result = login_answer(worker, message);
	forget_answers(worker);
	return result;
}

static int on_login_cancel(void *self, const struct worker_broker_login_cancel *message, int *fd)
{
	(void)fd;
	return login_cancel(self, message);
}

static int on_login_left(void *self, const struct worker_broker_login_left *message, int *fd)
{
	(void)fd;
	login_left(self, message->request);
	return 0;
}

static int on_goodbye(void *self, const struct worker_broker_goodbye *message, int *fd)
{
	struct worker *worker = self;
	(void)message, (void)fd;
	worker->said_goodbye = true;
	return 0;
}

static int on_session_get(void *self, const struct worker_broker_session_get *message, int *fd)
{
	(void)fd;
	session_on_get(self, message);
	return 0;
}

static int on_session_renew(void *self, const struct worker_broker_session_renew *message, int *fd)
{
	(void)fd;
	session_on_renew(self, message);
	return 0;
}

static int on_session_end(void *self, const struct worker_broker_session_end *message, int *fd)
{
	(void)fd;
	session_on_end(self, message);
	return 0;
}

static int on_resources(void *self, const struct worker_broker_resources *message, int *fd)
{
	(void)fd;
	session_on_resources(self, message);
	return 0;
}

static int on_browser_token(void *self, const struct worker_broker_browser_token *message, int *fd)
{
	(void)fd;
	browser_on_token(self, message);
	return 0;
}

static int on_proxy_script(void *self, const struct worker_broker_proxy_script *message, int *fd)
{
	(void)fd;
	browser_on_script(self, message);
	return 0;
}

static int on_events(void *self, const struct worker_broker_events *message, int *fd)
{
	(void)fd;
	events_on_begin(self, message);
	return 0;
}

static int on_events_stop(void *self, const struct worker_broker_events_stop *message, int *fd)
{
	(void)fd;
	events_on_stop(self, message);
	return 0;
}

static int on_open(void *self, const struct worker_broker_open *message, int *fd)
{
	(void)fd;
	return tunnel_open(self, message);
}

static int on_open_cancel(void *self, const struct worker_broker_open_cancel *message, int *fd)
{
	(void)fd;
	tunnel_open_cancelled(self, message->request);
	return 0;
}

static int on_enroll(void *self, const struct worker_broker_enroll *message, int *fd)
{
	(void)fd;
	return enrolment_asked(self, message);
}

static int on_renew(void *self, const struct worker_broker_renew *message, int *fd)
{
	(void)fd;
	return renewal_asked(self, message);
}

static int on_revocations(void *self, const struct worker_broker_revocations *message, int *fd)
{
	(void)fd;
	revocations_asked(self, message);
	return 0;
}

static int on_presence(void *self, const struct worker_broker_presence *message, int *fd)
{
	(void)fd;
	return presence_asked(self, message);
}

static int on_tunnel_closed(void *self, const struct worker_broker_tunnel_closed *message, int *fd)
{
	struct worker *worker = self;
	(void)fd;
	struct tunnel *tunnel = tunnel_find(&worker->broker->tunnels, message->tunnel);
	char reason[33];
	/* One that it never had. (The broker forgets a tunnel only on this message or with the worker.) */
	if (!tunnel || tunnel->worker != worker || tunnel->state != TUNNEL_OPEN)
		return ERR_BAD_PEER;
	if (view_to_string(message->reason, reason, sizeof(reason)) < 0)
		return ERR_BAD_PEER;
	str_make_printable(reason);
	tunnel_close(tunnel, reason, message->bytes_to_target, message->bytes_to_client);
	return 0;
}

/* True: it gets no row, and has been answered. */
static bool is_left_out(struct worker *worker, const struct worker_broker_refusal *message, struct refusal *refusal)
{
	uint64_t left_out = 0;
	if (!worker->device || strcmp(refusal->code, "cross_site") != 0)
		return false;
	if (!other_pages_take(&worker->device->other_pages, clock_monotonic_ms(), &left_out)) {
		WORKER_SEND(worker, problem, -1, .request = message->request, .status = message->status, .code = message->code,
			    .sentence = view_string("Pages of others ask for too much here. This one is counted, and not recorded by itself."));
		return true;
	}
	if (left_out)
		snprintf(refusal->detail, sizeof(refusal->detail), "%u: %.400s; %llu more before it have no row of their own", message->status,
			 refusal->sentence, (unsigned long long)left_out);
	return false;
}

/* A claim, for the record. The worker answers its client when the row is committed: `problem` tells it so. */
static int on_refusal(void *self, const struct worker_broker_refusal *message, int *fd)
{
	char code[33], sentence[513];
	(void)fd;
	if (view_to_string(message->code, code, sizeof(code)) < 0 ||
	    view_to_string(message->sentence, sentence, sizeof(sentence)) < 0 || message->status < 400 || message->status > 599)
		return ERR_BAD_PEER;
	str_make_printable(code);
	struct refusal refusal = {.event = "request", .status = message->status, .code = code, .sentence = sentence,
				  .retry_after_s = message->status == 503 ? 1 : 0};
	snprintf(refusal.detail, sizeof(refusal.detail), "%u: %.500s", message->status, sentence);
	if (!is_left_out(self, message, &refusal))
		worker_refuse(self, message->request, &refusal);
	return 0;
}

static int on_ended(void *self, const struct worker_broker_ended *message, int *fd)
{
	struct diag diag;
	(void)fd;
	return ending_answered(self, message->order, &diag);
}

static const struct worker_broker_handlers handlers = {
	.proxied = on_proxied,
	.peer = on_peer,
	.peer_refused = on_peer_refused,
	.login_start = on_login_start,
	.answer_item = on_answer_item,
	.login_answer = on_login_answer,
	.login_cancel = on_login_cancel,
	.login_left = on_login_left,
	.goodbye = on_goodbye,
	.session_get = on_session_get,
	.session_renew = on_session_renew,
	.session_end = on_session_end,
	.resources = on_resources,
	.browser_token = on_browser_token,
	.proxy_script = on_proxy_script,
	.events = on_events,
	.events_stop = on_events_stop,
	.open = on_open,
	.open_cancel = on_open_cancel,
	.enroll = on_enroll,
	.renew = on_renew,
	.revocations = on_revocations,
	.presence = on_presence,
	.devices = self_service_devices,
	.device_lost = self_service_lost,
	.factor_get = self_factor_get,
	.factor_new = self_factor_new,
	.factor_confirm = self_factor_confirm,
	.factor_codes = self_factor_codes,
	.tunnel_closed = on_tunnel_closed,
	.refusal = on_refusal,
	.ended = on_ended,
};

static void on_frame(struct link *link, struct edge_frame *frame)
{
	struct worker *worker = link->owner;
	if (worker->gone) {
		edge_frame_release(&worker_broker_edge, frame);
		return;
	}
	struct diag diag = {"a message that makes no sense now"};
	worker_hold(worker);
	if (worker_broker_dispatch(&handlers, worker, EDGE_FROM_FIRST, worker->state, frame, &diag) < 0)
		worker_breach(worker, diag.text);
	else if (worker->holds > HOLDS_MAX)
		worker_breach(worker, "too many requests at the same time");
	worker_release(worker);
}

static void on_end(struct link *link, int reason)
{
	struct worker *worker = link->owner;
	if (reason == ERR_CLOSED)
		leave(worker, "worker_lost");
	else
		worker_breach(worker, "it broke the framing or does not read its edge");
}

/* ---- from the monitor ---- */

static void make_connection_id(struct worker *worker)
{
	uint8_t random[WORKER_CONNECTION_CHARACTERS / 2];
	fd_random(random, sizeof(random));
	str_hex(view_of(random, sizeof(random)), worker->connection);
}

struct worker *worker_connect(struct broker *broker, uint64_t number, int fd)
{
	OWN_FD int owned = fd;
	OWN_MEMORY struct worker *worker = calloc(1, sizeof(*worker));
	if (!worker || worker_find(broker, number) || link_init(&worker->link, broker->loop, owned, PENDING_BYTES_MAX) < 0) {
		log_error("worker %llu cannot be served", (unsigned long long)number);
		monitor_kill_worker(broker, number);
		return NULL;
	}
	take_fd(&owned);
	worker->broker = broker;
	worker->number = number;
	worker->state = WORKER_BROKER_NEW;
	worker->holds = 1;
	worker->handles = 2;
	TAILQ_INIT(&worker->orders);
	make_connection_id(worker);
	worker->link.owner = worker;
	worker->link.on_frame = on_frame;
	worker->link.on_end = on_end;
	uv_timer_init(broker->loop, &worker->order_timer);
	worker->order_timer.data = worker;
	map_add(&broker->workers->numbers, &worker->by_number, view_of(&worker->number, sizeof(worker->number)));
	LIST_INSERT_HEAD(&broker->workers->all, worker, all);
	return take_pointer(&worker);
}

void worker_set_client(struct broker *broker, const struct monitor_room_worker_client *message)
{
	struct worker *worker = worker_find(broker, message->worker);
	if (!worker)
		return;
	if (view_to_string(message->address, worker->address, sizeof(worker->address)) < 0)
		worker->address[0] = 0;
	str_make_printable(worker->address);
	worker->port = message->port;
	worker->proxied = message->proxied;
	/* Where it came in is the monitor's word: a worker of the main listener can never say `enroll`. */
	if (message->listener != MONITOR_ROOM_ENROLMENT || worker->state != WORKER_BROKER_NEW)
		return;
	worker->state = WORKER_BROKER_ENROLLING;
	WORKER_SEND(worker, accepted, -1, .connection = view_string(worker->connection), .device = view_string(""));
}

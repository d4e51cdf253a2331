/* handover.c: the broker goes, and live tunnels stay.
 *
 *     hand_over -> orders that workers still carry out -> nothing is read any more, what is being opened is given up ->
 *     all that was said is on the disk -> the store is closed -> `handover` to each worker, its edge to the monitor
 *
 * What this broker has taken and not answered the worker refuses when it reads `handover`; what lies in the edge unread is
 * the successor's. Counterpart: heritage.c.
 */
#include "handover.h"

#include <jansson.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "admin.h"
#include "broker.h"
#include "monitor_edge.h"
#include "sallyport/edge/handover.h"
#include "sallyport/log.h"
#include "sallyport/own.h"
#include "sallyport/str.h"
#include "shadow.h"
#include "worker.h"

/* How often it is asked whether all orders are carried out and admins answered; and how often at most: a worker that does not
 * obey is killed within end_grace. */
enum { ASK_MS = 10, ASK_TIMES = 200 };

struct handover {
	struct broker *broker;
	uv_timer_t timer;
	unsigned asked;
	struct store_operation flush;
};

/* ---- before the end of the loop ---- */

/* Ordered to close something; or in the middle of a question that is several messages. */
static bool is_busy(const struct worker *worker)
{
	return !TAILQ_EMPTY(&worker->orders) || worker->answers.count;
}

static bool anyone_is_busy(const struct broker *broker)
{
	const struct worker *worker;
	LIST_FOREACH(worker, &broker->workers->all, all)
		if (is_busy(worker))
			return true;
	return false;
}

static void on_flushed(struct store_operation *operation, int result, const struct diag *diag)
{
	struct handover *handover = operation->context;
	(void)result, (void)diag;
	uv_stop(handover->broker->loop);
}

static void give_up_openings(struct broker *broker)
{
	struct tunnel *tunnel, *next;
	for (tunnel = LIST_FIRST(&broker->tunnels.live); tunnel; tunnel = next) {
		next = LIST_NEXT(tunnel, all);
		if (tunnel->state != TUNNEL_OPEN)
			tunnel_abandon(tunnel, "gateway_restarted", TUNNEL_TELL_NOBODY);
	}
}

static void finish(struct handover *handover)
{
	struct broker *broker = handover->broker;
	struct worker *worker;
	admin_stop(take_pointer(&broker->admin));
	admin_stop(take_pointer(&broker->factor_door));
	admin_stop(take_pointer(&broker->metrics_door));
	LIST_FOREACH(worker, &broker->workers->all, all)
		link_pause(&worker->link);
	give_up_openings(broker);
	shadow_save(broker, SHADOW_AT_ONCE);
	handover->flush = (struct store_operation){.done = on_flushed, .context = handover};
	store_submit(broker->store, &handover->flush);
}

static void on_timer(uv_timer_t *timer)
{
	struct handover *handover = timer->data;
	const struct broker *broker = handover->broker;
	bool is_busy = anyone_is_busy(broker) || admin_is_busy(broker->admin) || admin_is_busy(broker->factor_door) ||
		       admin_is_busy(broker->metrics_door);
	if (is_busy && ++handover->asked < ASK_TIMES)
		return;
	uv_timer_stop(timer);
	finish(handover);
}

void handover_begin(struct broker *broker)
{
	static struct handover handover;
	if (broker->stopping)
		return;
	broker->stopping = broker->handing_over = true;
	atomic_store(&broker->trials_over, true);
	handover.broker = broker;
	uv_timer_init(broker->loop, &handover.timer);
	handover.timer.data = &handover;
	uv_timer_start(&handover.timer, on_timer, 0, ASK_MS);
}

/* ---- after it ---- */

static bool is_fit(const struct worker *worker)
{
	return worker->counted && worker->state & (WORKER_BROKER_DEVICE | WORKER_BROKER_HOST) && !is_busy(worker) &&
	       !worker->link.ended && !worker->link.first;
}

void handover_part(struct broker *broker)
{
	struct audit_entry entry = {.code = ""};
	struct worker *worker, *next;
	unsigned count = 0;
	for (worker = LIST_FIRST(&broker->workers->all); worker; worker = next) {
		next = LIST_NEXT(worker, all);
		if (is_fit(worker))
			count++;
		else
			worker_kill(worker, "gateway_stopped");
	}
	audit_fill(&entry, "gateway_stopped", "for a successor; %u connections with %u tunnels wait for it", count,
		   broker->tunnels.live_count);
	audit_record(broker, &entry, NULL, NULL);
}

static json_t *feeds_of(const struct worker *worker)
{
	const struct feed *feed;
	json_t *list = json_array();
	LIST_FOREACH(feed, &worker->feeds, of_worker)
		json_array_append_new(list, json_pack("{s:I, s:s}", "request", (json_int_t)feed->request, "session", feed->session->id));
	return list;
}

static json_t *facts_of(const struct worker *worker)
{
	char fingerprint[2 * FINGERPRINT_BYTES + 1];
	str_hex(view_of(worker->fingerprint, sizeof(worker->fingerprint)), fingerprint);
	return json_pack("{s:I, s:i, s:s, s:s, s:s, s:s, s:s, s:i, s:o}", "number", (json_int_t)worker->number, "state",
			 (int)worker->state, "connection", worker->connection, "device", worker->device->id, "fingerprint",
			 fingerprint, "suite", worker->suite, "address", worker->address, "port", (int)worker->port, "feeds",
			 feeds_of(worker));
}

/* Its copy of each socket, for what the kernel counts there (traffic.h). */
static void keep(struct worker *worker)
{
	const struct tunnel *tunnel;
	monitor_keep(worker->broker, HANDOVER_EDGE, worker->number, worker->link.fd);
	LIST_FOREACH(tunnel, &worker->tunnels, of_worker)
		if (tunnel->watch >= 0)
			monitor_keep(worker->broker, HANDOVER_TARGET, tunnel->id, tunnel->watch);
}

static void send_state(struct broker *broker, json_t *workers)
{
	json_t *state = json_pack("{s:I, s:o}", "protocol", (json_int_t)handover_protocol(), "workers", workers);
	OWN_FD int fd = memfd_create("handover", MFD_CLOEXEC);
	if (fd >= 0 && state && json_dumpfd(state, fd, JSON_COMPACT) == 0)
		monitor_keep(broker, HANDOVER_STATE, 0, fd);
	else
		log_error("the state of live connections cannot be written; they end");
	json_decref(state);
}

static void keep_pam_sessions(struct broker *broker)
{
	const struct session *session;
	LIST_FOREACH(session, &broker->sessions.live, all)
		if (session->pam_session)
			monitor_keep(broker, HANDOVER_PAM_SESSION, session->number, session->pam_session->fd);
}

/* The state is the last: without it nothing is kept. */
void handover_send(struct broker *broker)
{
	json_t *workers = json_array();
	struct worker *worker;
	keep_pam_sessions(broker);
	LIST_FOREACH(worker, &broker->workers->all, all) {
		WORKER_SEND(worker, handover, -1, .taken = worker->link.received);
		/* One that has left no room for the last word is not waited for. */
		if (worker->link.first)
			continue;
		keep(worker);
		json_array_append_new(workers, facts_of(worker));
	}
	send_state(broker, workers);
}

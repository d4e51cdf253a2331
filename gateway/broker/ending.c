/* ending.c: orders to workers, their answers, and what happens to those that do not answer. */
#include "ending.h"

#include <stdlib.h>
#include <string.h>

#include "broker.h"
#include "door_one.h"
#include "monitor_edge.h"
#include "sallyport/log.h"
#include "tunnel.h"
#include "worker.h"

/* ---- when all is over ---- */

static void on_flushed(struct store_operation *operation, int result, const struct diag *diag)
{
	struct ending *ending = operation->context;
	(void)result, (void)diag;
	ending->over(ending);
}

/* The closed rows were submitted before this operation, so they are on the disk when it completes. */
static void leave(struct ending *ending)
{
	if (--ending->waiting > 0)
		return;
	ending->flush = (struct store_operation){.done = on_flushed, .context = ending};
	store_submit(ending->broker->store, &ending->flush);
}

static void finish_order(struct worker *worker, struct order *order)
{
	struct ending *ending = order->ending;
	TAILQ_REMOVE(&worker->orders, order, of_worker);
	free(order);
	leave(ending);
}

/* ---- orders ---- */

static void watch_first(struct worker *worker)
{
	const struct order *first = TAILQ_FIRST(&worker->orders);
	uint64_t now_ms = uv_now(worker->broker->loop);
	if (!first)
		uv_timer_stop(&worker->order_timer);
	else
		uv_timer_start(&worker->order_timer, ending_on_timer,
			       first->deadline_ms > now_ms ? first->deadline_ms - now_ms : 0, 0);
}

void ending_on_timer(uv_timer_t *timer)
{
	struct worker *worker = timer->data;
	const struct order *first = TAILQ_FIRST(&worker->orders);
	if (!first || worker->gone)
		return;
	log_warning("worker %llu has not closed in time what it was told to (%s): killed",
		    (unsigned long long)worker->number, first->ending->reason);
	worker_kill(worker, first->ending->reason);
}

static void order(struct ending *ending, struct worker *worker, uint64_t session, uint64_t tunnel, bool connection)
{
	struct order *order = calloc(1, sizeof(*order));
	if (!order) {
		/* Its tunnels are closed in the record when it is gone. */
		monitor_kill_worker(worker->broker, worker->number);
		return;
	}
	*order = (struct order){.ending = ending, .number = ++worker->last_order, .session = session, .tunnel = tunnel};
	uv_update_time(worker->broker->loop);
	order->deadline_ms = uv_now(worker->broker->loop) + worker->broker->room->conf.end_grace_ms;
	ending->waiting++;
	TAILQ_INSERT_TAIL(&worker->orders, order, of_worker);
	watch_first(worker);
	WORKER_SEND(worker, end, -1, .order = order->number, .session = session, .tunnel = tunnel,
		    .connection = connection, .reason = view_string(ending->reason));
}

static bool is_told_already(const struct ending *ending, const struct worker *worker, uint64_t session)
{
	const struct order *order;
	TAILQ_FOREACH(order, &worker->orders, of_worker)
		if (order->ending == ending && order->session == session && order->tunnel == 0)
			return true;
	return false;
}

/* True when a worker must be told about it; what is not open yet ends here. */
static bool doom(struct ending *ending, struct tunnel *tunnel)
{
	if (tunnel->state != TUNNEL_OPEN) {
		tunnel_abandon(tunnel, ending->reason, TUNNEL_TELL_CLIENT);
		return false;
	}
	tunnel->end_reason = ending->reason;
	events_tunnel_ended(tunnel, ending->reason);
	ending->tunnels++;
	return true;
}

void ending_begin(struct ending *ending, struct broker *broker, const char *reason, ending_over over)
{
	*ending = (struct ending){
		.broker = broker, .reason = reason, .over = over, .context = ending->context, .waiting = 1};
}

void ending_add_session(struct ending *ending, struct session *session)
{
	struct tunnel *tunnel, *next;
	for (tunnel = LIST_FIRST(&session->tunnels); tunnel; tunnel = next) {
		next = LIST_NEXT(tunnel, of_session);
		if (doom(ending, tunnel) && !is_told_already(ending, tunnel->worker, session->number))
			order(ending, tunnel->worker, session->number, 0, false);
	}
}

void ending_add_tunnel(struct ending *ending, struct tunnel *tunnel)
{
	struct worker *worker = tunnel->worker;
	if (doom(ending, tunnel))
		order(ending, worker, tunnel->session->number, tunnel->id, false);
}

void ending_add_worker(struct ending *ending, struct worker *worker)
{
	struct tunnel *tunnel, *next;
	for (tunnel = LIST_FIRST(&worker->tunnels); tunnel; tunnel = next) {
		next = LIST_NEXT(tunnel, of_worker);
		(void)doom(ending, tunnel);
	}
	order(ending, worker, 0, 0, true);
}

void ending_add_device(struct ending *ending, struct device *device)
{
	struct worker *worker, *next;
	for (worker = LIST_FIRST(&device->workers); worker; worker = next) {
		next = LIST_NEXT(worker, of_device);
		if (worker->state == WORKER_BROKER_PROVING)
			door_one_reject(worker, ending->reason, "the device was locked or revoked meanwhile");
		else
			ending_add_worker(ending, worker);
	}
}

void ending_commit(struct ending *ending)
{
	leave(ending);
}

/* ---- answers ---- */

static bool is_in_scope(const struct order *order, const struct tunnel *tunnel)
{
	if (order->tunnel)
		return tunnel->id == order->tunnel;
	return !order->session || tunnel->session->number == order->session;
}

static bool is_carried_out(const struct worker *worker, const struct order *order)
{
	const struct tunnel *tunnel;
	LIST_FOREACH(tunnel, &worker->tunnels, of_worker)
		if (tunnel->state == TUNNEL_OPEN && is_in_scope(order, tunnel))
			return false;
	return true;
}

int ending_answered(struct worker *worker, uint32_t number, struct diag *diag)
{
	struct order *order;
	TAILQ_FOREACH(order, &worker->orders, of_worker)
		if (order->number == number)
			break;
	if (!order)
		return diag_set(diag, ERR_BAD_PEER, "it answered the order %u that was never given", number);
	if (!is_carried_out(worker, order))
		return diag_set(diag, ERR_BAD_PEER, "it said that order %u is carried out, and it is not", number);
	finish_order(worker, order);
	watch_first(worker);
	return 0;
}

void ending_worker_gone(struct worker *worker)
{
	struct order *order;
	while ((order = TAILQ_FIRST(&worker->orders)))
		finish_order(worker, order);
}

/* workers.c: workers, from the fork to the end: spares that wait, strangers before door one, accepted ones.
 *
 * A worker's edges are wired while it is being forked: its first messages wait in the socket. Its death is told by
 * its pidfd; broker and signer notice it by their own edges.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "monitor.h"
#include "sallyport/clock.h"
#include "sallyport/edge/monitor_room.h"
#include "sallyport/log.h"
#include "sallyport/own.h"
#include "sallyport/wire.h"

/* The worker itself ends a stranger at login_grace, with a proper end; the monitor a moment later, in any case. */
enum { GRACE_EXTRA_MS = 1000 };

struct worker *workers_find(struct monitor *monitor, uint64_t id)
{
	struct worker *worker;
	LIST_FOREACH(worker, &monitor->workers, all)
		if (worker->id == id)
			return worker;
	return NULL;
}

static void set_state(struct monitor *monitor, struct worker *worker, enum worker_state state)
{
	monitor->spares -= worker->state == WORKER_SPARE;
	monitor->strangers -= worker->state == WORKER_STRANGER;
	if (worker->state == WORKER_STRANGER)
		TAILQ_REMOVE(&monitor->stranger_queue, worker, as_stranger);
	if (state == WORKER_STRANGER)
		TAILQ_INSERT_TAIL(&monitor->stranger_queue, worker, as_stranger);
	worker->state = state;
	monitor->spares += worker->state == WORKER_SPARE;
	monitor->strangers += worker->state == WORKER_STRANGER;
}

static void bury(struct monitor *monitor, struct worker *worker)
{
	/* An accepted worker counts nowhere but in worker_count. */
	set_state(monitor, worker, WORKER_ACCEPTED);
	monitor->worker_count--;
	LIST_REMOVE(worker, all);
	loop_forget(&monitor->loop, &worker->pidfd);
	if (worker->pidfd.fd >= 0)
		close(worker->pidfd.fd);
	if (worker->edge >= 0)
		close(worker->edge);
	free(worker);
}

void worker_kill(struct worker *worker)
{
	if (worker->pidfd.fd >= 0)
		syscall(SYS_pidfd_send_signal, worker->pidfd.fd, SIGKILL, NULL, 0);
}

void worker_drop(struct monitor *monitor, struct worker *worker)
{
	worker_kill(worker);
	bury(monitor, worker);
}

struct worker *worker_inherit(struct monitor *monitor, uint64_t id)
{
	struct worker *worker = calloc(1, sizeof(*worker));
	if (!worker)
		return NULL;
	*worker = (struct worker){.id = id, .edge = -1, .pidfd.fd = -1, .state = WORKER_ACCEPTED};
	LIST_INSERT_HEAD(&monitor->workers, worker, all);
	monitor->worker_count++;
	if (monitor->last_worker < id)
		monitor->last_worker = id;
	return worker;
}

/* The broker's word that somebody still chooses comes before the end: the worker waits for the record in between. */
static void penalise(struct monitor *monitor, const struct worker *worker)
{
	const struct conf *conf = &monitor->conf;
	accept_penalise(monitor, &worker->source,
			worker->undecided ? conf->source_penalty_undecided_ms : conf->source_penalty_stranger_ms);
}

static void on_end(struct watch *watch, void *self)
{
	struct monitor *monitor = self;
	const struct worker *worker = watch->owner;
	/* Where a room of ours has died, the client is not to blame; nor is a sender for whom it sends. */
	if (worker->state == WORKER_STRANGER && !worker->proxied && keepers_all_run(monitor))
		penalise(monitor, worker);
	bury(monitor, watch->owner);
	if (!monitor->loop.stopping)
		workers_refill(monitor);
}

void worker_forked(struct monitor *monitor, struct worker *worker, int pidfd)
{
	worker->pidfd = (struct watch){.fd = pidfd, .on_readable = on_end, .owner = worker};
	monitor_watch_or_die(monitor, &worker->pidfd);
}

void worker_accepted(struct monitor *monitor, struct worker *worker)
{
	if (worker->state == WORKER_STRANGER)
		set_state(monitor, worker, WORKER_ACCEPTED);
}

/* ---- forking ---- */

/* Makes an edge: one end to the keeper as `worker`, the other one is the caller's. */
static int wire_to_keeper(struct monitor *monitor, enum keeper_role role, uint64_t id, int *out_end)
{
	int ends[2];
	if (wire_pair(ends) < 0)
		return ERR_SYSTEM;
	OWN_FD int keeper_end = ends[1];
	int result = WIRE_SEND(monitor->keepers[role].watch.fd, monitor_room, worker, keeper_end, .worker = id);
	if (result < 0) {
		close(ends[0]);
		return result;
	}
	*out_end = ends[0];
	return 0;
}

static int wire_worker(struct monitor *monitor, struct worker *worker)
{
	OWN_FD int broker = -1;
	OWN_FD int signer = -1;
	int result = wire_to_keeper(monitor, KEEPER_BROKER, worker->id, &broker);
	if (result == 0)
		result = wire_to_keeper(monitor, KEEPER_SIGNER, worker->id, &signer);
	if (result == 0)
		result = WIRE_SEND(worker->edge, monitor_room, broker_edge, broker);
	if (result == 0)
		result = WIRE_SEND(worker->edge, monitor_room, signer_edge, signer);
	return result;
}

static int order_fork(struct monitor *monitor, struct worker *worker)
{
	int ends[2];
	if (wire_pair(ends) < 0)
		return ERR_SYSTEM;
	OWN_FD int worker_end = ends[1];
	worker->edge = ends[0];
	int result = wire_worker(monitor, worker);
	if (result == 0)
		result = WIRE_SEND(monitor->keepers[KEEPER_TEMPLATE].watch.fd, monitor_room, fork_worker, worker_end,
				   .worker = worker->id);
	if (result < 0)
		close(worker->edge);
	return result;
}

static struct worker *fork_worker(struct monitor *monitor)
{
	struct worker *worker = keepers_all_run(monitor) ? calloc(1, sizeof(*worker)) : NULL;
	if (!worker)
		return NULL;
	worker->id = ++monitor->last_worker;
	worker->pidfd.fd = -1;
	int result = order_fork(monitor, worker);
	if (result < 0) {
		log_error("no worker can be had (%s)", err_name(result));
		free(worker);
		return NULL;
	}
	LIST_INSERT_HEAD(&monitor->workers, worker, all);
	monitor->worker_count++;
	monitor->spares++;
	return worker;
}

void workers_refill(struct monitor *monitor)
{
	while (monitor->spares < monitor->conf.spare_workers && monitor->worker_count < monitor->conf.connections)
		if (!fork_worker(monitor))
			return;
}

/* The longest forked one: it has had the time to get ready. New ones stand in front of the list. */
struct worker *workers_take_spare(struct monitor *monitor)
{
	struct worker *worker, *found = NULL;
	unsigned seen = 0;
	LIST_FOREACH(worker, &monitor->workers, all) {
		if (worker->state != WORKER_SPARE)
			continue;
		found = worker;
		if (++seen == monitor->spares)
			break;
	}
	return found ? found : fork_worker(monitor);
}

/* ---- serving ---- */

void worker_serve(struct monitor *monitor, struct worker *worker, const struct arrival *arrival)
{
	/* The broker hears of the address from the monitor, and before the worker can speak of its client. */
	int result = WIRE_SEND(monitor->keepers[KEEPER_BROKER].watch.fd, monitor_room, worker_client, -1,
			       .worker = worker->id, .address = view_string(arrival->address), .port = arrival->port,
			       .listener = arrival->listener, .proxied = arrival->proxied);
	if (result == 0)
		result = WIRE_SEND(worker->edge, monitor_room, client, arrival->client, .address = view_string(arrival->address),
				   .port = arrival->port, .listener = arrival->listener, .proxied = arrival->proxied);
	set_state(monitor, worker, WORKER_STRANGER);
	worker->begun_ms = clock_monotonic_ms();
	worker->deadline_ms = worker->begun_ms + monitor->conf.login_grace_ms + GRACE_EXTRA_MS;
	if (result < 0) {
		log_warning("a client cannot be handed to its worker (%s)", err_name(result));
		worker_kill(worker);
	}
}

/* A client that means it has its handshake behind it in far less than EVICT_AFTER_MS; one that holds a connection open
 * has not. How often is bounded too: a storm of new connections must not become a storm of forks. */
enum { EVICT_AFTER_MS = 500, EVICTIONS_AT_ONCE = 50, EVICTIONS_PER_SECOND = 100 };

bool workers_evict(struct monitor *monitor, uint64_t now_ms)
{
	struct worker *oldest = TAILQ_FIRST(&monitor->stranger_queue);
	if (!oldest || oldest->pidfd.fd < 0 || now_ms < oldest->begun_ms + EVICT_AFTER_MS ||
	    !sources_take(&monitor->evictions, EVICTIONS_AT_ONCE, EVICTIONS_PER_SECOND, now_ms))
		return false;
	worker_kill(oldest);
	/* It is no stranger any more, nor anything else, until its end is told. */
	set_state(monitor, oldest, WORKER_ACCEPTED);
	return true;
}

void workers_kill(struct monitor *monitor, enum workers_extent extent)
{
	struct worker *worker, *next;
	for (worker = LIST_FIRST(&monitor->workers); worker; worker = next) {
		next = LIST_NEXT(worker, all);
		/* The states are in the same order. */
		if ((unsigned)worker->state > (unsigned)extent)
			continue;
		worker_kill(worker);
		/* No spare any more; nothing else either, until its end is told. */
		if (worker->state == WORKER_SPARE && worker->pidfd.fd >= 0)
			set_state(monitor, worker, WORKER_ACCEPTED);
		/* One that the template has not told of has no pidfd; it ends when its edge does. */
		if (worker->pidfd.fd < 0)
			bury(monitor, worker);
	}
}

int workers_tick(struct monitor *monitor, uint64_t now_ms)
{
	struct worker *worker, *next;
	int wait = -1;
	if (monitor->strangers == 0)
		return wait;
	for (worker = LIST_FIRST(&monitor->workers); worker; worker = next) {
		next = LIST_NEXT(worker, all);
		if (worker->state != WORKER_STRANGER)
			continue;
		if (now_ms >= worker->deadline_ms) {
			worker_kill(worker);
			worker->deadline_ms = now_ms + GRACE_EXTRA_MS;
		}
		int left = (int)(worker->deadline_ms - now_ms);
		wait = wait < 0 || left < wait ? left : wait;
	}
	return wait;
}

/* keepers.c: the daemons of the house: signer, broker, the workers' template, courier.
 *
 * What dies is started again with a growing pause. The signer's death costs the spares (they hold edges to the
 * dead one), the broker's every worker: without a broker nobody could end their tunnels (fail closed). The courier's
 * costs nobody anything: what it had to do waits with the broker.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "files.h"
#include "monitor.h"
#include "sallyport/clock.h"
#include "sallyport/edge/monitor_room.h"
#include "sallyport/issuer.h"
#include "sallyport/log.h"
#include "sallyport/own.h"
#include "sallyport/wire.h"
#include "spawn.h"

enum { PAUSE_LEAST_MS = 100, PAUSE_MOST_MS = 5000, QUICK_DEATH_MS = 10000, STOP_SECONDS = 5 };

static const struct keeper_row {
	const char *program, *name;
	unsigned room;
	enum monitor_room_state state;
} rows[KEEPER_COUNT] = {
	[KEEPER_SIGNER] = {"sallyport-signer", "signer", CONF_SIGNER, MONITOR_ROOM_SIGNER},
	[KEEPER_BROKER] = {"sallyport-broker", "broker", CONF_BROKER, MONITOR_ROOM_BROKER},
	[KEEPER_TEMPLATE] = {"sallyport-worker", "worker template", CONF_WORKER, MONITOR_ROOM_TEMPLATE},
	[KEEPER_COURIER] = {"sallyport-courier", "courier", CONF_COURIER, MONITOR_ROOM_COURIER},
};

/* ---- what they say ---- */

struct speaker {
	struct monitor *monitor;
	struct keeper *keeper;
};

static int on_door_one(void *self, const struct monitor_room_door_one *message, int *fd)
{
	struct monitor *monitor = ((struct speaker *)self)->monitor;
	(void)fd;
	struct worker *worker = workers_find(monitor, message->worker);
	if (worker)
		worker_accepted(monitor, worker);
	return 0;
}

static int on_undecided(void *self, const struct monitor_room_undecided *message, int *fd)
{
	struct worker *worker = workers_find(((struct speaker *)self)->monitor, message->worker);
	(void)fd;
	if (worker)
		worker->undecided = true;
	return 0;
}

static int on_kill_worker(void *self, const struct monitor_room_kill_worker *message, int *fd)
{
	struct monitor *monitor = ((struct speaker *)self)->monitor;
	(void)fd;
	struct worker *worker = workers_find(monitor, message->worker);
	if (worker)
		worker_kill(worker);
	return 0;
}

static int on_conversation_wanted(void *self, const struct monitor_room_conversation_wanted *message, int *fd)
{
	(void)message, (void)fd;
	conversation_begin(((struct speaker *)self)->monitor);
	return 0;
}

static int on_reload_wanted(void *self, const struct monitor_room_reload_wanted *message, int *fd)
{
	(void)message, (void)fd;
	reload_ask(((struct speaker *)self)->monitor);
	return 0;
}

static int on_worker_forked(void *self, const struct monitor_room_worker_forked *message, int *fd)
{
	struct monitor *monitor = ((struct speaker *)self)->monitor;
	struct worker *worker = workers_find(monitor, message->worker);
	if (worker && worker->pidfd.fd < 0)
		worker_forked(monitor, worker, take_fd(fd));
	return 0;
}

static int on_reloaded(void *self, const struct monitor_room_reloaded *message, int *fd)
{
	struct speaker *speaker = self;
	char sentence[768];
	(void)fd;
	if (view_to_string(message->sentence, sentence, sizeof(sentence)) < 0)
		sentence[0] = 0;
	reload_answered(speaker->monitor, speaker->keeper->role, message->good, sentence);
	return 0;
}

static int on_login_refused(void *self, const struct monitor_room_login_refused *message, int *fd)
{
	(void)fd;
	source_desk_login_refused(((struct speaker *)self)->monitor, message->address);
	return 0;
}

static int on_client_behind(void *self, const struct monitor_room_client_behind *message, int *fd)
{
	struct speaker *speaker = self;
	struct worker *worker = workers_find(speaker->monitor, message->worker);
	(void)fd;
	/* It may have died meanwhile. */
	if (worker)
		accept_client_behind(speaker->monitor, worker, message->address);
	return 0;
}

static int on_sources_wanted(void *self, const struct monitor_room_sources_wanted *message, int *fd)
{
	struct speaker *speaker = self;
	(void)message, (void)fd;
	return source_desk_list(speaker->monitor, speaker->keeper->watch.fd);
}

static int on_sources_clear(void *self, const struct monitor_room_sources_clear *message, int *fd)
{
	struct speaker *speaker = self;
	(void)fd;
	return source_desk_clear(speaker->monitor, speaker->keeper->watch.fd, message->source);
}

static int on_list_wanted(void *self, const struct monitor_room_list_wanted *message, int *fd)
{
	struct speaker *speaker = self;
	(void)fd;
	return files_send_list(speaker->keeper->watch.fd, &speaker->monitor->conf, message->issuer);
}

static int on_keep(void *self, const struct monitor_room_keep *message, int *fd)
{
	return handover_keep(((struct speaker *)self)->monitor, message->kind, message->number, fd);
}

static int on_counts_wanted(void *self, const struct monitor_room_counts_wanted *message, int *fd)
{
	struct speaker *speaker = self;
	(void)message, (void)fd;
	return source_desk_count(speaker->monitor, speaker->keeper->watch.fd);
}

static int on_rooms_wanted(void *self, const struct monitor_room_rooms_wanted *message, int *fd)
{
	struct speaker *speaker = self;
	(void)message, (void)fd;
	return room_desk_list(speaker->monitor, speaker->keeper->watch.fd);
}

static int on_busy(void *self, const struct monitor_room_busy *message, int *fd)
{
	char sentence[128];
	(void)self, (void)fd;
	snprintf(sentence, sizeof(sentence), "%u sessions, %u tunnels%s", message->sessions, message->tunnels,
		 message->trouble ? "; the record cannot be written, nothing new is granted" : "");
	notify_status(sentence);
	return 0;
}

static const struct monitor_room_handlers handlers = {
	.busy = on_busy,
	.counts_wanted = on_counts_wanted,
	.rooms_wanted = on_rooms_wanted,
	.keep = on_keep,
	.door_one = on_door_one,
	.undecided = on_undecided,
	.client_behind = on_client_behind,
	.kill_worker = on_kill_worker,
	.conversation_wanted = on_conversation_wanted,
	.worker_forked = on_worker_forked,
	.reload_wanted = on_reload_wanted,
	.reloaded = on_reloaded,
	.login_refused = on_login_refused,
	.sources_wanted = on_sources_wanted,
	.sources_clear = on_sources_clear,
	.list_wanted = on_list_wanted,
};

void keeper_kill(struct keeper *keeper)
{
	if (keeper->pid > 0)
		kill(keeper->pid, SIGKILL);
}

static int take_message(struct monitor *monitor, struct keeper *keeper, struct diag *diag)
{
	struct speaker speaker = {.monitor = monitor, .keeper = keeper};
	struct edge_frame frame;
	int result = wire_receive(keeper->watch.fd, monitor->space, sizeof(monitor->space), &frame);
	if (result < 0)
		return diag_set(diag, result, "its edge has ended");
	return monitor_room_dispatch(&handlers, &speaker, EDGE_FROM_SECOND, rows[keeper->role].state, &frame, diag);
}

static void on_edge(struct watch *watch, void *self)
{
	struct monitor *monitor = self;
	struct speaker speaker = {.monitor = monitor, .keeper = watch->owner};
	struct diag diag;
	if (take_message(monitor, speaker.keeper, &diag) == 0)
		return;
	/* It leaves in good order: SIGCHLD tells when it has. */
	if (speaker.keeper->role == KEEPER_BROKER && monitor->handing_over && handover_is_whole(monitor)) {
		loop_forget(&monitor->loop, watch);
		return;
	}
	/* A room without its edge is of no use; SIGCHLD brings the rest. */
	log_warning("%s: %s", rows[speaker.keeper->role].name, diag.text);
	loop_forget(&monitor->loop, watch);
	keeper_kill(speaker.keeper);
}

/* ---- starting ---- */

/* The broker's partners, and what their edges are called on its side. */
static const struct partner {
	enum keeper_role role;
	const char *purpose;
} partners[] = {{KEEPER_SIGNER, MONITOR_ROOM_PURPOSE_SIGNER_EDGE}, {KEEPER_COURIER, MONITOR_ROOM_PURPOSE_COURIER_EDGE}};

/* The edge between the broker and a partner: made when the second of them starts, and anew when one was. */
static int wire_to_broker(int broker, const struct partner *partner, int edge, struct diag *diag)
{
	const char *name = rows[partner->role].name;
	int ends[2];
	if (wire_pair(ends) < 0)
		return diag_system(diag, "cannot make the edge between broker and %s", name);
	OWN_FD int broker_end = ends[0], partner_end = ends[1];
	int result = WIRE_SEND(broker, monitor_room, descriptor, broker_end, .purpose = view_string(partner->purpose),
			       .name = view_string(name));
	if (result == 0)
		result = WIRE_SEND(edge, monitor_room, descriptor, partner_end,
				   .purpose = view_string(MONITOR_ROOM_PURPOSE_BROKER_EDGE), .name = view_string("broker"));
	return result < 0 ? diag_set(diag, result, "broker and %s cannot be joined (%s)", name, err_name(result)) : 0;
}

/* With whoever of the other side runs already. */
static int wire_together(struct monitor *monitor, enum keeper_role role, int edge, struct diag *diag)
{
	const struct keeper *broker = &monitor->keepers[KEEPER_BROKER];
	int result = 0;
	for (size_t i = 0; result == 0 && i < sizeof(partners) / sizeof(partners[0]); i++) {
		const struct keeper *partner = &monitor->keepers[partners[i].role];
		if (role == KEEPER_BROKER && partner->pid)
			result = wire_to_broker(edge, &partners[i], partner->watch.fd, diag);
		else if (role == partners[i].role && broker->pid)
			result = wire_to_broker(broker->watch.fd, &partners[i], edge, diag);
	}
	return result;
}

static int send_listeners(struct monitor *monitor, int edge, struct diag *diag)
{
	int result = WIRE_SEND(edge, monitor_room, descriptor, monitor->admin_listener,
			       .purpose = view_string(MONITOR_ROOM_PURPOSE_ADMIN_LISTENER),
			       .name = view_string(monitor->conf.admin_socket));
	if (result == 0)
		result = WIRE_SEND(edge, monitor_room, descriptor, monitor->factor_listener,
				   .purpose = view_string(MONITOR_ROOM_PURPOSE_FACTOR_LISTENER),
				   .name = view_string(monitor->conf.factor_socket));
	if (result == 0 && monitor->metrics_listener >= 0)
		result = WIRE_SEND(edge, monitor_room, descriptor, monitor->metrics_listener,
				   .purpose = view_string(MONITOR_ROOM_PURPOSE_METRICS_LISTENER),
				   .name = view_string(monitor->conf.metrics_listen));
	return result < 0 ? diag_set(diag, result, "the broker's sockets cannot be handed over (%s)", err_name(result)) : 0;
}

static int introduce(struct monitor *monitor, enum keeper_role role, int edge, struct diag *diag)
{
	int result = spawn_send_settings(edge, rows[role].room, &monitor->conf, diag);
	if (result == 0)
		result = files_send(edge, rows[role].room, &monitor->conf, diag);
	if (result == 0 && role == KEEPER_BROKER)
		result = send_listeners(monitor, edge, diag);
	if (result == 0 && role == KEEPER_BROKER)
		result = heritage_send(monitor, edge, diag);
	if (result == 0)
		result = wire_together(monitor, role, edge, diag);
	if (result < 0)
		return result;
	result = WIRE_SEND(edge, monitor_room, begin, -1);
	return result < 0 ? diag_set(diag, result, "%s does not listen (%s)", rows[role].name, err_name(result)) : 0;
}

static int bring_up(struct monitor *monitor, enum keeper_role role, int edge, char *out_missing, struct diag *diag)
{
	char missing[513] = "";
	int result = introduce(monitor, role, edge, diag);
	/* A room that failed while it was being told has said why. */
	int outcome = spawn_wait_ready(edge, rows[role].program, missing, diag);
	if (result < 0 || outcome < 0)
		return result < 0 ? result : outcome;
	size_t used = out_missing ? strlen(out_missing) : 0;
	if (out_missing && *missing)
		snprintf(out_missing + used, 1536 - used, "%s%s: %s", used ? "; " : "", rows[role].name, missing);
	return 0;
}

int keeper_start(struct monitor *monitor, enum keeper_role role, char *out_missing, struct diag *diag)
{
	struct keeper *keeper = &monitor->keepers[role];
	pid_t pid = 0;
	int edge = -1;
	int result = spawn_room(rows[role].program, NULL, &pid, &edge, diag);
	if (result < 0)
		return result;
	result = bring_up(monitor, role, edge, out_missing, diag);
	if (result < 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		close(edge);
		return result;
	}
	keeper->pid = pid;
	keeper->started_ms = clock_monotonic_ms();
	keeper->watch = (struct watch){.fd = edge, .on_readable = on_edge, .owner = keeper};
	monitor_watch_or_die(monitor, &keeper->watch);
	return 0;
}

bool keepers_want_courier(const struct conf *conf)
{
	struct issuer issuer;
	size_t position = 0;
	while (issuer_next(conf->authority, &position, &issuer))
		if (issuer_is_remote(&issuer) || issuer_wants_ocsp(&issuer))
			return true;
	return *conf->alert;
}

const char *keeper_name(enum keeper_role role)
{
	return rows[role].name;
}

bool keeper_is_wanted(const struct monitor *monitor, enum keeper_role role)
{
	return role != KEEPER_COURIER || keepers_want_courier(&monitor->conf);
}

int keepers_start_all(struct monitor *monitor, char *out_missing, struct diag *diag)
{
	int result = 0;
	for (int role = 0; result == 0 && role < KEEPER_COUNT; role++)
		if (keeper_is_wanted(monitor, (enum keeper_role)role))
			result = keeper_start(monitor, (enum keeper_role)role, out_missing, diag);
	return result;
}

bool keepers_all_run(const struct monitor *monitor)
{
	for (int role = 0; role < KEEPER_COUNT; role++)
		if (!monitor->keepers[role].pid && role != KEEPER_COURIER)
			return false;
	return true;
}

/* ---- dying and starting again ---- */

static void plan_restart(struct keeper *keeper, uint64_t now_ms)
{
	bool quick = now_ms - keeper->started_ms < QUICK_DEATH_MS;
	uint64_t doubled = keeper->pause_ms ? keeper->pause_ms * 2 : PAUSE_LEAST_MS;
	keeper->pause_ms = quick ? (doubled < PAUSE_MOST_MS ? doubled : PAUSE_MOST_MS) : PAUSE_LEAST_MS;
	keeper->start_at_ms = now_ms + keeper->pause_ms;
}

static void lose(struct monitor *monitor, struct keeper *keeper)
{
	loop_forget(&monitor->loop, &keeper->watch);
	close(keeper->watch.fd);
	keeper->watch.fd = -1;
	keeper->pid = 0;
	/* Forked workers need no template; before door one they need the signer; all need the broker. */
	static const enum workers_extent extents[] = {
		[KEEPER_SIGNER] = WORKERS_WITHOUT_DEVICE, [KEEPER_BROKER] = WORKERS_ALL, [KEEPER_TEMPLATE] = WORKERS_SPARE};
	/* A broker that has handed over has left the tunnels to the next one. */
	bool is_left = keeper->role == KEEPER_BROKER && monitor->handing_over && handover_is_whole(monitor);
	if (keeper->role != KEEPER_COURIER && !is_left)
		workers_kill(monitor, extents[keeper->role]);
	if (monitor->reloading == keeper->role)
		reload_answered(monitor, keeper->role, false, "it died");
}

bool keepers_reaped(struct monitor *monitor, pid_t pid, int status)
{
	for (int role = 0; role < KEEPER_COUNT; role++) {
		struct keeper *keeper = &monitor->keepers[role];
		if (keeper->pid != pid)
			continue;
		/* Its last words may still lie in its edge. */
		struct diag diag;
		while (monitor->handing_over && take_message(monitor, keeper, &diag) == 0)
			;
		if (!monitor->loop.stopping && !monitor->handing_over)
			log_error("the %s ended (%s %d) and is started again", rows[role].name,
				  WIFSIGNALED(status) ? "signal" : "status",
				  WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
		snprintf(keeper->cause, sizeof(keeper->cause), "%s %d", WIFSIGNALED(status) ? "signal" : "status",
			 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
		lose(monitor, keeper);
		plan_restart(keeper, clock_monotonic_ms());
		monitor->loop.stopping |= monitor->handing_over && role == KEEPER_BROKER;
		return true;
	}
	return false;
}

/* For the record. Who died together with the broker is told of when there is one again. */
static void tell_of_restarts(struct monitor *monitor)
{
	const struct keeper *broker = &monitor->keepers[KEEPER_BROKER];
	for (int role = 0; broker->pid && role < KEEPER_COUNT; role++) {
		struct keeper *keeper = &monitor->keepers[role];
		if (!keeper->pid || !*keeper->cause)
			continue;
		(void)!WIRE_SEND(broker->watch.fd, monitor_room, room_restarted, -1, .room = view_string(rows[role].name),
				 .cause = view_string(keeper->cause));
		keeper->cause[0] = 0;
	}
}

static void restart(struct monitor *monitor, struct keeper *keeper, uint64_t now_ms)
{
	struct diag diag;
	if (keeper_start(monitor, keeper->role, NULL, &diag) < 0) {
		log_error("the %s cannot be started: %s", rows[keeper->role].name, diag.text);
		keeper->started_ms = now_ms;
		plan_restart(keeper, now_ms);
		return;
	}
	keeper->restarts++;
	log_notice("the %s runs again", rows[keeper->role].name);
	tell_of_restarts(monitor);
}

int keeper_replace(struct monitor *monitor, enum keeper_role role, struct diag *diag)
{
	struct keeper *keeper = &monitor->keepers[role];
	uint64_t now_ms = clock_monotonic_ms();
	if (keeper->pid) {
		kill(keeper->pid, SIGKILL);
		waitpid(keeper->pid, NULL, 0);
		lose(monitor, keeper);
	}
	keeper->pause_ms = 0;
	int result = keeper_start(monitor, role, NULL, diag);
	if (result < 0)
		plan_restart(keeper, now_ms);
	return result;
}

/* It holds nothing that is worth keeping: a new one is simpler than one that changes its settings. */
void keepers_renew_courier(struct monitor *monitor)
{
	struct keeper *keeper = &monitor->keepers[KEEPER_COURIER];
	struct diag diag;
	if (keeper->pid) {
		kill(keeper->pid, SIGKILL);
		waitpid(keeper->pid, NULL, 0);
		lose(monitor, keeper);
	}
	if (keeper_is_wanted(monitor, KEEPER_COURIER) && keeper_replace(monitor, KEEPER_COURIER, &diag) < 0)
		log_error("reload: the courier cannot be started: %s", diag.text);
}

int keepers_tick(struct monitor *monitor, uint64_t now_ms)
{
	int wait = -1;
	for (int role = 0; role < KEEPER_COUNT && !monitor->handing_over; role++) {
		struct keeper *keeper = &monitor->keepers[role];
		if (!keeper_is_wanted(monitor, (enum keeper_role)role))
			continue;
		if (keeper->pid == 0 && now_ms >= keeper->start_at_ms)
			restart(monitor, keeper, now_ms);
		if (keeper->pid == 0) {
			int left = (int)(keeper->start_at_ms > now_ms ? keeper->start_at_ms - now_ms : 1);
			wait = wait < 0 || left < wait ? left : wait;
		}
	}
	return wait;
}

/* ---- stopping ---- */

static void stop_one(struct keeper *keeper)
{
	if (keeper->pid == 0)
		return;
	(void)!WIRE_SEND(keeper->watch.fd, monitor_room, stop, -1);
	for (int hundredths = 0; hundredths < STOP_SECONDS * 100; hundredths++) {
		if (waitpid(keeper->pid, NULL, WNOHANG) != 0) {
			keeper->pid = 0;
			return;
		}
		usleep(10000);
	}
	keeper_kill(keeper);
	waitpid(keeper->pid, NULL, 0);
	keeper->pid = 0;
}

/* The broker first: it closes the record while it can still tell why. */
void keepers_stop_all(struct monitor *monitor)
{
	stop_one(&monitor->keepers[KEEPER_BROKER]);
	if (!monitor->handing_over)
		workers_kill(monitor, WORKERS_ALL);
	stop_one(&monitor->keepers[KEEPER_SIGNER]);
	stop_one(&monitor->keepers[KEEPER_TEMPLATE]);
	stop_one(&monitor->keepers[KEEPER_COURIER]);
}

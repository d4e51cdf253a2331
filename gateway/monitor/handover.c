/* handover.c: the monitor goes, and its workers stay.
 *
 *     signal -> hand_over to the broker -> `keep`s, the broker ends -> the other rooms end -> what lives is packed ->
 *     the descriptor store and the end, or execve(2)
 *
 * What is not kept is killed here: spares, strangers, workers that the broker did not name. A stop (SIGTERM) never comes by.
 */
#include "handover.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conf_file.h"
#include "monitor.h"
#include "sallyport/clock.h"
#include "sallyport/edge/handover.h"
#include "sallyport/edge/monitor_room.h"
#include "sallyport/fd.h"
#include "sallyport/log.h"
#include "sallyport/own.h"
#include "sallyport/wire.h"

/* The broker may wait for workers that are just being ended (end_grace), and for the disk. */
enum { BROKER_LEAVES_MS = 8000 };
/* Where a program finds the descriptors that it was started with (sd_listen_fds(3)). */
enum { FIRST_FD = 3, ABOVE_ALL_FD = 64 };

/* ---- the beginning ---- */

/* A port below 1024 takes a power that was given up. */
static bool listens_there(const struct monitor *monitor)
{
	struct conf next;
	struct diag diag;
	if (conf_file_load(monitor->conf_path, &next, &diag) < 0)
		return false;
	bool same = strcmp(next.listen, monitor->conf.listen) == 0 && strcmp(next.enroll_listen, monitor->conf.enroll_listen) == 0;
	conf_fini(&next);
	return same;
}

/* By the program that is installed now, before anything of this one is given up. */
static bool successor_is_good(const struct monitor *monitor)
{
	int status = 0;
	pid_t pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
		sigset_t none;
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		if (null >= 0)
			dup2(null, STDOUT_FILENO);
		execl(monitor->program, monitor->program, "-f", monitor->conf_path, "-T", (char *)NULL);
		_exit(127);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void handover_begin(struct monitor *monitor, enum handover_way way)
{
	const struct keeper *broker = &monitor->keepers[KEEPER_BROKER];
	if (monitor->handing_over != HANDOVER_NONE || monitor->loop.stopping)
		return;
	if (way == HANDOVER_STORE && !notify_can_store()) {
		log_error("nobody keeps descriptors here (sd_notify(3)); SIGUSR2 restarts in place. Live tunnels stay");
		return;
	}
	if (way == HANDOVER_EXEC && !successor_is_good(monitor)) {
		log_error("%s -T fails; this version stays", monitor->program);
		return;
	}
	if (way == HANDOVER_EXEC && !listens_there(monitor)) {
		log_error("a listener has changed: that takes a start from the outside; this version stays");
		return;
	}
	/* From here on a copy of each live tunnel's socket comes here; the successor keeps the limit. */
	fd_raise_limit();
	log_notice("restarting; live tunnels go on");
	monitor->handing_over = way;
	monitor->handover_until_ms = clock_monotonic_ms() + BROKER_LEAVES_MS;
	if (!broker->pid || WIRE_SEND(broker->watch.fd, monitor_room, hand_over, -1) < 0)
		monitor->loop.stopping = true;
}

int handover_keep(struct monitor *monitor, uint8_t kind, uint64_t number, int *fd)
{
	bool is_broker_s = kind >= HANDOVER_EDGE && kind <= HANDOVER_PAM_SESSION;
	if (monitor->handing_over == HANDOVER_NONE || !is_broker_s)
		return ERR_BAD_PEER;
	struct kept *kept = calloc(1, sizeof(*kept));
	if (!kept)
		return ERR_SYSTEM;
	*kept = (struct kept){.kind = kind, .number = number, .fd = take_fd(fd)};
	TAILQ_INSERT_TAIL(&monitor->kept, kept, all);
	struct worker *worker = kind == HANDOVER_EDGE ? workers_find(monitor, number) : NULL;
	if (worker)
		worker->kept = true;
	return 0;
}

bool handover_is_whole(const struct monitor *monitor)
{
	const struct kept *last = TAILQ_LAST(&monitor->kept, kept_list);
	return last && last->kind == HANDOVER_STATE;
}

int handover_tick(struct monitor *monitor, uint64_t now_ms)
{
	if (monitor->handing_over == HANDOVER_NONE)
		return -1;
	if (now_ms >= monitor->handover_until_ms) {
		log_error("the broker does not hand over");
		keeper_kill(&monitor->keepers[KEEPER_BROKER]);
		monitor->handover_until_ms = now_ms + BROKER_LEAVES_MS;
	}
	return (int)(monitor->handover_until_ms - now_ms);
}

/* ---- packing ---- */

struct parcel {
	int *ends; /* the reading ends, full ones first */
	unsigned count;
	int writer; /* of the last */
};

static int open_next(struct parcel *parcel)
{
	int ends[2];
	int *grown = reallocarray(parcel->ends, parcel->count + 1, sizeof(*grown));
	if (!grown)
		return ERR_SYSTEM;
	parcel->ends = grown;
	if (wire_pair(ends) < 0)
		return ERR_SYSTEM;
	if (parcel->writer >= 0)
		close(parcel->writer);
	parcel->ends[parcel->count++] = ends[0];
	parcel->writer = ends[1];
	int result = fd_set_nonblocking(parcel->writer);
	return result < 0 ? result : WIRE_SEND(parcel->writer, handover, begin, -1, .protocol = handover_protocol());
}

static int pack(struct parcel *parcel, uint8_t kind, uint64_t number, int fd)
{
	int result = ERR_AGAIN;
	/* Full, or there is none yet. */
	while (result == ERR_AGAIN) {
		if (parcel->count)
			result = WIRE_SEND(parcel->writer, handover, keep, fd, .kind = kind, .number = number);
		if (result == ERR_AGAIN && open_next(parcel) < 0)
			return ERR_SYSTEM;
	}
	return result;
}

static int pack_all(struct monitor *monitor, struct parcel *parcel)
{
	const struct conversation *conversation;
	const struct worker *worker;
	const struct kept *kept;
	int result = 0;
	LIST_FOREACH(worker, &monitor->workers, all) {
		if (result == 0)
			result = pack(parcel, HANDOVER_PROCESS, worker->id, worker->pidfd.fd);
		if (result == 0)
			result = pack(parcel, HANDOVER_WORKER, worker->id, worker->edge);
	}
	LIST_FOREACH(conversation, &monitor->conversations, all) {
		if (result == 0)
			result = pack(parcel, HANDOVER_CONVERSATION, conversation->id, conversation->edge);
		if (result == 0)
			result = pack(parcel, HANDOVER_CONVERSATION_PROCESS, conversation->id, conversation->process.fd);
	}
	TAILQ_FOREACH(kept, &monitor->kept, all)
		if (result == 0)
			result = pack(parcel, kept->kind, kept->number, kept->fd);
	if (parcel->writer >= 0)
		close(parcel->writer);
	return result;
}

/* ---- across execve ---- */

static void name_descriptors(const struct monitor *monitor, const struct parcel *parcel)
{
	OWN_BUF struct buf names = BUF_INIT(1 << 16);
	char number[16];
	for (unsigned i = 0; i < monitor->listener_count; i++)
		(void)!buf_add_format(&names, "%s:", HANDOVER_LISTENER);
	for (unsigned i = 0; i < parcel->count; i++)
		(void)!buf_add_format(&names, "%s:", HANDOVER_HERITAGE);
	/* The last colon becomes the end. */
	if (names.size)
		names.data[names.size - 1] = 0;
	setenv("LISTEN_FDNAMES", names.size ? (const char *)names.data : "", 1);
	snprintf(number, sizeof(number), "%u", monitor->listener_count + parcel->count);
	setenv("LISTEN_FDS", number, 1);
	snprintf(number, sizeof(number), "%d", (int)getpid());
	setenv("LISTEN_PID", number, 1);
}

/* First out of the way of the places, then into them. dup2 leaves close-on-exec off. */
static bool place(const struct monitor *monitor, const struct parcel *parcel)
{
	unsigned count = monitor->listener_count + parcel->count;
	OWN_MEMORY int *fds = calloc(count + 1, sizeof(*fds));
	bool good = fds != NULL;
	for (unsigned i = 0; good && i < count; i++) {
		int fd = i < monitor->listener_count ? monitor->listeners[i].fd : parcel->ends[i - monitor->listener_count];
		fds[i] = fcntl(fd, F_DUPFD_CLOEXEC, (int)count + ABOVE_ALL_FD);
		good = fds[i] >= 0;
	}
	for (unsigned i = 0; good && i < count; i++)
		good = dup2(fds[i], FIRST_FD + (int)i) >= 0;
	return good;
}

static void become_successor(struct monitor *monitor, const struct parcel *parcel, char **arguments)
{
	if (place(monitor, parcel)) {
		name_descriptors(monitor, parcel);
		execv(monitor->program, arguments);
	}
	log_error("%s cannot be run: %s", monitor->program, strerror(errno));
	workers_kill(monitor, WORKERS_ALL);
	exit(EXIT_FAILURE);
}

/* ---- into systemd's store ---- */

static void leave_to_manager(struct monitor *monitor, const struct parcel *parcel)
{
	bool good = true;
	for (unsigned i = 0; i < parcel->count; i++)
		good = notify_store(HANDOVER_HERITAGE, parcel->ends[i]) && good;
	for (unsigned i = 0; i < monitor->listener_count; i++)
		(void)!notify_store(HANDOVER_LISTENER, monitor->listeners[i].fd);
	if (good && notify_settle())
		return;
	log_error("systemd does not take the descriptors of live tunnels; they end");
	workers_kill(monitor, WORKERS_ALL);
}

/* ---- the end ---- */

static void kill_who_stays_behind(struct monitor *monitor)
{
	struct worker *worker, *next;
	bool whole = handover_is_whole(monitor);
	for (worker = LIST_FIRST(&monitor->workers); worker; worker = next) {
		next = LIST_NEXT(worker, all);
		if (!whole || !worker->kept || worker->pidfd.fd < 0)
			worker_drop(monitor, worker);
	}
}

void handover_finish(struct monitor *monitor, char **arguments)
{
	struct parcel parcel = {.writer = -1};
	kill_who_stays_behind(monitor);
	if (pack_all(monitor, &parcel) < 0) {
		log_error("live tunnels cannot be handed over: %s", strerror(errno));
		workers_kill(monitor, WORKERS_ALL);
	}
	if (monitor->handing_over == HANDOVER_EXEC)
		become_successor(monitor, &parcel, arguments);
	leave_to_manager(monitor, &parcel);
}

/* heritage.c: the monitor comes, and takes what its predecessor has left (handover.c).
 *
 * It was started with these descriptors, by whoever starts a daemon as root; all the same each is looked at before it is
 * used. A worker counts only with its process, its edge and its edge to the broker; whatever is incomplete is killed.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "handover.h"
#include "monitor.h"
#include "sallyport/edge/handover.h"
#include "sallyport/edge/monitor_room.h"
#include "sallyport/fd.h"
#include "sallyport/log.h"
#include "sallyport/own.h"
#include "sallyport/wire.h"

enum { FIRST_FD = 3, FDS_MAX = 65536 };

struct unpacking {
	struct monitor *monitor;
	bool is_stranger; /* it speaks another protocol */
};

/* ---- looking at descriptors ---- */

static int socket_number(int fd, int option)
{
	int number = -1;
	socklen_t size = sizeof(number);
	return getsockopt(fd, SOL_SOCKET, option, &number, &size) < 0 ? -1 : number;
}

static bool is_edge(int fd)
{
	return socket_number(fd, SO_DOMAIN) == AF_UNIX && socket_number(fd, SO_TYPE) == SOCK_SEQPACKET;
}

static bool is_listener(int fd)
{
	return socket_number(fd, SO_ACCEPTCONN) == 1 && socket_number(fd, SO_TYPE) == SOCK_STREAM;
}

static bool is_process(int fd)
{
	char path[64], target[64] = "";
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return readlink(path, target, sizeof(target) - 1) > 0 && strstr(target, "pidfd");
}

/* ---- unpacking ---- */

static struct worker *find_or_make(struct monitor *monitor, uint64_t id)
{
	struct worker *worker = workers_find(monitor, id);
	return worker ? worker : worker_inherit(monitor, id);
}

static int take_worker(struct monitor *monitor, uint8_t kind, uint64_t number, int *fd)
{
	struct worker *worker = find_or_make(monitor, number);
	int *place = worker ? kind == HANDOVER_PROCESS ? &worker->pidfd.fd : &worker->edge : NULL;
	if (!place || *place >= 0 || !(kind == HANDOVER_PROCESS ? is_process(*fd) : is_edge(*fd)))
		return ERR_BAD_PEER;
	*place = take_fd(fd);
	return 0;
}

static int on_begin(void *self, const struct handover_begin *message, int *fd)
{
	struct unpacking *unpacking = self;
	(void)fd;
	unpacking->is_stranger |= message->protocol != handover_protocol();
	return 0;
}

static int on_keep(void *self, const struct handover_keep *message, int *fd)
{
	struct monitor *monitor = ((struct unpacking *)self)->monitor;
	if (message->kind == HANDOVER_PROCESS || message->kind == HANDOVER_WORKER)
		return take_worker(monitor, message->kind, message->number, fd);
	if (message->kind == HANDOVER_CONVERSATION || message->kind == HANDOVER_CONVERSATION_PROCESS)
		return (message->kind == HANDOVER_CONVERSATION ? is_edge(*fd) : is_process(*fd))
			       ? conversation_inherit(monitor, message->kind, message->number, fd) : ERR_BAD_PEER;
	if (message->kind == HANDOVER_EDGE) {
		struct worker *worker = is_edge(*fd) ? find_or_make(monitor, message->number) : NULL;
		if (!worker)
			return ERR_BAD_PEER;
		worker->kept = true;
	}
	struct kept *kept = message->kind <= HANDOVER_PAM_SESSION ? calloc(1, sizeof(*kept)) : NULL;
	if (!kept)
		return ERR_BAD_PEER;
	*kept = (struct kept){.kind = message->kind, .number = message->number, .fd = take_fd(fd)};
	TAILQ_INSERT_TAIL(&monitor->kept, kept, all);
	return 0;
}

static const struct handover_handlers handlers = {.begin = on_begin, .keep = on_keep};

static int unpack(struct unpacking *unpacking, int parcel)
{
	struct monitor *monitor = unpacking->monitor;
	struct edge_frame frame;
	struct diag diag;
	int result = is_edge(parcel) ? fd_set_nonblocking(parcel) : ERR_BAD_PEER;
	while (result == 0) {
		result = wire_receive(parcel, monitor->space, sizeof(monitor->space), &frame);
		if (result == 0)
			result = handover_dispatch(&handlers, unpacking, EDGE_FROM_FIRST, EDGE_ANY, &frame, &diag);
	}
	/* All that was packed lies there, and nobody adds to it. */
	return result == ERR_CLOSED || result == ERR_AGAIN ? 0 : result;
}

static void drop_incomplete(struct unpacking *unpacking, bool damaged)
{
	struct monitor *monitor = unpacking->monitor;
	struct worker *worker, *next;
	if (unpacking->is_stranger || damaged)
		log_error("live connections of the version before cannot be taken over (%s): they are closed",
			  damaged ? "damaged" : "another protocol");
	for (worker = LIST_FIRST(&monitor->workers); worker; worker = next) {
		next = LIST_NEXT(worker, all);
		if (unpacking->is_stranger || damaged || worker->pidfd.fd < 0 || worker->edge < 0 || !worker->kept)
			worker_drop(monitor, worker);
		else
			worker_forked(monitor, worker, worker->pidfd.fd);
	}
	if (unpacking->is_stranger || damaged)
		heritage_forget(monitor);
	conversations_settle(monitor);
}

/* ---- the start ---- */

static unsigned count_descriptors(void)
{
	const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
	if (!pid || !count || strtol(pid, NULL, 10) != getpid())
		return 0;
	unsigned long number = strtoul(count, NULL, 10);
	return number <= FDS_MAX ? (unsigned)number : 0;
}

/* By what they are, not by what they are called: a socket that listens may come from a socket unit, too. */
static bool take_one(struct unpacking *unpacking, int fd)
{
	struct monitor *monitor = unpacking->monitor;
	bool good = fd_set_cloexec(fd, 1) == 0;
	if (good && is_listener(fd) && monitor->inherited_count < MONITOR_LISTENERS_MAX) {
		monitor->inherited[monitor->inherited_count++] = fd;
		return true;
	}
	good = good && unpack(unpacking, fd) == 0;
	close(fd);
	return good;
}

void heritage_take(struct monitor *monitor)
{
	struct unpacking unpacking = {.monitor = monitor};
	unsigned count = count_descriptors();
	bool damaged = false;
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	for (unsigned i = 0; i < count; i++)
		damaged |= !take_one(&unpacking, FIRST_FD + (int)i);
	/* systemd keeps copies until it is told; with them no edge would ever end. */
	if (count)
		notify_forget();
	drop_incomplete(&unpacking, damaged);
	if (monitor->worker_count)
		log_notice("%u live connections of the gateway before wait", monitor->worker_count);
}

/* ---- listeners ---- */

static bool is_at(int fd, const struct sockaddr_storage *wanted)
{
	struct sockaddr_storage found = {0};
	socklen_t size = sizeof(found);
	if (getsockname(fd, (struct sockaddr *)&found, &size) < 0 || found.ss_family != wanted->ss_family)
		return false;
	if (found.ss_family == AF_INET6) {
		const struct sockaddr_in6 *one = (const struct sockaddr_in6 *)&found, *other = (const struct sockaddr_in6 *)wanted;
		return one->sin6_port == other->sin6_port && IN6_ARE_ADDR_EQUAL(&one->sin6_addr, &other->sin6_addr);
	}
	const struct sockaddr_in *one = (const struct sockaddr_in *)&found, *other = (const struct sockaddr_in *)wanted;
	return found.ss_family == AF_INET && one->sin_port == other->sin_port && one->sin_addr.s_addr == other->sin_addr.s_addr;
}

int heritage_listener(struct monitor *monitor, const struct sockaddr_storage *address)
{
	for (unsigned i = 0; i < monitor->inherited_count; i++)
		if (monitor->inherited[i] >= 0 && is_at(monitor->inherited[i], address))
			return take_fd(&monitor->inherited[i]);
	return -1;
}

void heritage_close_listeners(struct monitor *monitor)
{
	for (unsigned i = 0; i < monitor->inherited_count; i++)
		if (monitor->inherited[i] >= 0)
			close(monitor->inherited[i]);
	monitor->inherited_count = 0;
}

/* ---- the broker's part ---- */

void heritage_forget(struct monitor *monitor)
{
	struct kept *kept;
	while ((kept = TAILQ_FIRST(&monitor->kept))) {
		TAILQ_REMOVE(&monitor->kept, kept, all);
		close(kept->fd);
		free(kept);
	}
}

int heritage_send(struct monitor *monitor, int edge, struct diag *diag)
{
	static const char *const purposes[] = {[HANDOVER_EDGE] = MONITOR_ROOM_PURPOSE_KEPT_EDGE,
					       [HANDOVER_TARGET] = MONITOR_ROOM_PURPOSE_KEPT_TARGET,
					       [HANDOVER_STATE] = MONITOR_ROOM_PURPOSE_KEPT_STATE,
					       [HANDOVER_PAM_SESSION] = MONITOR_ROOM_PURPOSE_KEPT_PAM_SESSION};
	const struct kept *kept;
	int result = 0;
	TAILQ_FOREACH(kept, &monitor->kept, all) {
		char name[24];
		snprintf(name, sizeof(name), "%llu", (unsigned long long)kept->number);
		if (result == 0)
			result = WIRE_SEND(edge, monitor_room, descriptor, kept->fd, .purpose = view_string(purposes[kept->kind]),
					   .name = view_string(name));
	}
	/* No copy stays here: a worker must notice when its broker dies. */
	heritage_forget(monitor);
	return result < 0 ? diag_set(diag, result, "live connections cannot be handed to the broker (%s)", err_name(result)) : 0;
}

/* walls.c: what the courier may do once its door is locked: look up names, connect, send, read the trust list.
 *
 * It is the only room that talks outward of its own accord, and reads answers of strangers: so it sees no file but those
 * that name services and TLS need, listens nowhere, runs nothing, and what it reads goes to the broker as bytes in
 * sealed memory. libcurl looks names up in threads.
 */
#include "walls.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define SOCKET_TYPE 0xf /* without SOCK_CLOEXEC and SOCK_NONBLOCK */

static const struct filter_row outward[] = {
	FILTER_CALL(socket, FILTER_IS(0, AF_INET), FILTER_MASKED(1, SOCKET_TYPE, SOCK_STREAM)),
	FILTER_CALL(socket, FILTER_IS(0, AF_INET), FILTER_MASKED(1, SOCKET_TYPE, SOCK_DGRAM)),
	FILTER_CALL(socket, FILTER_IS(0, AF_INET6), FILTER_MASKED(1, SOCKET_TYPE, SOCK_STREAM)),
	FILTER_CALL(socket, FILTER_IS(0, AF_INET6), FILTER_MASKED(1, SOCKET_TYPE, SOCK_DGRAM)),
	/* syslog and the journal */
	FILTER_CALL(socket, FILTER_IS(0, AF_UNIX), FILTER_MASKED(1, SOCKET_TYPE, SOCK_STREAM)),
	FILTER_CALL(socket, FILTER_IS(0, AF_UNIX), FILTER_MASKED(1, SOCKET_TYPE, SOCK_DGRAM)),
	FILTER_CALL(connect),
	FILTER_CALL(sendto),
	FILTER_CALL(sendmmsg),
	FILTER_CALL(recvmmsg),
	FILTER_CALL(getsockname),
	FILTER_CALL(getpeername),
	FILTER_CALL(getsockopt),
	FILTER_CALL(setsockopt),
	FILTER_CALL(ioctl, FILTER_IS(1, FIONREAD)),
	FILTER_CALL(ioctl, FILTER_IS(1, FIONBIO)),
	FILTER_END,
};

/* libcurl's threads and how they are woken; name services. */
static const struct filter_row threads[] = {
	FILTER_CALL(clone, FILTER_MASKED(0, CLONE_THREAD | CLONE_VM, CLONE_THREAD | CLONE_VM)),
	FILTER_CALL(set_robust_list),
	FILTER_CALL(rseq),
	FILTER_CALL(socketpair),
	FILTER_CALL(pipe2),
	FILTER_CALL(eventfd2),
	FILTER_CALL(sched_yield),
	FILTER_CALL(sched_getaffinity),
	FILTER_CALL(sigaltstack),
	FILTER_CALL(open),
	FILTER_CALL(openat),
	FILTER_CALL(stat),
	FILTER_CALL(lstat),
	FILTER_CALL(newfstatat),
	FILTER_CALL(statx),
	FILTER_CALL(access),
	FILTER_CALL(pread64),
	FILTER_CALL(getuid),
	FILTER_CALL(geteuid),
	FILTER_CALL(getgid),
	FILTER_CALL(getegid),
	FILTER_CALL(uname),
	FILTER_CALL(clock_nanosleep),
	FILTER_CALL(nanosleep),
	/* what was fetched */
	FILTER_CALL(memfd_create),
	FILTER_CALL(ftruncate),
	FILTER_CALL(fcntl, FILTER_IS(1, F_ADD_SEALS)),
	FILTER_CALL(fcntl, FILTER_IS(1, F_DUPFD_CLOEXEC)),
	FILTER_END,
};

static const struct filter_list courier_calls = {
	.name = "courier",
	/* REFUSE, not KILL: resolvers and TLS libraries probe this and that. */
	.rest = FILTER_REFUSE,
	.parts = {{FILTER_ALLOW, filter_basics}, {FILTER_ALLOW, outward}, {FILTER_ALLOW, threads}, {FILTER_ABSENT, filter_unchecked}},
};

/* A name service that is a module (libnss_*) is not loaded: "files" and "dns" are in the C library. */
static const struct jail_path paths[] = {
	{"/etc/ssl/certs", JAIL_READ},
	{"/etc/resolv.conf", JAIL_READ},
	{"/run/systemd/resolve", JAIL_READ}, /* where resolv.conf may lead, and is written anew */
	{"/run/resolvconf", JAIL_READ},
	{"/etc/hosts", JAIL_READ},
	{"/etc/host.conf", JAIL_READ},
	{"/etc/gai.conf", JAIL_READ},
	{"/etc/nsswitch.conf", JAIL_READ},
	{NULL, 0},
};

const struct jail courier_walls = {
	.name = "courier",
	.namespaces = JAIL_IPC | JAIL_HOST_NAME | JAIL_CGROUPS,
	.landlock = true,
	.paths = paths,
	.network = JAIL_TCP_CONNECT,
	.filter = &courier_calls,
	.capabilities = 0,
	JAIL_LIMITS({RLIMIT_NOFILE, 1024}),
};

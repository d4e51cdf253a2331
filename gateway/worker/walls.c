/* walls.c: what the template and the workers may do.
 *
 * The template reads no stranger's byte, so its list may hold what makes a worker: fork, a loop's
 * descriptors, one more filter. A worker's list has nothing that makes a process, a socket or a file.
 */
#include "walls.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>

/* Sockets come connected from elsewhere (another network namespace); only what shapes their traffic. */
static const struct filter_row sockets[] = {
	FILTER_CALL(setsockopt, FILTER_IS(1, IPPROTO_TCP), FILTER_IS(2, TCP_NODELAY)),
	FILTER_CALL(setsockopt, FILTER_IS(1, IPPROTO_TCP), FILTER_IS(2, TCP_USER_TIMEOUT)),
	FILTER_CALL(setsockopt, FILTER_IS(1, IPPROTO_TCP), FILTER_IS(2, TCP_NOTSENT_LOWAT)),
	FILTER_CALL(setsockopt, FILTER_IS(1, SOL_SOCKET), FILTER_IS(2, SO_LINGER)), /* a reset on purpose */
	FILTER_CALL(setsockopt, FILTER_IS(1, SOL_SOCKET), FILTER_IS(2, SO_SNDBUF)),
	FILTER_CALL(setsockopt, FILTER_IS(1, SOL_SOCKET), FILTER_IS(2, SO_RCVBUF)),
	FILTER_CALL(getsockopt, FILTER_IS(1, SOL_SOCKET), FILTER_IS(2, SO_ERROR)),
	FILTER_CALL(getsockopt, FILTER_IS(1, SOL_SOCKET), FILTER_IS(2, SO_TYPE)),
	FILTER_CALL(getsockopt, FILTER_IS(1, IPPROTO_TCP), FILTER_IS(2, TCP_INFO)),
	FILTER_CALL(ioctl, FILTER_IS(1, FIONBIO)), /* libuv */
	FILTER_CALL(ioctl, FILTER_IS(1, FIONREAD)),
	FILTER_CALL(pread64), /* memory that the broker gives: what is longer than a frame */
	FILTER_END,
};

/* log_write asks isatty(), which is TCGETS; the answer no only adds the journal's prefix. */
static const struct filter_row probes[] = {
	FILTER_CALL(ioctl, FILTER_IS(1, TCGETS)),
	FILTER_END,
};

const struct filter_list worker_calls = {
	.name = "worker",
	.rest = FILTER_KILL,
	.parts = {{FILTER_ALLOW, filter_basics}, {FILTER_ALLOW, sockets}, {FILTER_REFUSE, probes}},
};

/* fork(2) of glibc, perhaps with a pidfd: no shared memory, no threads, no namespaces. */
#define FORK_FLAGS (CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | CLONE_PARENT_SETTID | CLONE_PIDFD | CSIGNAL)
static const struct filter_row making_workers[] = {
	FILTER_CALL(clone, FILTER_MASKED(0, UINT32_MAX & ~(uint64_t)FORK_FLAGS, 0)),
	FILTER_CALL(pidfd_open),
	FILTER_CALL(set_robust_list),
	FILTER_CALL(epoll_create1),
	FILTER_CALL(eventfd2),
	FILTER_CALL(pipe2),
	FILTER_CALL(dup3),
	FILTER_CALL(fcntl, FILTER_IS(1, F_DUPFD_CLOEXEC)),
	FILTER_CALL(close_range),
	FILTER_CALL(prctl, FILTER_IS(0, PR_SET_NAME)),
	FILTER_CALL(prctl, FILTER_IS(0, PR_SET_PDEATHSIG)),
	FILTER_CALL(prctl, FILTER_IS(0, PR_GET_DUMPABLE)),
	FILTER_CALL(getppid),
	FILTER_CALL(prlimit64, FILTER_IS(0, 0)), /* the own limits */
	FILTER_CALL(seccomp, FILTER_IS(0, SECCOMP_SET_MODE_FILTER)),
	FILTER_END,
};

static const struct filter_list template_calls = {
	.name = "template",
	.rest = FILTER_KILL,
	.parts = {{FILTER_ALLOW, filter_basics}, {FILTER_ALLOW, sockets}, {FILTER_ALLOW, making_workers},
		  {FILTER_REFUSE, probes}, {FILTER_ABSENT, filter_unchecked}},
};

const struct jail template_walls = {
	.name = "worker",
	.namespaces = JAIL_NETWORK | JAIL_MOUNTS | JAIL_IPC | JAIL_HOST_NAME | JAIL_CGROUPS,
	.empty_root = true,
	.landlock = true,
	.paths = NULL,
	.network = 0,
	.filter = &template_calls,
	.capabilities = 0,
	/* A worker holds a socket per tunnel. */
	JAIL_LIMITS({RLIMIT_NOFILE, 262144}),
};

int worker_walls_tighten(const struct filter *compiled_worker_calls, struct diag *diag)
{
	const struct rlimit none = {0, 0};
	if (setrlimit(RLIMIT_NPROC, &none) < 0)
		return diag_system(diag, "cannot forbid further processes");
	return filter_load(compiled_worker_calls, diag);
}

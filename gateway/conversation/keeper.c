/* keeper.c: waits beside the stack, and ends it: in time, or when nobody is there any more.
 *
 * Modules are foreign code: they may hang with every signal ignored, or leave helpers behind. So the stack runs in a
 * child that is the first of a process namespace: when it ends, for whatever reason, the kernel ends all that it
 * started. The keeper runs no module; kill -9 of the keeper ends the child too (parent-death signal).
 * Called by main.c. Without root there is no namespace: then helpers that a module leaves behind live on.
 */
#include "keeper.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sallyport/clock.h"
#include "sallyport/log.h"

/* The stack sees the same end or deadline and may still say its last word, and modules wipe what they kept. */
enum { GRACE_MS = 700 };
/* The same while a session is open: pam_close_session(3) may ask a server or write a record. */
enum { CLOSING_MS = 10000 };

int keeper_prepare(struct diag *diag)
{
	if (geteuid() != 0)
		return 0;
	return unshare(CLONE_NEWPID) < 0 ? diag_system(diag, "no process namespace for the PAM stack") : 0;
}

static int milliseconds_until(uint64_t moment_ms)
{
	uint64_t now_ms = clock_monotonic_ms();
	return now_ms < moment_ms ? (int)(moment_ms - now_ms) : 0;
}

/* Whether the child is over within that time. */
static bool is_over(int child, int limit_ms)
{
	struct pollfd one = {.fd = child, .events = POLLIN};
	int ready;
	do
		ready = poll(&one, 1, limit_ms);
	while (ready < 0 && errno == EINTR);
	return ready > 0;
}

/* Until the child is over, the deadline, or the end of an edge. Events asked for on the edges: none but the end. */
static bool wait_for_child(const struct keeper *keeper, int child)
{
	struct pollfd all[] = {{.fd = child, .events = POLLIN}, {.fd = keeper->broker, .events = POLLRDHUP},
			       {.fd = keeper->monitor, .events = POLLRDHUP}, {.fd = keeper->word, .events = POLLIN}};
	bool is_open = false;
	for (;;) {
		char word = 0;
		int ready = poll(all, 4, is_open ? -1 : milliseconds_until(keeper->deadline_ms));
		if (ready < 0 && errno == EINTR)
			continue;
		if (all[3].revents == 0 || all[0].revents || all[1].revents || all[2].revents)
			break;
		is_open |= read(keeper->word, &word, 1) == 1;
		/* Said once, or never any more. */
		all[3].fd = -1;
		all[3].revents = 0;
	}
	char word = 0;
	is_open |= all[3].fd >= 0 && recv(keeper->word, &word, 1, MSG_DONTWAIT) == 1;
	return all[0].revents || is_over(child, is_open ? CLOSING_MS : GRACE_MS);
}

[[noreturn]] static void keep(const struct keeper *keeper, pid_t pid)
{
	int status = 0;
	int child = pidfd_open(pid, 0);
	/* Whoever stops the service means the monitor: the session is closed when its edge ends. */
	signal(SIGTERM, SIG_IGN);
	if (child < 0 || !wait_for_child(keeper, child)) {
		log_notice("a PAM stack did not end in time, or nobody waits for it any more: killed");
		kill(pid, SIGKILL);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE);
}

int keeper_split(struct keeper *keeper, struct diag *diag)
{
	int ends[2];
	pid_t parent = getpid();
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return diag_system(diag, "no word between keeper and stack");
	pid_t pid = fork();
	if (pid < 0)
		return diag_system(diag, "no process for the PAM stack");
	keeper->word = pid > 0 ? ends[0] : ends[1];
	close(pid > 0 ? ends[1] : ends[0]);
	if (pid > 0)
		keep(keeper, pid);
	/* The parent is outside the namespace, where its number reads 0; without a namespace it must still be there. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || (getppid() != 0 && getppid() != parent))
		_exit(EXIT_FAILURE);
	return 0;
}

void keeper_session_is_open(struct keeper *keeper)
{
	(void)!write(keeper->word, "o", 1);
}

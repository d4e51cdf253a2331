/* main.c: the workers' template: initialises what all workers share, locks the door, and forks a worker whenever the
 * monitor says so.
 *
 * It faces nobody: no client's byte ever reaches this process. What is built here (trust lists, priorities, the
 * compiled filter, the empty network) costs a worker nothing. fork(2) of the C library, not a bare system call: GnuTLS
 * must notice, or two workers would draw the same random numbers.
 */
#include <gnutls/gnutls.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "request.h"
#include "room.h"
#include "sallyport/log.h"
#include "sallyport/own.h"
#include "sallyport/wire.h"
#include "sallyport/x509.h"
#include "walls.h"
#include "worker.h"

#define PEM_MAX (1 << 20)

struct template {
	struct room room;
	struct tls_credentials *credentials;
	struct buf authorities, certificate;
	struct filter calls;
	bool stopped;
};

/* What a laptop is told at enrolment: who vouches for devices, and who for this gateway. */
static int make_authorities(struct template *template, struct view device_authority, struct diag *diag)
{
	OWN_BUF struct buf server_authority = BUF_INIT(PEM_MAX);
	size_t position = 0;
	int result = 0;
	if (room_descriptor(&template->room, MONITOR_ROOM_PURPOSE_SERVER_AUTHORITY, &position))
		result = room_read_descriptor(&template->room, MONITOR_ROOM_PURPOSE_SERVER_AUTHORITY, &server_authority, NULL, diag);
	const struct view certificates[] = {device_authority, buf_view(&server_authority)};
	template->authorities = BUF_INIT(PEM_MAX);
	return result < 0 ? result : x509_certs_only(certificates, 2, &template->authorities, diag);
}

static int load_credentials(struct template *template, struct diag *diag)
{
	OWN_BUF struct buf chain = BUF_INIT(PEM_MAX);
	OWN_BUF struct buf authority = BUF_INIT(PEM_MAX);
	int result = room_read_descriptor(&template->room, MONITOR_ROOM_PURPOSE_SERVER_CERTIFICATE, &chain, NULL, diag);
	if (result == 0)
		result = room_read_descriptor(&template->room, MONITOR_ROOM_PURPOSE_AUTHORITY, &authority, NULL, diag);
	if (result == 0)
		result = tls_credentials_server(buf_view(&chain), buf_view(&authority), &template->credentials, diag);
	template->certificate = BUF_INIT(X509_INPUT_MAX);
	if (result == 0)
		result = x509_pem_to_der(buf_view(&chain), "CERTIFICATE", &template->certificate);
	if (result == 0)
		result = make_authorities(template, buf_view(&authority), diag);
	return result < 0 ? result : filter_compile(&worker_calls, &template->calls, diag);
}

static int tell_forked(struct template *template, uint64_t id, pid_t pid)
{
	OWN_FD int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	/* One that has ended already (its end is reaped at once) is noticed by the monitor by its edge. */
	return pidfd < 0 ? 0 : WIRE_SEND(template->room.monitor, monitor_room, worker_forked, pidfd, .worker = id);
}

static int on_fork_worker(void *self, const struct monitor_room_fork_worker *message, int *fd)
{
	struct template *template = self;
	pid_t pid = fork();
	if (pid == 0) {
		close(template->room.monitor);
		forked_live(take_fd(fd), &(struct inheritance){&template->room.conf, template->credentials,
							      buf_view(&template->authorities), buf_view(&template->certificate),
							      &template->calls});
	}
	if (pid < 0) {
		log_error("cannot fork a worker: %m");
		return 0;
	}
	return tell_forked(template, message->worker, pid);
}

static int on_stop(void *self, const struct monitor_room_stop *message, int *fd)
{
	struct template *template = self;
	(void)message, (void)fd;
	template->stopped = true;
	return 0;
}

static const struct monitor_room_handlers handlers = {.fork_worker = on_fork_worker, .stop = on_stop};

static int loop(struct template *template)
{
	static uint8_t space[8192];
	struct edge_frame frame;
	struct diag diag;
	int result = 0;
	while (result == 0 && !template->stopped) {
		result = wire_receive(template->room.monitor, space, sizeof(space), &frame);
		if (result == 0)
			result = monitor_room_dispatch(&handlers, template, EDGE_FROM_FIRST, MONITOR_ROOM_TEMPLATE, &frame, &diag);
	}
	return result == ERR_CLOSED ? 0 : result;
}

int main(void)
{
	static struct template template;
	struct diag diag;
	room_start(&template.room, "worker", MONITOR_ROOM_TEMPLATE);
	request_prepare_json();
	if (load_credentials(&template, &diag) < 0)
		room_fail(&template.room, &diag);
	/* Workers are nobody's to wait for: they are reaped by themselves, the monitor has their pidfds. */
	struct sigaction ignore = {.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT};
	sigaction(SIGCHLD, &ignore, NULL);
	struct jail walls = template_walls;
	walls.identity = template.room.conf.worker_user;
	room_lock(&template.room, &walls);
	return loop(&template) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

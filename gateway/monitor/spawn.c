/* spawn.c: fork, exec, the first words. */
#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sallyport/edge/monitor_room.h"
#include "sallyport/own.h"
#include "sallyport/wire.h"

/* Where a room finds its monitor edge (gateway/room/room.h). */
enum { EDGE_FD = 3 };
/* A room that takes longer to start hangs. */
enum { START_SECONDS = 20, SEND_SECONDS = 5 };

/* In the child: only async-signal-safe calls. */
[[noreturn]] static void become_room(const char *path, const char *argument, int edge)
{
	static char *const environment[] = {NULL};
	char *const arguments[] = {(char *)(uintptr_t)path, (char *)(uintptr_t)argument, NULL};
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	int null = open("/dev/null", O_RDWR);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0)
		_exit(126);
	/* dup2 onto itself would leave close-on-exec in place. */
	if (edge == EDGE_FD ? fcntl(edge, F_SETFD, 0) < 0 : dup2(edge, EDGE_FD) < 0)
		_exit(126);
	close_range(EDGE_FD + 1, ~0U, 0);
	execve(path, arguments, environment);
	_exit(127);
}

int spawn_room(const char *program, const char *argument, pid_t *out_pid, int *out_edge, struct diag *diag)
{
	char path[4096];
	int ends[2];
	if ((size_t)snprintf(path, sizeof(path), "%s/%s", SALLYPORT_ROOMS_DIRECTORY, program) >= sizeof(path))
		return diag_set(diag, ERR_BUG, "the path of %s is too long", program);
	if (access(path, X_OK) < 0)
		return diag_system(diag, "cannot run %s", path);
	if (wire_pair(ends) < 0)
		return diag_system(diag, "cannot make an edge for %s", program);
	pid_t pid = fork();
	if (pid == 0)
		become_room(path, argument, ends[1]);
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		return diag_system(diag, "cannot start %s", program);
	}
	struct timeval patience = {.tv_sec = SEND_SECONDS};
	setsockopt(ends[0], SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	*out_pid = pid;
	*out_edge = ends[0];
	return 0;
}

int spawn_send_settings(int edge, unsigned room, const struct conf *conf, struct diag *diag)
{
	int result = 0;
	for (size_t i = 0; result == 0 && i < conf_key_count; i++) {
		OWN_BUF struct buf value = BUF_INIT(16384);
		if (!(conf_keys[i].rooms & room))
			continue;
		result = conf_spell(conf, &conf_keys[i], &value);
		/* What is not set keeps the room's own default, which is the same. */
		if (result == 0 && value.size)
			result = WIRE_SEND(edge, monitor_room, setting, -1, .name = view_string(conf_keys[i].name),
					   .value = buf_view(&value));
	}
	return result < 0 ? diag_set(diag, result, "a setting cannot be handed to its room (%s)", err_name(result)) : 0;
}

struct start {
	bool is_ready;
	char *missing;
	struct diag *diag;
};

static int on_ready(void *self, const struct monitor_room_ready *message, int *fd)
{
	struct start *start = self;
	(void)fd;
	start->is_ready = true;
	return view_to_string(message->missing, start->missing, 513);
}

static int on_failed(void *self, const struct monitor_room_failed *message, int *fd)
{
	struct start *start = self;
	(void)fd;
	return diag_set(start->diag, ERR_DENIED, "%.*s", (int)message->sentence.size, (const char *)message->sentence.data);
}

static const struct monitor_room_handlers start_handlers = {.ready = on_ready, .failed = on_failed};

int spawn_wait_ready(int edge, const char *program, char *out_missing, struct diag *diag)
{
	static uint8_t space[EDGE_FRAME_MAX];
	struct start start = {.missing = out_missing, .diag = diag};
	struct pollfd ready = {.fd = edge, .events = POLLIN};
	struct edge_frame frame;
	int count;
	do
		count = poll(&ready, 1, START_SECONDS * 1000);
	while (count < 0 && errno == EINTR);
	if (count <= 0)
		return diag_set(diag, ERR_TIMEOUT, "%s did not get ready within %d s", program, START_SECONDS);
	if (wire_receive(edge, space, sizeof(space), &frame) < 0)
		return diag_set(diag, ERR_CLOSED, "%s ended before it was ready; its own message stands above", program);
	return monitor_room_dispatch(&start_handlers, &start, EDGE_FROM_SECOND, MONITOR_ROOM_STARTING, &frame, diag);
}

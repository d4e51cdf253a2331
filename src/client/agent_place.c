/* agent_place.c: where the agent's socket is, who made it, and how an agent is started. */
#include "agent_place.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sallyport/own.h"
#include "sallyport/str.h"
#include "sallyport/x509.h"
#include "signals.h"
#include "token.h"

enum { BACKLOG = 128, AGENT_FD = 3 };

/* What an agent is told, and what tells one from another. The user's name is the login's matter. */
static const enum setting told[] = {SETTING_gateway, SETTING_ca, SETTING_cert, SETTING_key};
enum { TOLD = sizeof(told) / sizeof(told[0]) };

/* Files from the root on, so that it does not matter where a command stands. */
static void absolute(const struct settings *settings, enum setting setting, char *out_text, size_t capacity)
{
	char resolved[PATH_MAX];
	const char *text = settings->value[setting] ? settings->value[setting] : "";
	bool is_file = strcmp(setting_rows[setting].value, "FILE") == 0 && !strstr(text, ":");
	/* A symbolic link stays what it is: a renewal may turn it. */
	if (!is_file || !*text || text[0] == '/' || !getcwd(resolved, sizeof(resolved)))
		str_copy(out_text, capacity, text);
	else
		snprintf(out_text, capacity, "%s/%s", resolved, text);
}

int agent_place_find(const struct settings *settings, struct agent_place *out_place, struct diag *diag)
{
	char text[PATH_MAX * 2], name[2 * X509_FINGERPRINT_SIZE + 1];
	uint8_t hash[X509_FINGERPRINT_SIZE];
	OWN_BUF struct buf named = BUF_INIT(sizeof(text) * TOLD);
	int status = token_folder(out_place->folder, sizeof(out_place->folder), diag);
	if (status != STATUS_OK)
		return status;
	for (size_t i = 0; i < TOLD; i++) {
		absolute(settings, told[i], text, sizeof(text));
		if (buf_add(&named, view_of(text, strlen(text) + 1)) < 0)
			return diag_set(diag, STATUS_FAILED, _("memory is out"));
	}
	x509_fingerprint(buf_view(&named), hash);
	str_hex(view_of(hash, sizeof(hash)), name);
	snprintf(out_place->socket, sizeof(out_place->socket), "%.32s.agent", name);
	snprintf(out_place->lock, sizeof(out_place->lock), "%.32s.lock", name);
	snprintf(out_place->log, sizeof(out_place->log), "%.32s.log", name);
	snprintf(out_place->kept, sizeof(out_place->kept), "%.32s.forwards", name);
	return STATUS_OK;
}

static int open_folder(const struct agent_place *place)
{
	return open(place->folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

int agent_place_open(const struct agent_place *place, const char *name, int flags)
{
	OWN_FD int folder = open_folder(place);
	return folder < 0 ? -1 : openat(folder, name, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
}

/* The folder's path may be longer than a socket's address takes; its descriptor is not. */
static void make_address(int folder, const char *name, struct sockaddr_un *out_address)
{
	*out_address = (struct sockaddr_un){.sun_family = AF_UNIX};
	snprintf(out_address->sun_path, sizeof(out_address->sun_path), "/proc/self/fd/%d/%s", folder, name);
}

bool agent_place_is_same_user(int socket)
{
	struct ucred other;
	socklen_t length = sizeof(other);
	return getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &other, &length) == 0 && other.uid == getuid();
}

int agent_place_connect(const struct agent_place *place, int *out_fd, struct diag *diag)
{
	struct sockaddr_un address;
	OWN_FD int folder = open_folder(place);
	OWN_FD int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (folder < 0 || fd < 0) {
		diag_system(diag, _("cannot look for the agent in %s"), place->folder);
		return STATUS_FAILED;
	}
	make_address(folder, place->socket, &address);
	*out_fd = -1;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		if (errno == ENOENT || errno == ECONNREFUSED)
			return STATUS_OK;
		diag_system(diag, _("cannot reach the agent at %s/%s"), place->folder, place->socket);
		return STATUS_FAILED;
	}
	if (!agent_place_is_same_user(fd))
		return diag_set(diag, STATUS_FAILED, _("The agent at %s/%s is somebody else's; remove it"), place->folder, place->socket);
	*out_fd = take_fd(&fd);
	return STATUS_OK;
}

/* Under the lock: nobody else starts one. */
static int bind_there(const struct agent_place *place, int *out_fd, struct diag *diag)
{
	struct sockaddr_un address;
	OWN_FD int folder = open_folder(place);
	OWN_FD int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (folder >= 0 && fd >= 0) {
		make_address(folder, place->socket, &address);
		unlinkat(folder, place->socket, 0);
		/* The mode with which it is made (unix(7)): at no moment is it wider. */
		if (fchmod(fd, 0600) == 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
		    listen(fd, BACKLOG) == 0) {
			*out_fd = take_fd(&fd);
			return STATUS_OK;
		}
	}
	diag_system(diag, _("cannot make the agent's socket in %s"), place->folder);
	return STATUS_FAILED;
}

/* The lock is held as long as the descriptor is open. */
static int take_lock(const struct agent_place *place, int *out_fd, struct diag *diag)
{
	OWN_FD int fd = agent_place_open(place, place->lock, O_RDWR | O_CREAT);
	if (fd < 0 || flock(fd, LOCK_EX) < 0) {
		diag_system(diag, _("cannot lock %s/%s"), place->folder, place->lock);
		return STATUS_FAILED;
	}
	*out_fd = take_fd(&fd);
	return STATUS_OK;
}

int agent_place_listen(const struct agent_place *place, int *out_fd, struct diag *diag)
{
	OWN_FD int lock = -1;
	OWN_FD int other = -1;
	int status = take_lock(place, &lock, diag);
	if (status == STATUS_OK)
		status = agent_place_connect(place, &other, diag);
	*out_fd = -1;
	return status == STATUS_OK && other < 0 ? bind_there(place, out_fd, diag) : status;
}

bool agent_place_stands(const struct agent_place *place, ino_t *inout_inode)
{
	struct stat found;
	char path[sizeof(place->folder) + sizeof(place->socket)];
	/* Needs no descriptor: an agent that has used up all of them still stands. */
	snprintf(path, sizeof(path), "%s/%s", place->folder, place->socket);
	if (lstat(path, &found) < 0)
		return false;
	if (!*inout_inode)
		*inout_inode = found.st_ino;
	return found.st_ino == *inout_inode;
}

/* ---- starting one ---- */

/* Whatever the command holds, the agent holds none of it: a pipe that stays open would keep its reader waiting. */
static int spawn_agent(char *const *arguments, int socket, int log, pid_t *out_child)
{
	sigset_t defaults;
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	sigemptyset(&defaults);
	sigaddset(&defaults, SIGPIPE);
	if (posix_spawn_file_actions_init(&files) != 0 || posix_spawnattr_init(&attributes) != 0)
		return ENOMEM;
	/* Moved up first, so that no target is a source of a later step. */
	posix_spawn_file_actions_adddup2(&files, socket, 100);
	posix_spawn_file_actions_adddup2(&files, log, STDERR_FILENO);
	posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_adddup2(&files, 100, AGENT_FD);
	posix_spawn_file_actions_addclosefrom_np(&files, AGENT_FD + 1);
	posix_spawn_file_actions_addchdir_np(&files, "/");
	posix_spawnattr_setsigmask(&attributes, signals_original_mask());
	posix_spawnattr_setsigdefault(&attributes, &defaults);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
	int failure = posix_spawn(out_child, "/proc/self/exe", &files, &attributes, arguments, environ);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attributes);
	return failure;
}

/* The agent itself has forked away when this child ends. */
static bool came_up(pid_t child)
{
	int how = 0;
	while (waitpid(child, &how, 0) < 0)
		if (errno != EINTR)
			return false;
	return WIFEXITED(how) && WEXITSTATUS(how) == 0;
}

static int start(const struct agent_place *place, const struct settings *settings, int socket, struct diag *diag)
{
	static char name[] = "sallyport", command[] = "agent", descriptor[] = "3";
	char text[TOLD][PATH_MAX * 2], *arguments[TOLD + 4] = {name};
	size_t count = 1;
	for (size_t i = 0; i < TOLD; i++) {
		int length = snprintf(text[i], sizeof(text[i]), "--%s=", setting_rows[told[i]].name);
		absolute(settings, told[i], text[i] + length, sizeof(text[i]) - (size_t)length);
		if (text[i][length])
			arguments[count++] = text[i];
	}
	arguments[count++] = command;
	arguments[count++] = descriptor;
	OWN_FD int log = agent_place_open(place, place->log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND);
	pid_t child;
	int failure = log < 0 ? errno : spawn_agent(arguments, socket, log, &child);
	if (failure) {
		errno = failure;
		diag_system(diag, _("cannot start the agent"));
		return STATUS_FAILED;
	}
	return came_up(child) ? STATUS_OK
			      : diag_set(diag, STATUS_FAILED, _("The agent did not start; %s/%s says why"), place->folder, place->log);
}

int agent_place_reach(const struct agent_place *place, const struct settings *settings, int *out_fd, struct diag *diag)
{
	OWN_FD int lock = -1;
	OWN_FD int socket = -1;
	int status = agent_place_connect(place, out_fd, diag);
	if (status != STATUS_OK || *out_fd >= 0)
		return status;
	status = take_lock(place, &lock, diag);
	/* Another command may have been quicker. */
	if (status == STATUS_OK)
		status = agent_place_connect(place, out_fd, diag);
	if (status != STATUS_OK || *out_fd >= 0)
		return status;
	status = bind_there(place, &socket, diag);
	if (status == STATUS_OK)
		status = start(place, settings, socket, diag);
	return status == STATUS_OK ? agent_place_connect(place, out_fd, diag) : status;
}

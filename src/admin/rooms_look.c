/* rooms_look.c: are the walls of the running rooms in force? What the kernel says of each process, not what the gateway says.
 *
 * The rooms build their walls, or refuse to start (gateway/room/); here they are seen from outside, as an auditor would. What
 * is looked at in each process: walls_look.c.
 */
#include <dirent.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "findings.h"
#include "sallyport/own.h"
#include "sallyport/str.h"
#include "walls_look.h"

DEFINE_OWN(json, json_t *, json_decref)

static const struct walls_owed rooms[] = {
	{"sallyport-worker", .other_user = true, .no_capabilities = true, .no_network = true, .own_mounts = true, .empty_root = true,
	 .fixed_code = true, .no_files = true},
	{"sallyport-signer", .other_user = true, .no_capabilities = true, .no_network = true, .own_mounts = true, .empty_root = true,
	 .fixed_code = true, .holds_keys = true},
	{"sallyport-broker", .other_user = true, .no_capabilities = true, .fixed_code = true},
	{"sallyport-courier", .other_user = true, .no_capabilities = true, .fixed_code = true},
	/* It runs the PAM stack, perhaps as root. */
	{"sallyport-conversation", .own_mounts = true},
};
enum { ROOMS = sizeof(rooms) / sizeof(rooms[0]), GENERATIONS = 3, NAMED_MAX = 16, LOOKS = 20, LOOK_AGAIN_US = 50000 };

int rooms_monitor(const struct admin_options *options)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct ucred peer = {.pid = 0};
	socklen_t size = sizeof(peer);
	OWN_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || !str_copy(address.sun_path, sizeof(address.sun_path), options->socket) ||
	    connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return 0;
	return peer.pid;
}

void rooms_conf_path(int monitor, char *out_path, size_t capacity)
{
	char path[64], words[8192];
	snprintf(path, sizeof(path), "/proc/%d/cmdline", monitor);
	FILE *file = fopen(path, "re");
	size_t size = file ? fread(words, 1, sizeof(words) - 1, file) : 0;
	if (file)
		fclose(file);
	words[size] = 0;
	for (size_t at = 0; at < size; at += strlen(words + at) + 1)
		if (strcmp(words + at, "-f") == 0 && at + 3 < size) {
			str_copy(out_path, capacity, words + at + 3);
			return;
		}
}

void rooms_identity(int process, char *out_user, size_t capacity)
{
	unsigned number;
	out_user[0] = 0;
	if (process <= 0 || !walls_user(process, &number))
		return;
	const struct passwd *user = getpwuid(number);
	if (!user || !str_copy(out_user, capacity, user->pw_name))
		snprintf(out_user, capacity, "%u", number);
}

/* Its monitor's child, or the template's: a worker. */
static bool belongs_to(int pid, int monitor)
{
	for (int i = 0; i < GENERATIONS && pid > 1; i++) {
		pid = walls_parent(pid);
		if (pid == monitor)
			return true;
	}
	return false;
}

static const struct walls_owed *room_of(int pid)
{
	char path[64], program[4096];
	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	ssize_t size = readlink(path, program, sizeof(program) - 1);
	program[size > 0 ? size : 0] = 0;
	const char *name = strrchr(program, '/');
	for (size_t i = 0; name && i < ROOMS; i++)
		/* An upgrade may have replaced the file meanwhile: " (deleted)". */
		if (strncmp(name + 1, rooms[i].program, strlen(rooms[i].program)) == 0)
			return &rooms[i];
	return NULL;
}

static const char *missing_wall(const struct walls_owed *owed, int pid, int monitor, const struct settings *settings)
{
	struct walls_owed debt = *owed;
	/* A token's module brings its files along. */
	debt.empty_root = owed->empty_root && !(owed->holds_keys && settings->has_token);
	return walls_missing(&debt, pid, monitor);
}

/* Returns how many processes were looked at. */
static unsigned look_at_all(json_t *bad, int monitor, const struct settings *settings)
{
	DIR *folder = opendir("/proc");
	const struct dirent *entry;
	unsigned count = 0;
	while (folder && (entry = readdir(folder))) {
		int pid = atoi(entry->d_name);
		const struct walls_owed *owed = pid > 0 ? room_of(pid) : NULL;
		if (!owed || !belongs_to(pid, monitor))
			continue;
		const char *wall = missing_wall(owed, pid, monitor, settings);
		count++;
		if (wall && json_array_size(bad) < NAMED_MAX)
			finding_add(bad, FINDING_ERROR, "walls", "systemctl restart sallyport-gateway, started by root", "%s (process %d) %s",
				    owed->program, pid, wall);
	}
	if (folder)
		closedir(folder);
	return count;
}

void findings_of_rooms(json_t *findings, int monitor, const struct settings *settings)
{
	OWN(own_json) json_t *bad = json_array();
	unsigned count = look_at_all(bad, monitor, settings);
	/* A room that has just been started builds its walls in some milliseconds. */
	for (int i = 1; json_array_size(bad) && i < LOOKS; i++) {
		usleep(LOOK_AGAIN_US);
		json_array_clear(bad);
		count = look_at_all(bad, monitor, settings);
	}
	if (count == 0)
		finding_add(findings, FINDING_WARNING, "walls", "run doctor as root", "the rooms' processes cannot be looked at");
	else if (json_array_size(bad))
		json_array_extend(findings, bad);
	else
		finding_add(findings, FINDING_OK, "walls", NULL,
			    "%u processes of rooms, and each has its walls as far as the kernel shows them from outside; Landlock's rules it "
			    "shows to nobody", count);
}

/* rooms_look.c: are the walls of the running rooms in force? What the kernel says of each process, not what the gateway says.
 *
 * The rooms build their walls, or refuse to start (gateway/room/); here they are seen from outside, as an auditor would.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "findings.h"
#include "sallyport/own.h"
#include "sallyport/str.h"

/* What a room owes. The conversation runs the PAM stack, perhaps as root. */
static const struct owed {
	const char *program;
	bool other_user, no_capabilities, no_network;
} rooms[] = {
	{"sallyport-worker", true, true, true},
	{"sallyport-signer", true, true, true},
	{"sallyport-broker", true, true, false},
	{"sallyport-courier", true, true, false},
	{"sallyport-conversation", false, false, false},
};
enum { ROOMS = sizeof(rooms) / sizeof(rooms[0]), GENERATIONS = 3 };

struct seen {
	int parent;
	unsigned user;
	bool no_new_privileges, filtered;
	unsigned long long capabilities;
};

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

static bool look(int pid, struct seen *out_seen)
{
	char path[64], line[256];
	unsigned number;
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	FILE *file = fopen(path, "re");
	*out_seen = (struct seen){.parent = 0};
	while (file && fgets(line, sizeof(line), file)) {
		(void)!sscanf(line, "PPid: %d", &out_seen->parent);
		(void)!sscanf(line, "Uid: %*u %u", &out_seen->user);
		(void)!sscanf(line, "CapEff: %llx", &out_seen->capabilities);
		if (sscanf(line, "NoNewPrivs: %u", &number) == 1)
			out_seen->no_new_privileges = number == 1;
		if (sscanf(line, "Seccomp: %u", &number) == 1)
			out_seen->filtered = number == 2;
	}
	if (file)
		fclose(file);
	return file != NULL;
}

/* Its monitor's child, or the template's: a worker. */
static bool belongs_to(int pid, int monitor)
{
	struct seen seen;
	for (int i = 0; i < GENERATIONS && pid > 1; i++) {
		if (!look(pid, &seen))
			return false;
		if (seen.parent == monitor)
			return true;
		pid = seen.parent;
	}
	return false;
}

static const struct owed *room_of(int pid)
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

static bool shares_network(int pid, int monitor)
{
	char path[64];
	struct stat one, other;
	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	if (stat(path, &one) < 0)
		return true;
	snprintf(path, sizeof(path), "/proc/%d/ns/net", monitor);
	return stat(path, &other) < 0 || one.st_ino == other.st_ino;
}

/* The wall that is missing; NULL: none. */
static const char *missing_wall(const struct owed *owed, int pid, int monitor)
{
	struct seen seen;
	/* It may have ended in between. */
	if (!look(pid, &seen))
		return NULL;
	if (!seen.no_new_privileges)
		return "may gain privileges (no_new_privs is not set)";
	if (!seen.filtered)
		return "has no filter of system calls (seccomp)";
	if (owed->other_user && seen.user == 0)
		return "runs as root";
	if (owed->no_capabilities && seen.capabilities)
		return "has capabilities";
	if (owed->no_network && shares_network(pid, monitor))
		return "shares the host's network";
	return NULL;
}

void findings_of_rooms(json_t *findings, int monitor)
{
	DIR *folder = opendir("/proc");
	const struct dirent *entry;
	unsigned looked_at = 0, bad = 0;
	while (folder && (entry = readdir(folder))) {
		int pid = atoi(entry->d_name);
		const struct owed *owed = pid > 0 ? room_of(pid) : NULL;
		if (!owed || !belongs_to(pid, monitor))
			continue;
		const char *wall = missing_wall(owed, pid, monitor);
		looked_at++;
		if (wall && bad++ < 5)
			finding_add(findings, FINDING_ERROR, "walls", "systemctl restart sallyport-gateway, started by root", "%s (process %d) %s",
				    owed->program, pid, wall);
	}
	if (folder)
		closedir(folder);
	if (looked_at == 0)
		finding_add(findings, FINDING_WARNING, "walls", "run doctor as root", "the rooms' processes cannot be looked at");
	else if (!bad)
		finding_add(findings, FINDING_OK, "walls", NULL, "%u processes of rooms, and each has its walls", looked_at);
}

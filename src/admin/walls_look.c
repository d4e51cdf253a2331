/* walls_look.c: one process in /proc: identity, capabilities, filter, namespaces, root, memory, descriptors.
 *
 * Each wall is a function that says whether it stands; the table at the end says who owes it. What cannot be looked at counts
 * as missing: an auditor believes what he sees. See walls_look.h; rooms_look.c finds the processes.
 */
#include "walls_look.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sallyport/own.h"

DEFINE_OWN(file, FILE *, fclose)
DEFINE_OWN(folder, DIR *, closedir)
#define OWN_FILE OWN(own_file)
#define OWN_FOLDER OWN(own_folder)

struct seen {
	int pid, monitor, parent;
	unsigned user, group;
	bool no_new_privileges, filtered, other_groups;
	unsigned long long capabilities; /* of any set */
};

static FILE *open_of(int pid, const char *name)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	return fopen(path, "re");
}

static DIR *folder_of(int pid, const char *name)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	return opendir(path);
}

static void take_line(const char *line, struct seen *seen)
{
	unsigned number;
	unsigned long long set;
	int text = 0;
	(void)!sscanf(line, "PPid: %d", &seen->parent);
	(void)!sscanf(line, "Uid: %*u %u", &seen->user);
	(void)!sscanf(line, "Gid: %*u %u", &seen->group);
	if (sscanf(line, "Groups: %n%u", &text, &number) == 1)
		seen->other_groups = true;
	if (sscanf(line, "Cap%*3c: %llx", &set) == 1)
		seen->capabilities |= set;
	if (sscanf(line, "NoNewPrivs: %u", &number) == 1)
		seen->no_new_privileges = number == 1;
	if (sscanf(line, "Seccomp: %u", &number) == 1)
		seen->filtered = number == 2;
}

static bool look(int pid, struct seen *out_seen)
{
	char line[512];
	OWN_FILE FILE *file = open_of(pid, "status");
	*out_seen = (struct seen){.pid = pid};
	while (file && fgets(line, sizeof(line), file))
		take_line(line, out_seen);
	return out_seen->parent > 0;
}

int walls_parent(int pid)
{
	struct seen seen;
	return look(pid, &seen) ? seen.parent : 0;
}

bool walls_user(int pid, unsigned *out_user)
{
	struct seen seen;
	if (!look(pid, &seen))
		return false;
	*out_user = seen.user;
	return true;
}

/* ---- a function for each wall ---- */

static bool gains_nothing(const struct seen *seen)
{
	return seen->no_new_privileges;
}

static bool is_filtered(const struct seen *seen)
{
	return seen->filtered;
}

static bool is_other_user(const struct seen *seen)
{
	struct seen monitor;
	return seen->user != 0 && seen->group != 0 && !seen->other_groups && look(seen->monitor, &monitor) && seen->user != monitor.user;
}

static bool has_no_capabilities(const struct seen *seen)
{
	return seen->capabilities == 0;
}

static bool has_own_space(const struct seen *seen, const char *space)
{
	char path[64];
	struct stat one, other;
	snprintf(path, sizeof(path), "/proc/%d/ns/%s", seen->pid, space);
	if (stat(path, &one) < 0)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/ns/%s", seen->monitor, space);
	return stat(path, &other) == 0 && one.st_ino != other.st_ino;
}

/* Nothing in it but a loopback. */
static bool has_empty_network(const struct seen *seen)
{
	char line[512], name[32];
	unsigned devices = 0;
	OWN_FILE FILE *file = open_of(seen->pid, "net/dev");
	if (!file || !has_own_space(seen, "net"))
		return false;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, " %31[^: |]:", name) == 1 && strchr(line, ':'))
			devices += strcmp(name, "lo") != 0;
	return devices == 0;
}

static bool has_own_mounts(const struct seen *seen)
{
	return has_own_space(seen, "mnt");
}

static bool has_empty_root(const struct seen *seen)
{
	const struct dirent *entry;
	OWN_FOLDER DIR *root = folder_of(seen->pid, "root");
	bool empty = root;
	while (root && (entry = readdir(root)))
		empty = empty && entry->d_name[0] == '.';
	return empty;
}

/* The files in /proc of what can be dumped belong to the process' own user. Of a process of root's that shows nothing. */
static bool is_undumpable(const struct seen *seen)
{
	char path[64];
	struct stat status;
	snprintf(path, sizeof(path), "/proc/%d/environ", seen->pid);
	return stat(path, &status) == 0 && status.st_uid == 0;
}

static bool has_fixed_code(const struct seen *seen)
{
	char line[4500], rights[5];
	unsigned lines = 0;
	OWN_FILE FILE *file = open_of(seen->pid, "maps");
	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%*x-%*x %4s", rights) != 1)
			continue;
		lines++;
		if (strchr(rights, 'w') && strchr(rights, 'x'))
			return false;
	}
	return lines > 0;
}

/* Standard output and error are where the log goes. */
static bool has_no_files(const struct seen *seen)
{
	const struct dirent *entry;
	OWN_FOLDER DIR *folder = folder_of(seen->pid, "fd");
	while (folder && (entry = readdir(folder))) {
		char path[80], target[4096];
		snprintf(path, sizeof(path), "/proc/%d/fd/%.16s", seen->pid, entry->d_name);
		ssize_t size = readlink(path, target, sizeof(target) - 1);
		target[size > 0 ? size : 0] = 0;
		if (target[0] == '/' && atoi(entry->d_name) > STDERR_FILENO && strncmp(target, "/memfd:", 7) != 0)
			return false;
	}
	return folder;
}

/* ---- all of them ---- */

#define EVERYBODY ((size_t)-1)
static const struct wall {
	bool (*stands)(const struct seen *seen);
	size_t owed; /* offset of the flag in struct walls_owed */
	const char *missing;
} walls[] = {
	{gains_nothing, EVERYBODY, "may gain privileges (no_new_privs is not set)"},
	{is_filtered, EVERYBODY, "has no filter of system calls (seccomp)"},
	{is_other_user, offsetof(struct walls_owed, other_user), "runs as root or as the monitor does, or in other groups than its own"},
	{has_no_capabilities, offsetof(struct walls_owed, no_capabilities), "has capabilities, or could get some"},
	{is_undumpable, EVERYBODY, "can be dumped, and traced by its own user"},
	{has_empty_network, offsetof(struct walls_owed, no_network), "has a network"},
	{has_own_mounts, offsetof(struct walls_owed, own_mounts), "shares the host's mounts"},
	{has_empty_root, offsetof(struct walls_owed, empty_root), "sees files (its root is not empty)"},
	{has_fixed_code, offsetof(struct walls_owed, fixed_code), "has memory that can be written and executed"},
	{has_no_files, offsetof(struct walls_owed, no_files), "has files open"},
};

static bool owes(const struct walls_owed *owed, const struct wall *wall)
{
	return wall->owed == EVERYBODY || *(const bool *)((const char *)owed + wall->owed);
}

const char *walls_missing(const struct walls_owed *owed, int pid, int monitor)
{
	struct seen seen;
	if (!look(pid, &seen))
		return NULL;
	seen.monitor = monitor;
	for (size_t i = 0; i < sizeof(walls) / sizeof(walls[0]); i++)
		if (owes(owed, &walls[i]) && !walls[i].stands(&seen))
			/* It may have ended in between. */
			return look(pid, &seen) ? walls[i].missing : NULL;
	return NULL;
}

/* way.c: the connection of a user, found by the kernel's tables in /proc. See way.h.
 *
 * Neither PAM_RHOST nor the environment tells it: the first has no port, the second is the user's to write.
 */
#include "way.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sallyport/own.h"
#include "sallyport/str.h"

enum { ANCESTORS_MAX = 64, SOCKETS_MAX = 256, FIRST_DESCRIPTOR = 3 };
enum { ESTABLISHED = 1, LISTENING = 10 };

DEFINE_OWN(file, FILE *, fclose)
DEFINE_OWN(folder, DIR *, closedir)

/* ---- rows ---- */

/* 8 or 32 hexadecimal digits, words of 32 bits as this machine stores them; IPv4 inside IPv6 is IPv4. */
static bool read_address(const char *hex, char out_text[WAY_TEXT_MAX], unsigned port)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	uint32_t words[4];
	char text[INET6_ADDRSTRLEN];
	size_t length = strlen(hex);
	if (length != 8 && length != 32)
		return false;
	for (size_t i = 0; i < length / 8; i++)
		if (sscanf(hex + 8 * i, "%8" SCNx32, &words[i]) != 1)
			return false;
	const uint8_t *bytes = (const uint8_t *)words;
	bool is_four = length == 8 || memcmp(bytes, mapped, sizeof(mapped)) == 0;
	if (!inet_ntop(is_four ? AF_INET : AF_INET6, is_four && length == 32 ? bytes + 12 : bytes, text, sizeof(text)))
		return false;
	snprintf(out_text, WAY_TEXT_MAX, is_four ? "%s:%u" : "[%s]:%u", text, port);
	return true;
}

bool way_read_row(const char *line, struct way_row *out_row)
{
	char local[33], remote[33];
	unsigned local_port = 0, remote_port = 0, state = 0;
	struct way_row row = {.inode = 0};
	/* sl: local remote state queues timer retransmits uid timeout inode */
	if (sscanf(line, " %*u: %32[0-9A-Fa-f]:%4x %32[0-9A-Fa-f]:%4x %2x %*s %*s %*s %*u %*u %" SCNu64, local, &local_port, remote,
		   &remote_port, &state, &row.inode) != 6)
		return false;
	if (!read_address(local, row.way.target, local_port) || !read_address(remote, row.way.source, remote_port))
		return false;
	row.is_established = state == ESTABLISHED;
	row.is_listening = state == LISTENING;
	row.local_port = (uint16_t)local_port;
	*out_row = row;
	return true;
}

typedef void (*row_taker)(void *context, const struct way_row *row);

static void walk_rows(pid_t pid, row_taker take, void *context)
{
	static const char *const tables[] = {"tcp", "tcp6"};
	for (size_t i = 0; i < 2; i++) {
		char path[64];
		struct way_row row;
		OWN_MEMORY char *line = NULL;
		size_t capacity = 0;
		snprintf(path, sizeof(path), "/proc/%d/net/%s", pid, tables[i]);
		OWN(own_file) FILE *file = fopen(path, "re");
		while (file && getline(&line, &capacity, file) >= 0)
			if (way_read_row(line, &row))
				take(context, &row);
	}
}

/* ---- one process ---- */

struct process {
	pid_t parent;
	bool is_roots; /* alone */
};

static bool read_process(pid_t pid, struct process *out_process)
{
	char path[64];
	unsigned user[4] = {1, 1, 1, 1};
	int parent = 0;
	OWN_MEMORY char *line = NULL;
	size_t capacity = 0;
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	OWN(own_file) FILE *file = fopen(path, "re");
	while (file && getline(&line, &capacity, file) >= 0) {
		(void)sscanf(line, "PPid: %d", &parent);
		(void)sscanf(line, "Uid: %u %u %u %u", &user[0], &user[1], &user[2], &user[3]);
	}
	*out_process = (struct process){.parent = parent, .is_roots = !(user[0] | user[1] | user[2] | user[3])};
	return file != NULL;
}

struct sockets {
	struct {
		uint64_t inode;
		int descriptor;
	} list[SOCKETS_MAX];
	size_t count;
	uint8_t listening[65536 / 8]; /* a bit for each port at which somebody listens */
	int found;                    /* the descriptor of `way`; -1: none yet */
	struct way way;
};

static void collect_sockets(pid_t pid, struct sockets *out_sockets)
{
	char path[300], link[64];
	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	OWN(own_folder) DIR *folder = opendir(path);
	const struct dirent *entry;
	*out_sockets = (struct sockets){.found = -1};
	while (folder && out_sockets->count < SOCKETS_MAX && (entry = readdir(folder))) {
		int descriptor = atoi(entry->d_name);
		uint64_t inode = 0;
		snprintf(path, sizeof(path), "/proc/%d/fd/%.20s", pid, entry->d_name);
		ssize_t length = readlink(path, link, sizeof(link) - 1);
		link[length > 0 ? length : 0] = 0;
		if (descriptor < FIRST_DESCRIPTOR || sscanf(link, "socket:[%" SCNu64 "]", &inode) != 1)
			continue;
		out_sockets->list[out_sockets->count].inode = inode;
		out_sockets->list[out_sockets->count++].descriptor = descriptor;
	}
}

static void take_listening(void *context, const struct way_row *row)
{
	struct sockets *sockets = context;
	if (row->is_listening)
		sockets->listening[row->local_port / 8] |= (uint8_t)(1u << row->local_port % 8);
}

/* Only what was accepted here: not a connection of the process's own, to a directory for instance. The lowest descriptor
 * wins: sshd has accepted it before anything else was opened. */
static void take_accepted(void *context, const struct way_row *row)
{
	struct sockets *sockets = context;
	if (!row->is_established || !(sockets->listening[row->local_port / 8] & 1u << row->local_port % 8))
		return;
	for (size_t i = 0; i < sockets->count; i++)
		if (sockets->list[i].inode == row->inode && (sockets->found < 0 || sockets->list[i].descriptor < sockets->found)) {
			sockets->found = sockets->list[i].descriptor;
			sockets->way = row->way;
		}
}

static bool has_connection(pid_t pid, struct way *out_way)
{
	struct sockets sockets;
	collect_sockets(pid, &sockets);
	if (sockets.count == 0)
		return false;
	walk_rows(pid, take_listening, &sockets);
	walk_rows(pid, take_accepted, &sockets);
	if (sockets.found >= 0)
		*out_way = sockets.way;
	return sockets.found >= 0;
}

int way_find(struct way *out_way, struct diag *diag)
{
	pid_t pid = getpid();
	struct process process;
	for (int i = 0; i < ANCESTORS_MAX && pid > 1 && read_process(pid, &process); i++) {
		if (process.is_roots && has_connection(pid, out_way))
			return 0;
		pid = process.parent;
	}
	return diag_set(diag, ERR_NOT_FOUND, "no connection from outside is known that leads to this process");
}

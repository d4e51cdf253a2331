/* fd.c: descriptors, whole files, random bytes. */
#include "sallyport/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "sallyport/own.h"

/* Names of files that are being written end in so many digits; after so long their writer is gone. */
enum { SUFFIX = 16, LEFTOVER_S = 60 };

int fd_set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? ERR_SYSTEM : 0;
}

int fd_set_cloexec(int fd, int on)
{
	return fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0) < 0 ? ERR_SYSTEM : 0;
}

/* After half the time without an answer, so many probes fill the other half. */
enum { PROBES = 4 };

void fd_keep_alive(int fd, uint64_t silence_ms)
{
	int idle = (int)(silence_ms / 2000), interval = (int)(silence_ms / 2000 / PROBES);
	idle = idle ? idle : 1;
	interval = interval ? interval : 1;
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &(int){1}, sizeof(int));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &(int){PROBES}, sizeof(int));
}

void fd_raise_limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		setrlimit(RLIMIT_NOFILE, &(struct rlimit){.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max});
}

int fd_read_all(int fd, struct buf *out_bytes)
{
	off_t offset = 0;
	for (;;) {
		char piece[16384];
		ssize_t count = pread(fd, piece, sizeof(piece), offset);
		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return ERR_SYSTEM;
		if (count == 0)
			return 0;
		offset += count;
		int result = buf_add(out_bytes, view_of(piece, (size_t)count));
		wipe(piece, (size_t)count);
		if (result < 0)
			return result;
	}
}

int fd_read_file(const char *path, struct buf *out_bytes, struct diag *diag)
{
	OWN_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return diag_system(diag, "cannot open %s", path);
	int result = fd_read_all(fd, out_bytes);
	if (result == ERR_LIMIT)
		return diag_set(diag, result, "%s is larger than %zu bytes", path, out_bytes->limit);
	return result < 0 ? diag_system(diag, "cannot read %s", path) : 0;
}

int fd_write_all(int fd, struct view bytes)
{
	while (bytes.size) {
		ssize_t count = write(fd, bytes.data, bytes.size);
		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return ERR_SYSTEM;
		bytes.data += count;
		bytes.size -= (size_t)count;
	}
	return 0;
}

static int write_temporary(const char *temporary, mode_t mode, struct view bytes, struct diag *diag)
{
	OWN_FD int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return diag_system(diag, "cannot create %s", temporary);
	/* The umask may have taken bits away; the final mode is what the caller said. */
	if (fchmod(fd, mode) < 0 || fd_write_all(fd, bytes) < 0 || fsync(fd) < 0)
		return diag_system(diag, "cannot write %s", temporary);
	return 0;
}

static int name_in_place(const char *temporary, const char *path, int replace, struct diag *diag)
{
	int moved = replace ? rename(temporary, path) : link(temporary, path);
	if (moved < 0 && errno == EEXIST)
		return diag_set(diag, ERR_DENIED, "%s exists and is not overwritten", path);
	return moved < 0 ? diag_system(diag, "cannot create %s", path) : 0;
}

/* "NAME." and 16 hexadecimal digits, and nobody is at it any more. */
static bool is_leftover(int folder, const char *entry, const char *name)
{
	struct stat found;
	size_t length = strlen(name);
	return strncmp(entry, name, length) == 0 && entry[length] == '.' &&
	       strspn(entry + length + 1, "0123456789abcdef") == SUFFIX && entry[length + 1 + SUFFIX] == 0 &&
	       fstatat(folder, entry, &found, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(found.st_mode) &&
	       time(NULL) - found.st_mtime > LEFTOVER_S;
}

/* What a crash has left of an earlier attempt, which may be a private key, goes. */
static void sweep(const char *path)
{
	char folder[4096];
	const char *slash = strrchr(path, '/');
	snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
	DIR *entries = opendir(folder);
	const struct dirent *entry;
	while (entries && (entry = readdir(entries)))
		if (is_leftover(dirfd(entries), entry->d_name, slash ? slash + 1 : path))
			unlinkat(dirfd(entries), entry->d_name, 0);
	if (entries)
		closedir(entries);
}

int fd_write_file(const char *path, mode_t mode, int replace, struct view bytes, struct diag *diag)
{
	uint8_t random[SUFFIX / 2];
	char suffix[SUFFIX + 1], temporary[4096];
	sweep(path);
	fd_random(random, sizeof(random));
	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(suffix + 2 * i, 3, "%02x", random[i]);
	if ((size_t)snprintf(temporary, sizeof(temporary), "%s.%s", path, suffix) >= sizeof(temporary))
		return diag_set(diag, ERR_LIMIT, "the path %s is too long", path);
	int result = write_temporary(temporary, mode, bytes, diag);
	if (result == 0)
		result = name_in_place(temporary, path, replace, diag);
	if (result < 0 || !replace)
		unlink(temporary);
	return result;
}

int fd_seal(struct view bytes)
{
	OWN_FD int fd = memfd_create("sallyport", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || fd_write_all(fd, bytes) < 0 || lseek(fd, 0, SEEK_SET) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return ERR_SYSTEM;
	return take_fd(&fd);
}

uint64_t fd_round_trip_us(int fd)
{
	struct tcp_info info = {0};
	socklen_t length = sizeof(info);
	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) == 0 ? info.tcpi_rtt : 0;
}

void fd_random(void *out_bytes, size_t size)
{
	uint8_t *place = out_bytes;
	while (size) {
		ssize_t count = getrandom(place, size, 0);
		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			abort();
		place += count;
		size -= (size_t)count;
	}
}

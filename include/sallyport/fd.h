/* fd.h: descriptors: flags, whole reads, atomic files, random bytes. */
#ifndef SALLYPORT_FD_H
#define SALLYPORT_FD_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "sallyport/buf.h"
#include "sallyport/err.h"

[[nodiscard]] int fd_set_nonblocking(int fd);
[[nodiscard]] int fd_set_cloexec(int fd, int on);
/* A TCP peer that is silently gone for so long is noticed, while nothing is on the way to it. */
void fd_keep_alive(int fd, uint64_t silence_ms);
/* This process may have as many descriptors as its hard limit says. */
void fd_raise_limit(void);
/* Reads all of a descriptor from its start up to out_bytes->limit; ERR_LIMIT when it is longer. */
[[nodiscard]] int fd_read_all(int fd, struct buf *out_bytes);
/* Opens and reads a file whole. The diag names the path. */
[[nodiscard]] int fd_read_file(const char *path, struct buf *out_bytes, struct diag *diag);
/* Writes all bytes to a blocking descriptor. */
[[nodiscard]] int fd_write_all(int fd, struct view bytes);
/* Makes a new file with its final mode (a temporary name, fsync, then rename). With
 * `replace` 0 an existing file is left alone: ERR_DENIED. */
[[nodiscard]] int fd_write_file(const char *path, mode_t mode, int replace, struct view bytes, struct diag *diag);
/* Bytes of any size in memory that nobody can change any more, for another process: its descriptor, or ERR_SYSTEM. */
[[nodiscard]] int fd_seal(struct view bytes);
/* The round trip of a TCP connection as the kernel has measured it; 0: not known. */
uint64_t fd_round_trip_us(int fd);
/* Fills from getrandom(2); ends the process when the kernel has none to give. */
void fd_random(void *out_bytes, size_t size);

#endif

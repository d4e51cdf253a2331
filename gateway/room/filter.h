/* filter.h: which system calls a room may make, as a list; compiled once, loaded per process.
 *
 * A list is made of parts; a part gives one verdict to its rows; `rest` is the verdict on every call that
 * no row names. A row may be bound to the values of arguments; when several rows name the same call, one
 * that fits is enough. Calls of a foreign architecture (i386, x32 on x86-64) always end the process.
 *
 *     static const struct filter_row calls[] = {
 *             FILTER_CALL(epoll_wait), FILTER_CALL(ioctl, FILTER_IS(1, FIONBIO)), FILTER_END};
 *     const struct filter_list signer_calls = {
 *             .name = "signer", .rest = FILTER_KILL,
 *             .parts = {{FILTER_ALLOW, filter_basics}, {FILTER_ALLOW, calls}}};
 */
#ifndef SALLYPORT_ROOM_FILTER_H
#define SALLYPORT_ROOM_FILTER_H

#include <stdint.h>
#include <sys/syscall.h>

#include "sallyport/err.h"

enum filter_verdict {
	FILTER_NOTHING, /* (an unused part) */
	FILTER_ALLOW,
	FILTER_REFUSE, /* EPERM: for what a library probes and can live without; the row's comment says which */
	FILTER_ABSENT, /* ENOSYS: for calls with an older substitute whose arguments can be checked (clone3) */
	FILTER_KILL,   /* the whole process dies by SIGSYS; the kernel writes it to the audit log */
};

/* The low bits of argument `argument` (0 to 5) under `mask` must be `value`. Kernel interfaces read most
 * arguments as 32-bit numbers, whose upper half is anybody's: so FILTER_IS looks at 32 bits. */
struct filter_check {
	uint64_t mask; /* 0: no check */
	uint64_t value;
	unsigned argument;
};
#define FILTER_IS(argument_, value_) {.argument = (argument_), .mask = UINT32_MAX, .value = (uint32_t)(value_)}
#define FILTER_MASKED(argument_, mask_, value_) {.argument = (argument_), .mask = (mask_), .value = (value_)}

#define FILTER_CHECKS_MAX 3
struct filter_row {
	const char *name; /* NULL ends the rows */
	long number;
	struct filter_check checks[FILTER_CHECKS_MAX]; /* all must hold */
};
#define FILTER_CALL(call, ...) {.name = #call, .number = SYS_##call, .checks = {__VA_ARGS__}}
#define FILTER_END {.name = NULL}

struct filter_part {
	enum filter_verdict verdict;
	const struct filter_row *rows;
};

#define FILTER_PARTS_MAX 8
struct filter_list {
	const char *name; /* for sentences */
	enum filter_verdict rest;
	struct filter_part parts[FILTER_PARTS_MAX];
};

/* What every locked room needs: reading and writing what is open, memory that is never executable,
 * time, randomness, signal returns, ending. No call here makes a descriptor or names a path. */
extern const struct filter_row filter_basics[];
/* What no room needs and attackers like: tracing, mounts, namespaces, keyrings, bpf, io_uring,
 * userfaultfd, perf, modules, clocks, terminals' input. For the rooms whose `rest` is FILTER_ALLOW. */
extern const struct filter_row filter_dangerous[];
/* Calls whose flags stand in memory, where no filter can look: to be FILTER_ABSENT wherever clone is
 * bound to checks. */
extern const struct filter_row filter_unchecked[];

/* A compiled list: plain memory, inherited by fork. Release with filter_fini. */
struct filter {
	const char *name;
	void *program;
	unsigned short instructions;
};

/* Compiles (0.3 ms). Sanitizer builds add the calls of the sanitizer's runtime. Must run before a filter
 * is in force in this process (it uses memfd_create). ERR_BUG for a list that libseccomp refuses. */
[[nodiscard]] int filter_compile(const struct filter_list *list, struct filter *out_filter, struct diag *diag);
/* Puts a compiled list in force, for this process for ever, on top of what is already in force. The
 * process has set no_new_privs before. */
[[nodiscard]] int filter_load(const struct filter *filter, struct diag *diag);
void filter_fini(struct filter *filter);

#endif

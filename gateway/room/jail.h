/* jail.h: the walls of a room, as a plan, and the one function that builds them.
 *
 * Each room has a file walls.c with its plan (`const struct jail signer_walls`), so that tests/jail can
 * stand behind the very same walls and try what is forbidden.
 *
 * As root every wall of the plan installs, or jail_build fails. An ordinary user cannot build all of
 * them (no other identity; namespaces only where the system allows user namespaces): what is missing is
 * named, the rest is built. no_new_privs, Landlock, the filter and the limits always install.
 */
#ifndef SALLYPORT_ROOM_JAIL_H
#define SALLYPORT_ROOM_JAIL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

#include "filter.h"
#include "sallyport/err.h"

enum jail_namespace {
	JAIL_NETWORK = 1 << 0, /* empty: not even a loopback that is up */
	JAIL_MOUNTS = 1 << 1,
	JAIL_IPC = 1 << 2,
	JAIL_HOST_NAME = 1 << 3,
	JAIL_PROCESSES = 1 << 4, /* for the children: they see only one another */
	JAIL_CGROUPS = 1 << 5,
};

enum jail_access {
	JAIL_READ = 1 << 0,    /* open files for reading, list folders */
	JAIL_WRITE = 1 << 1,   /* write, truncate, create, rename, remove below the path (files, folders, sockets) */
	JAIL_EXECUTE = 1 << 2, /* run programs */
};

/* Landlock: everything below `path`. A path that does not exist is passed over: nothing is allowed there.
 * Opening a socket file in order to connect is not Landlock's matter. */
struct jail_path {
	const char *path; /* NULL ends the list */
	unsigned access;
};

/* The kernel's Landlock version decides how much of this can be had; the best it has is taken. */
enum jail_network {
	JAIL_TCP_CONNECT = 1 << 0, /* allowed; otherwise forbidden (Landlock 4) */
	JAIL_TCP_BIND = 1 << 1,
	JAIL_TCP_SOURCE = 1 << 4, /* bind without a port: only to choose the address that connections come from */
	JAIL_ABSTRACT_SOCKETS = 1 << 2, /* abstract unix sockets of processes outside (Landlock 6) */
	JAIL_SIGNALS_OUTSIDE = 1 << 3,  /* signals to processes outside (Landlock 6) */
};

struct jail_limit {
	int resource; /* RLIMIT_... */
	rlim_t most;  /* soft and hard; a hard limit that is lower already stays */
};
#define JAIL_LIMITS_MAX 8

struct jail {
	const char *name; /* for sentences; lives for ever */
	/* User name or number (uid = gid = number, no supplementary groups). NULL keeps the present one.
	 * Usually filled in at run time from a setting. */
	const char *identity;
	bool root_allowed; /* else an identity that means uid 0 is refused */
	bool keep_groups;  /* give the identity its supplementary groups */
	unsigned namespaces;
	/* The root becomes an empty, read-only tmpfs of this process alone, and the old one is detached;
	 * wants JAIL_MOUNTS. */
	bool empty_root;
	bool landlock;
	const struct jail_path *paths; /* NULL: no path at all */
	unsigned network;              /* enum jail_network: what Landlock leaves open */
	const struct filter_list *filter; /* NULL: none */
	uint64_t capabilities;            /* bits 1ULL << CAP_...; as root all others leave every set */
	struct jail_limit limits[JAIL_LIMITS_MAX]; /* written with JAIL_LIMITS; RLIMIT_CORE 0 is always set */
	unsigned limit_count;
};
#define JAIL_LIMITS(...)                                                                                          \
	.limits = {__VA_ARGS__}, .limit_count = sizeof((struct jail_limit[]){__VA_ARGS__}) / sizeof(struct jail_limit)

/* Names of walls that could not be built ("own identity, empty network"); empty when all stand. */
struct jail_missing {
	char text[512];
};

/* Builds all walls around the calling process, for ever. Before any thread is started (ERR_BUG otherwise);
 * descriptors must be open by now. The process is undumpable and without core files afterwards in any case.
 * ERR_SYSTEM, ERR_NOT_FOUND (identity), ERR_DENIED (root where it must not be), ERR_BUG; after an error
 * the process is half locked and must end. */
[[nodiscard]] int jail_build(const struct jail *jail, struct jail_missing *out_missing, struct diag *diag);

/* No ptrace by the own user, no core file, /proc/PID owned by root. Also after any change of identity,
 * which makes a process dumpable again. ERR_SYSTEM. */
[[nodiscard]] int jail_make_undumpable(struct diag *diag);

#endif

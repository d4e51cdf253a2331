/* walls.c: what the signer may do once its door is locked: talk on its edges, compute, end. */
#include "walls.h"

#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/resource.h>

static const struct filter_row probes[] = {
	/* log_write asks isatty(), which is TCGETS; the answer no only adds the journal's prefix. */
	FILTER_CALL(ioctl),
	/* GnuTLS asks once whether it still is the process that seeded its generator. */
	FILTER_CALL(getpid),
	FILTER_END,
};

static const struct filter_list signer_filter = {
	.name = "signer",
	.rest = FILTER_KILL,
	.parts = {{FILTER_ALLOW, filter_basics}, {FILTER_REFUSE, probes}, {FILTER_ABSENT, filter_unchecked}},
};

const struct jail signer_walls = {
	.name = "signer",
	.namespaces = JAIL_NETWORK | JAIL_MOUNTS | JAIL_IPC | JAIL_HOST_NAME | JAIL_CGROUPS,
	.empty_root = true,
	.landlock = true,
	.paths = NULL,
	.network = 0,
	.filter = &signer_filter,
	.capabilities = 0,
	/* A descriptor for each worker, and nothing else grows. */
	JAIL_LIMITS({RLIMIT_NOFILE, 1048576}, {RLIMIT_NPROC, 0}, {RLIMIT_FSIZE, 0}),
};

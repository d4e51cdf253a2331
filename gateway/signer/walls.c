/* walls.c: what the signer may do once its door is locked: talk on its edges, compute, end. */
#include "walls.h"

#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/resource.h>

static const struct filter_row calls[] = {
	FILTER_CALL(pread64), /* new key files, at a reload */
	FILTER_END,
};

static const struct filter_row probes[] = {
	/* log_write asks isatty(), which is TCGETS; the answer no only adds the journal's prefix. */
	FILTER_CALL(ioctl),
	FILTER_END,
};

static const struct filter_list signer_filter = {
	.name = "signer",
	.rest = FILTER_KILL,
	.parts = {{FILTER_ALLOW, filter_basics}, {FILTER_ALLOW, calls}, {FILTER_REFUSE, probes}},
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
	/* A descriptor for each worker. No RLIMIT_FSIZE: the log may be a file. */
	JAIL_LIMITS({RLIMIT_NOFILE, 1048576}, {RLIMIT_NPROC, 0}),
};

/* walls.c: what the signer may do once its door is locked: talk on its edges, compute, end. */
#include "walls.h"

#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

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

/* ---- with a key in a token ---- */

/* softhsm2 reads and locks the files of its objects at every use; tpm2-pkcs11 its database and the TPM's device;
 * readers of cards are reached by a local socket. */
static const struct filter_row token_calls[] = {
	FILTER_CALL(open),
	FILTER_CALL(openat),
	FILTER_CALL(stat),
	FILTER_CALL(lstat),
	FILTER_CALL(newfstatat),
	FILTER_CALL(statx),
	FILTER_CALL(statfs),
	FILTER_CALL(fstatfs),
	FILTER_CALL(access),
	FILTER_CALL(faccessat),
	FILTER_CALL(faccessat2),
	FILTER_CALL(readlink),
	FILTER_CALL(readlinkat),
	FILTER_CALL(getdents64),
	FILTER_CALL(getcwd),
	FILTER_CALL(pwrite64),
	FILTER_CALL(pread64),
	FILTER_CALL(ftruncate),
	FILTER_CALL(fsync),
	FILTER_CALL(fdatasync),
	FILTER_CALL(flock),
	FILTER_CALL(unlink),
	FILTER_CALL(rename),
	FILTER_CALL(mkdir),
	FILTER_CALL(fcntl),
	FILTER_CALL(dup),
	FILTER_CALL(getuid),
	FILTER_CALL(geteuid),
	FILTER_CALL(getgid),
	FILTER_CALL(getegid),
	FILTER_CALL(getppid),
	FILTER_CALL(uname),
	FILTER_CALL(sysinfo),
	FILTER_CALL(clock_nanosleep),
	FILTER_CALL(nanosleep),
	FILTER_CALL(select),
	FILTER_CALL(pselect6),
	FILTER_CALL(sched_yield),
	FILTER_CALL(socket, FILTER_IS(0, AF_UNIX)),
	FILTER_CALL(connect), /* of a local socket: there is no other */
	FILTER_CALL(sendto),
	FILTER_END,
};

static const struct filter_list token_filter = {
	.name = "signer with a token",
	.rest = FILTER_REFUSE,
	.parts = {{FILTER_ALLOW, filter_basics}, {FILTER_ALLOW, calls}, {FILTER_ALLOW, token_calls}},
};

static const struct jail_path token_common[] = {
	{"/usr", JAIL_READ},
	{"/lib", JAIL_READ},
	{"/lib64", JAIL_READ},
	{"/etc", JAIL_READ},
	{"/dev/urandom", JAIL_READ},
	{"/dev/null", JAIL_READ | JAIL_WRITE},
};
#define TOKEN_COMMON_COUNT (sizeof(token_common) / sizeof(token_common[0]))

int signer_walls_for_token(const struct conf *conf, struct signer_token_walls *token, struct jail *walls,
			   struct diag *diag)
{
	size_t count = 0, position = 0;
	struct view path;
	*token = (struct signer_token_walls){0};
	for (; count < TOKEN_COMMON_COUNT; count++)
		token->paths[count] = token_common[count];
	while (conf_list_next(conf->token_paths, &position, &path)) {
		if (count + 1 >= SIGNER_TOKEN_PATHS_MAX || !path.size || path.data[0] != '/' ||
		    view_to_string(path, token->texts[count], sizeof(token->texts[0])) < 0)
			return diag_set(diag, ERR_BAD_CONFIG, "token_paths: each entry is an absolute path, at most %zu of them",
					SIGNER_TOKEN_PATHS_MAX - TOKEN_COMMON_COUNT - 1);
		token->paths[count] = (struct jail_path){token->texts[count], JAIL_READ | JAIL_WRITE};
		count++;
	}
	walls->empty_root = false;
	walls->paths = token->paths;
	walls->filter = &token_filter;
	return 0;
}

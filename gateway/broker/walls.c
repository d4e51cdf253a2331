/* walls.c: what the broker may do once its door is locked: its store, the name services, the network.
 *
 * It dials targets and loads name service modules, foreign code that wants /etc, sockets, threads and shared
 * objects: so this is a list of what is forbidden. No program is ever run here, and no process made.
 */
#include "walls.h"

#include <sched.h>
#include <string.h>

#include "sallyport/str.h"

/* Threads (CLONE_THREAD) are the store's and libuv's. */
static const struct filter_row processes[] = {
	FILTER_CALL(execve),
	FILTER_CALL(execveat),
	FILTER_CALL(fork),
	FILTER_CALL(vfork),
	FILTER_CALL(clone, FILTER_MASKED(0, CLONE_THREAD, 0)),
	FILTER_END,
};

static const struct filter_list broker_calls = {
	.name = "broker",
	.rest = FILTER_ALLOW,
	/* REFUSE, not KILL: name service modules probe this and that. */
	.parts = {{FILTER_REFUSE, filter_dangerous}, {FILTER_ABSENT, filter_unchecked}, {FILTER_REFUSE, processes}},
};

static const struct jail_path common_paths[] = {
	{"/usr", JAIL_READ},
	{"/lib", JAIL_READ},
	{"/lib64", JAIL_READ},
	{"/etc", JAIL_READ},
	/* name services and what they answer from */
	{"/run", JAIL_READ},
	{"/var/lib/sss", JAIL_READ},
	{"/var/lib/extrausers", JAIL_READ},
	{"/dev/null", JAIL_READ | JAIL_WRITE},
	{"/dev/urandom", JAIL_READ},
};
#define COMMON_COUNT (sizeof(common_paths) / sizeof(common_paths[0]))

static int fill_folder(const char *path, struct broker_walls *walls, struct diag *diag)
{
	const char *slash = strrchr(path, '/');
	size_t length = slash ? (size_t)(slash - path) : 0;
	if (view_to_string(view_of(path, length ? length : 1), walls->store_folder, sizeof(walls->store_folder)) < 0)
		return diag_set(diag, ERR_BAD_CONFIG, "the path of the store is too long");
	return 0;
}

int broker_walls_make(const struct conf *conf, struct broker_walls *out_walls, struct diag *diag)
{
	*out_walls = (struct broker_walls){
		.jail = {
			.name = "broker",
			.identity = conf->broker_user,
			.namespaces = JAIL_IPC | JAIL_HOST_NAME,
			.landlock = true,
			.network = JAIL_TCP_CONNECT | (*conf->dial_source ? JAIL_TCP_SOURCE : 0),
			.filter = &broker_calls,
			JAIL_LIMITS({RLIMIT_NOFILE, 1048576}),
		},
	};
	int result = fill_folder(conf->store, out_walls, diag);
	if (result < 0)
		return result;
	memcpy(out_walls->paths, common_paths, sizeof(common_paths));
	out_walls->paths[COMMON_COUNT] = (struct jail_path){out_walls->store_folder, JAIL_READ | JAIL_WRITE};
	out_walls->jail.paths = out_walls->paths;
	return 0;
}

/* walls.c: what a conversation may do, which is what PAM modules need and no more.
 *
 * Modules are foreign code of every kind: they read /etc, ask name services, LDAP or RADIUS servers, may run a
 * helper. So this room has a list of what is forbidden instead of a list of what is allowed, and Landlock decides
 * which files it sees. no_new_privs takes setuid helpers away: in an own identity pam_unix cannot read the
 * shadow file; that is why conversation_user is root by default.
 */
#include "walls.h"

#include <linux/capability.h>

static const struct filter_list conversation_calls = {
	.name = "conversation",
	.rest = FILTER_ALLOW,
	/* REFUSE, not KILL: pam_keyinit and libraries probe some of these and live without. */
	.parts = {{FILTER_REFUSE, filter_dangerous}, {FILTER_ABSENT, filter_unchecked}},
};

static const struct jail_path common_paths[] = {
	{"/usr", JAIL_READ | JAIL_EXECUTE},
	{"/lib", JAIL_READ | JAIL_EXECUTE},
	{"/lib64", JAIL_READ | JAIL_EXECUTE},
	{"/bin", JAIL_READ | JAIL_EXECUTE},
	{"/sbin", JAIL_READ | JAIL_EXECUTE},
	/* pam_sallyport, where Sallyport is not installed below /usr */
	{SALLYPORT_PAM_DIRECTORY, JAIL_READ},
	{"/etc", JAIL_READ},
	/* name services and what they answer from */
	{"/run", JAIL_READ},
	{"/var/lib/sss", JAIL_READ},
	{"/var/lib/extrausers", JAIL_READ},
	{"/dev/null", JAIL_READ | JAIL_WRITE},
	{"/dev/urandom", JAIL_READ},
	{"/dev/random", JAIL_READ},
	{"/dev/log", JAIL_READ | JAIL_WRITE},
};
#define COMMON_COUNT (sizeof(common_paths) / sizeof(common_paths[0]))

/* As root: become the user whose file a module reads, write to the audit log (libpam refuses a login whose
 * audit record root could not write), read files of others, hand a tally file to its user and
 * write it afterwards (pam_faillock's has mode 0600, and without that nothing is counted). Landlock bounds where. */
#define ROOT_CAPABILITIES                                                                              \
	(1ULL << CAP_SETUID | 1ULL << CAP_SETGID | 1ULL << CAP_AUDIT_WRITE | 1ULL << CAP_DAC_READ_SEARCH | \
	 1ULL << CAP_CHOWN | 1ULL << CAP_DAC_OVERRIDE)

static int add_path(struct conversation_walls *walls, size_t *count, struct view path, unsigned access, struct diag *diag)
{
	/* One row stays empty: it ends the list. */
	if (*count + 1 >= CONVERSATION_PATHS_MAX)
		return diag_set(diag, ERR_BAD_CONFIG, "pam_writable has too many paths");
	if (view_to_string(path, walls->texts[*count], sizeof(walls->texts[0])) < 0)
		return diag_set(diag, ERR_BAD_CONFIG, "a path of pam_writable or pam_directory is longer than %zu characters",
				sizeof(walls->texts[0]) - 1);
	walls->paths[*count] = (struct jail_path){walls->texts[*count], access};
	(*count)++;
	return 0;
}

static int add_configured_paths(const struct conf *conf, struct conversation_walls *walls, size_t *count, struct diag *diag)
{
	int result = 0;
	size_t position = 0;
	struct view path;
	if (*conf->pam_directory)
		result = add_path(walls, count, view_string(conf->pam_directory), JAIL_READ, diag);
	while (result == 0 && conf_list_next(conf->pam_writable, &position, &path))
		result = add_path(walls, count, path, JAIL_READ | JAIL_WRITE, diag);
	return result;
}

int conversation_walls_plan(const struct conf *conf, struct conversation_walls *out_walls, struct diag *diag)
{
	*out_walls = (struct conversation_walls){0};
	size_t count = 0;
	for (; count < COMMON_COUNT; count++)
		out_walls->paths[count] = common_paths[count];
	int result = add_configured_paths(conf, out_walls, &count, diag);
	bool is_root = view_is(view_string(conf->conversation_user), "root") ||
		       view_is(view_string(conf->conversation_user), "0");
	out_walls->jail = (struct jail){
		.name = "conversation",
		.identity = conf->conversation_user,
		.root_allowed = true,
		.namespaces = JAIL_MOUNTS | JAIL_IPC | JAIL_HOST_NAME,
		.landlock = true,
		.paths = out_walls->paths,
		.network = JAIL_TCP_CONNECT | JAIL_ABSTRACT_SOCKETS,
		.filter = &conversation_calls,
		.capabilities = is_root ? ROOT_CAPABILITIES : 0,
		JAIL_LIMITS({RLIMIT_CPU, 60}, {RLIMIT_NOFILE, 256}, {RLIMIT_FSIZE, 64 << 20}),
	};
	return result;
}

/* jail.c: builds the walls of a plan, in the only order that works.
 *
 * The order, and why:
 *   1. what needs files: the identity's numbers, Landlock's paths, the compiled filter;
 *   2. namespaces and the empty root: they need root's powers, and no path is wanted after 1;
 *   3. limits, then the identity and its capabilities: the end of root's powers;
 *   4. undumpable, again: a change of identity makes a process dumpable;
 *   5. no_new_privs: the next two demand it;
 *   6. Landlock, then the filter last: it forbids the calls that built everything before.
 */
#include "jail.h"

#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "identity.h"
#include "landlock.h"
#include "sallyport/own.h"
#include "space.h"

struct prepared {
	struct identity identity;
	int rules;
	struct filter filter;
};

static bool is_root(void)
{
	return geteuid() == 0;
}

static void add_missing(struct jail_missing *missing, const char *wall)
{
	size_t used = strlen(missing->text);
	snprintf(missing->text + used, sizeof(missing->text) - used, "%s%s", used ? ", " : "", wall);
}

/* ---- 1. what needs files ---- */

static int prepare_identity(const struct jail *jail, struct prepared *prepared, struct jail_missing *missing,
			    struct diag *diag)
{
	if (is_root())
		return identity_find(jail, &prepared->identity, diag);
	if (jail->identity)
		add_missing(missing, "own identity");
	return 0;
}

/* Landlock, the filter, capabilities and namespaces are a thread's own: one that runs already would stay
 * outside. A folder has two links and one for each folder in it. */
static int check_threads(struct diag *diag)
{
	struct stat tasks;
	if (stat("/proc/self/task", &tasks) == 0 && tasks.st_nlink != 3)
		return diag_set(diag, ERR_BUG, "a thread was started before the door was locked");
	return 0;
}

static int prepare(const struct jail *jail, struct prepared *prepared, struct jail_missing *missing, struct diag *diag)
{
	int result = check_threads(diag);
	if (result == 0)
		result = prepare_identity(jail, prepared, missing, diag);
	if (result == 0 && jail->landlock)
		result = landlock_prepare(jail, &prepared->rules, diag);
	if (result == 0 && jail->filter)
		result = filter_compile(jail->filter, &prepared->filter, diag);
	return result;
}

/* ---- 2. namespaces, root ---- */

static int build_space(const struct jail *jail, bool was_root, struct jail_missing *missing, struct diag *diag)
{
	static const char *const names[] = {"empty network", "own mounts", "own ipc", "own host name", "own processes",
					    "own cgroups"};
	int left = jail->namespaces ? space_leave(jail->namespaces, diag) : 0;
	int emptied = left == 0 && jail->empty_root ? space_empty_root(diag) : left;
	if (was_root || left == ERR_BUG)
		return emptied;
	for (size_t i = 0; left < 0 && i < sizeof(names) / sizeof(names[0]); i++)
		if (jail->namespaces & 1U << i)
			add_missing(missing, names[i]);
	if (emptied < 0 && jail->empty_root)
		add_missing(missing, "empty root");
	return 0;
}

/* ---- 3. limits, identity ---- */

static int lower(int resource, rlim_t most, struct diag *diag)
{
	struct rlimit limit;
	if (getrlimit((__rlimit_resource_t)resource, &limit) < 0)
		return diag_system(diag, "cannot read the limit %d", resource);
	if (limit.rlim_max == RLIM_INFINITY || limit.rlim_max > most)
		limit.rlim_max = most;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit((__rlimit_resource_t)resource, &limit) < 0)
		return diag_system(diag, "cannot set the limit %d", resource);
	return 0;
}

static int build_limits(const struct jail *jail, struct diag *diag)
{
	int result = 0;
	for (unsigned i = 0; result == 0 && i < jail->limit_count; i++)
		result = lower(jail->limits[i].resource, jail->limits[i].most, diag);
	return result;
}

static int build_identity(const struct jail *jail, const struct prepared *prepared, bool was_root, struct diag *diag)
{
	umask(077);
	return was_root ? identity_assume(&prepared->identity, jail->capabilities, diag)
			: identity_drop_capabilities(0, diag);
}

/* ---- 4. undumpable ---- */

int jail_make_undumpable(struct diag *diag)
{
	const struct rlimit none = {0, 0};
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
		return diag_system(diag, "cannot become undumpable");
	if (setrlimit(RLIMIT_CORE, &none) < 0)
		return diag_system(diag, "cannot forbid core files");
	return 0;
}

/* ---- 5. and 6. ---- */

static int close_the_door(const struct jail *jail, const struct prepared *prepared, struct diag *diag)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return diag_system(diag, "cannot set no_new_privs");
	int result = jail->landlock ? landlock_enforce(prepared->rules, diag) : 0;
	if (result == 0 && jail->landlock)
		close(prepared->rules);
	return result == 0 && jail->filter ? filter_load(&prepared->filter, diag) : result;
}

static int build(const struct jail *jail, struct prepared *prepared, struct jail_missing *missing, struct diag *diag)
{
	bool was_root = is_root();
	int result = prepare(jail, prepared, missing, diag);
	if (result == 0)
		result = build_space(jail, was_root, missing, diag);
	if (result == 0)
		result = build_limits(jail, diag);
	if (result == 0)
		result = build_identity(jail, prepared, was_root, diag);
	if (result == 0)
		result = jail_make_undumpable(diag);
	return result == 0 ? close_the_door(jail, prepared, diag) : result;
}

int jail_build(const struct jail *jail, struct jail_missing *out_missing, struct diag *diag)
{
	struct prepared prepared = {.rules = -1};
	struct diag why;
	out_missing->text[0] = '\0';
	int result = build(jail, &prepared, out_missing, &why);
	filter_fini(&prepared.filter);
	return result < 0 ? diag_set(diag, result, "the walls of %s do not stand: %s", jail->name, why.text) : 0;
}

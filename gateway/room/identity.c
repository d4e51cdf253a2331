/* identity.c: become somebody else, for good; capabilities by libcap-ng. */
#include "identity.h"

#include <cap-ng.h>
#include <errno.h>
#include <grp.h>
#include <linux/securebits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "sallyport/str.h"

static int find_groups(const char *name, struct identity *identity, struct diag *diag)
{
	identity->group_count = IDENTITY_GROUPS_MAX;
	if (getgrouplist(name, identity->group, identity->groups, &identity->group_count) < 0)
		return diag_set(diag, ERR_LIMIT, "%s is in more than %d groups", name, IDENTITY_GROUPS_MAX);
	return 0;
}

static int find_name(const struct jail *jail, struct identity *identity, struct diag *diag)
{
	errno = 0;
	const struct passwd *entry = getpwnam(jail->identity);
	if (!entry)
		return diag_set(diag, ERR_NOT_FOUND,
				"there is no user %s, as whom %s should run: create it (useradd --system %s) "
				"or name another in gateway.conf",
				jail->identity, jail->name, jail->identity);
	identity->user = entry->pw_uid;
	identity->group = entry->pw_gid;
	return jail->keep_groups ? find_groups(jail->identity, identity, diag) : 0;
}

int identity_find(const struct jail *jail, struct identity *out_identity, struct diag *diag)
{
	uint64_t number = 0;
	int result = 0;
	*out_identity = (struct identity){.changes = jail->identity != NULL};
	if (!jail->identity)
		return 0;
	if (str_to_u64(view_string(jail->identity), 0, UINT32_MAX - 1, &number) == 0)
		out_identity->user = out_identity->group = (uid_t)number;
	else
		result = find_name(jail, out_identity, diag);
	if (result == 0 && (out_identity->user == 0 || out_identity->group == 0) && !jail->root_allowed)
		return diag_set(diag, ERR_DENIED, "%s must not run as root: \"%s\" is user or group 0", jail->name,
				jail->identity);
	return result;
}

static void select_capabilities(uint64_t capabilities)
{
	capng_clear(CAPNG_SELECT_ALL);
	for (unsigned capability = 0; capability < 64; capability++)
		if (capabilities & 1ULL << capability)
			capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET, capability);
}

/* Both must still be possible now: dropping from the bounding set needs CAP_SETPCAP. */
static int narrow_the_bounds(uint64_t capabilities, struct diag *diag)
{
	capng_get_caps_process();
	select_capabilities(capabilities);
	if (capng_apply(CAPNG_SELECT_BOUNDS) < 0)
		return diag_system(diag, "cannot narrow the capability bounding set");
	/* User 0 gets nothing for being 0, at exec or at a change of identity, and nobody can undo this. */
	if (prctl(PR_SET_SECUREBITS,
		  SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE |
			  SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED,
		  0, 0, 0) < 0)
		return diag_system(diag, "cannot set securebits");
	return 0;
}

static int change_ids(const struct identity *identity, struct diag *diag)
{
	uid_t real, effective, saved;
	if (!identity->changes)
		return 0;
	/* Groups first: without root they could not be changed any more. */
	if (setgroups((size_t)identity->group_count, identity->groups) < 0 ||
	    setresgid(identity->group, identity->group, identity->group) < 0 ||
	    setresuid(identity->user, identity->user, identity->user) < 0)
		return diag_system(diag, "cannot become user %u, group %u", identity->user, identity->group);
	if (getresuid(&real, &effective, &saved) < 0 || real != identity->user || effective != real || saved != real)
		return diag_set(diag, ERR_BUG, "the change to user %u did not hold", identity->user);
	return 0;
}

int identity_assume(const struct identity *identity, uint64_t capabilities, struct diag *diag)
{
	int result = narrow_the_bounds(capabilities, diag);
	/* Leaving user 0 empties the permitted set unless told otherwise. */
	if (result == 0 && prctl(PR_SET_KEEPCAPS, capabilities != 0, 0, 0, 0) < 0)
		result = diag_system(diag, "cannot keep capabilities over the change of identity");
	if (result == 0)
		result = change_ids(identity, diag);
	if (result == 0)
		result = identity_drop_capabilities(capabilities, diag);
	if (result == 0 && identity->changes && identity->user != 0 && setuid(0) == 0)
		return diag_set(diag, ERR_BUG, "user %u can become root again", identity->user);
	return result;
}

int identity_drop_capabilities(uint64_t capabilities, struct diag *diag)
{
	capng_get_caps_process();
	select_capabilities(capabilities);
	if (capng_apply(CAPNG_SELECT_CAPS | CAPNG_SELECT_AMBIENT) < 0)
		return diag_system(diag, "cannot drop capabilities");
	return 0;
}

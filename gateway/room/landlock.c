/* landlock.c: Landlock by raw system calls, at the best version that the kernel has.
 *
 * The distribution's header knows the first versions only; what came later is declared here under names
 * of our own (values: linux/landlock.h of Linux 6.12).
 */
#include "landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sallyport/own.h"

/* Since version 3, 5. */
#define FS_TRUNCATE (1ULL << 14)
#define FS_IOCTL_DEVICE (1ULL << 15)
/* Since version 4. */
#define NET_BIND_TCP (1ULL << 0)
#define NET_CONNECT_TCP (1ULL << 1)
/* Since version 6. */
#define SCOPE_ABSTRACT_SOCKETS (1ULL << 0)
#define SCOPE_SIGNALS (1ULL << 1)

/* Since version 4: a rule for one port. */
enum { RULE_NET_PORT = 2 };
struct port_rule {
	uint64_t access, port;
};

struct rules_attributes {
	uint64_t filesystem, network, scopes;
};

#define FS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define FS_EXECUTE (LANDLOCK_ACCESS_FS_EXECUTE)
#define FS_WRITE \
	(LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | \
	 LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK | \
	 LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_REFER | FS_TRUNCATE)
/* What a rule about a file, not a folder, may say. */
#define FS_OF_FILES \
	(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE | FS_TRUNCATE | \
	 FS_IOCTL_DEVICE)

/* All that a version can forbid. Making devices is in no jail_access: nobody may. */
static uint64_t filesystem_rights(long version)
{
	uint64_t rights = (1ULL << 13) - 1;
	rights |= version >= 2 ? LANDLOCK_ACCESS_FS_REFER : 0;
	rights |= version >= 3 ? FS_TRUNCATE : 0;
	rights |= version >= 5 ? FS_IOCTL_DEVICE : 0;
	return rights;
}

static struct rules_attributes attributes_of(const struct jail *jail, long version)
{
	struct rules_attributes attributes = {.filesystem = filesystem_rights(version)};
	if (version >= 4) {
		attributes.network |= jail->network & JAIL_TCP_BIND ? 0 : NET_BIND_TCP;
		attributes.network |= jail->network & JAIL_TCP_CONNECT ? 0 : NET_CONNECT_TCP;
	}
	if (version >= 6) {
		attributes.scopes |= jail->network & JAIL_ABSTRACT_SOCKETS ? 0 : SCOPE_ABSTRACT_SOCKETS;
		attributes.scopes |= jail->network & JAIL_SIGNALS_OUTSIDE ? 0 : SCOPE_SIGNALS;
	}
	return attributes;
}

/* Older kernels refuse a longer struct only when the part that they do not know is not zero. */
static int make_rules(const struct jail *jail, uint64_t *out_rights, struct diag *diag)
{
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	if (version < 1)
		return diag_system(diag, "this kernel has no Landlock (it needs CONFIG_SECURITY_LANDLOCK and "
					 "\"landlock\" in the lsm= boot parameter)");
	struct rules_attributes attributes = attributes_of(jail, version);
	int rules = (int)syscall(SYS_landlock_create_ruleset, &attributes, sizeof(attributes), 0);
	*out_rights = attributes.filesystem;
	return rules < 0 ? diag_system(diag, "cannot make a Landlock rule set") : rules;
}

static uint64_t rights_of(unsigned access)
{
	return (access & JAIL_READ ? FS_READ : 0) | (access & JAIL_WRITE ? FS_WRITE : 0) |
	       (access & JAIL_EXECUTE ? FS_EXECUTE : 0);
}

static int add_path(int rules, const struct jail_path *path, uint64_t known_rights, struct diag *diag)
{
	struct stat status;
	OWN_FD int fd = open(path->path, O_PATH | O_CLOEXEC);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == EACCES))
		return 0;
	if (fd < 0 || fstat(fd, &status) < 0)
		return diag_system(diag, "cannot open %s for a Landlock rule", path->path);
	struct landlock_path_beneath_attr rule = {.parent_fd = fd,
						  .allowed_access = rights_of(path->access) & known_rights};
	if (!S_ISDIR(status.st_mode))
		rule.allowed_access &= FS_OF_FILES;
	if (rule.allowed_access && syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
		return diag_system(diag, "cannot add a Landlock rule for %s", path->path);
	return 0;
}

/* A kernel of an older version forbids no port, and knows no such rule. */
static int add_source(int rules, const struct jail *jail, struct diag *diag)
{
	const struct port_rule rule = {.access = NET_BIND_TCP, .port = 0};
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	if (!(jail->network & JAIL_TCP_SOURCE) || jail->network & JAIL_TCP_BIND || version < 4)
		return 0;
	if (syscall(SYS_landlock_add_rule, rules, RULE_NET_PORT, &rule, 0) < 0)
		return diag_system(diag, "cannot add a Landlock rule for source addresses");
	return 0;
}

int landlock_prepare(const struct jail *jail, int *out_rules, struct diag *diag)
{
	uint64_t rights = 0;
	OWN_FD int rules = make_rules(jail, &rights, diag);
	if (rules < 0)
		return rules;
	for (const struct jail_path *path = jail->paths; path && path->path; path++) {
		int result = add_path(rules, path, rights, diag);
		if (result < 0)
			return result;
	}
	int result = add_source(rules, jail, diag);
	if (result == 0)
		*out_rules = take_fd(&rules);
	return result;
}

int landlock_enforce(int rules, struct diag *diag)
{
	if (syscall(SYS_landlock_restrict_self, rules, 0) < 0)
		return diag_system(diag, "cannot enforce Landlock");
	return 0;
}

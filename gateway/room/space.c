/* space.c: namespaces, and a root with nothing in it. */
#include "space.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sallyport/fd.h"
#include "sallyport/own.h"

static const struct {
	unsigned namespace;
	int flag;
} flags[] = {
	{JAIL_NETWORK, CLONE_NEWNET},   {JAIL_MOUNTS, CLONE_NEWNS},     {JAIL_IPC, CLONE_NEWIPC},
	{JAIL_HOST_NAME, CLONE_NEWUTS}, {JAIL_PROCESSES, CLONE_NEWPID}, {JAIL_CGROUPS, CLONE_NEWCGROUP},
};

static int write_own(const char *path, const char *text)
{
	OWN_FD int fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd < 0 ? ERR_SYSTEM : fd_write_all(fd, view_string(text));
}

/* In a user namespace everybody is "nobody" until the numbers are mapped; then comparing the own number with
 * a peer's (SO_PEERCRED) would find everybody equal. So this user keeps his number, and others have none. */
static int map_own_numbers(uid_t user, gid_t group)
{
	char users[64], groups[64];
	snprintf(users, sizeof(users), "%u %u 1\n", user, user);
	snprintf(groups, sizeof(groups), "%u %u 1\n", group, group);
	/* An undumpable process' files in /proc belong to root. jail_build makes it undumpable again. */
	if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0)
		return ERR_SYSTEM;
	int result = write_own("/proc/self/setgroups", "deny");
	if (result == 0)
		result = write_own("/proc/self/uid_map", users);
	return result < 0 ? result : write_own("/proc/self/gid_map", groups);
}

int space_leave(unsigned namespaces, struct diag *diag)
{
	uid_t user = geteuid();
	gid_t group = getegid();
	int wanted = user == 0 ? 0 : CLONE_NEWUSER;
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		wanted |= namespaces & flags[i].namespace ? flags[i].flag : 0;
	if (unshare(wanted) < 0)
		return diag_system(diag, "cannot make namespaces");
	if (user != 0 && map_own_numbers(user, group) < 0)
		return diag_set(diag, ERR_BUG, "cannot keep the own number in a user namespace");
	/* Nothing that happens here may reach the mounts of others. */
	if ((namespaces & JAIL_MOUNTS) && mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return diag_system(diag, "cannot separate the mounts");
	return 0;
}

/* The new root lies over the old one in the same place: no path of the old file system needs to exist for
 * it, and detaching "." afterwards takes the old one away (pivot_root(2), "pivot_root(".", ".")"). */
static int change_root(struct diag *diag)
{
	if (syscall(SYS_pivot_root, ".", ".") == 0)
		return umount2(".", MNT_DETACH) < 0 ? diag_system(diag, "cannot detach the old root") : 0;
	/* The very first root (an initramfs) cannot be pivoted away: move over it instead. */
	if (errno != EINVAL || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0)
		return diag_system(diag, "cannot change to an empty root");
	return 0;
}

int space_empty_root(struct diag *diag)
{
	/* /proc is a folder on every Linux; what it shows goes out of sight with it. */
	if (mount("empty", "/proc", "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
		  "mode=0111,size=4096,nr_inodes=2") < 0 ||
	    chdir("/proc") < 0)
		return diag_system(diag, "cannot make an empty root");
	int result = change_root(diag);
	if (result == 0 && chdir("/") < 0)
		return diag_system(diag, "cannot enter the empty root");
	return result;
}

/* space.c: namespaces, and a root with nothing in it. */
#include "space.h"

#include <errno.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct {
	unsigned namespace;
	int flag;
} flags[] = {
	{JAIL_NETWORK, CLONE_NEWNET},   {JAIL_MOUNTS, CLONE_NEWNS},     {JAIL_IPC, CLONE_NEWIPC},
	{JAIL_HOST_NAME, CLONE_NEWUTS}, {JAIL_PROCESSES, CLONE_NEWPID}, {JAIL_CGROUPS, CLONE_NEWCGROUP},
};

int space_leave(unsigned namespaces, struct diag *diag)
{
	int wanted = geteuid() == 0 ? 0 : CLONE_NEWUSER;
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		wanted |= namespaces & flags[i].namespace ? flags[i].flag : 0;
	if (unshare(wanted) < 0)
		return diag_system(diag, "cannot make namespaces");
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
	/* Nothing that happens here may reach the mounts of others. */
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return diag_system(diag, "cannot make the mounts private");
	/* /proc is a folder on every Linux; what it shows goes out of sight with it. */
	if (mount("empty", "/proc", "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0,size=4096,nr_inodes=2") < 0 ||
	    chdir("/proc") < 0)
		return diag_system(diag, "cannot make an empty root");
	int result = change_root(diag);
	if (result == 0 && chdir("/") < 0)
		return diag_system(diag, "cannot enter the empty root");
	return result;
}

/* calls.c: the system calls that the rooms' lists have in common (filter.h says what each list means). */
#include "filter.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <termios.h>

#ifndef TIOCLINUX
#define TIOCLINUX 0x541C
#endif

const struct filter_row filter_basics[] = {
	/* what is open already */
	FILTER_CALL(read),
	FILTER_CALL(write),
	FILTER_CALL(readv),
	FILTER_CALL(writev),
	FILTER_CALL(recvmsg),
	FILTER_CALL(recvfrom),
	/* no address and no connect in disguise (MSG_FASTOPEN): tunnels' sockets belong to another network */
	FILTER_CALL(sendmsg, FILTER_MASKED(2, MSG_FASTOPEN, 0)),
	FILTER_CALL(sendto, FILTER_MASKED(3, MSG_FASTOPEN, 0), FILTER_MASKED(4, UINT64_MAX, 0)),
	FILTER_CALL(shutdown),
	FILTER_CALL(close),
	FILTER_CALL(lseek),
	FILTER_CALL(fstat),
	FILTER_CALL(poll),
	FILTER_CALL(ppoll),
	FILTER_CALL(epoll_wait),
	FILTER_CALL(epoll_pwait),
	FILTER_CALL(epoll_ctl),
	FILTER_CALL(fcntl, FILTER_IS(1, F_GETFD)),
	FILTER_CALL(fcntl, FILTER_IS(1, F_SETFD)),
	FILTER_CALL(fcntl, FILTER_IS(1, F_GETFL)),
	FILTER_CALL(fcntl, FILTER_IS(1, F_SETFL)),
	/* memory that is never executable */
	FILTER_CALL(brk),
	FILTER_CALL(mmap, FILTER_MASKED(2, PROT_EXEC, 0)),
	FILTER_CALL(mprotect, FILTER_MASKED(2, PROT_EXEC, 0)),
	FILTER_CALL(munmap),
	FILTER_CALL(mremap),
	FILTER_CALL(madvise),
	FILTER_CALL(futex),
	/* time, randomness, the own number (GnuTLS notices a fork by it), signal returns, the end */
	FILTER_CALL(clock_gettime),
	FILTER_CALL(clock_getres),
	FILTER_CALL(gettimeofday),
	FILTER_CALL(getrandom),
	FILTER_CALL(getpid),
	FILTER_CALL(gettid),
	FILTER_CALL(rt_sigaction),
	FILTER_CALL(rt_sigprocmask),
	FILTER_CALL(rt_sigreturn),
	FILTER_CALL(restart_syscall),
	FILTER_CALL(exit),
	FILTER_CALL(exit_group),
	FILTER_END,
};

const struct filter_row filter_dangerous[] = {
	/* other processes' memory and descriptors */
	FILTER_CALL(ptrace),
	FILTER_CALL(process_vm_readv),
	FILTER_CALL(process_vm_writev),
	FILTER_CALL(pidfd_getfd),
	FILTER_CALL(process_madvise),
	FILTER_CALL(kcmp),
	/* namespaces, mounts, roots */
	FILTER_CALL(unshare),
	FILTER_CALL(setns),
	FILTER_CALL(clone, FILTER_MASKED(0, CLONE_NEWUSER, CLONE_NEWUSER)),
	FILTER_CALL(clone, FILTER_MASKED(0, CLONE_NEWNS, CLONE_NEWNS)),
	FILTER_CALL(clone, FILTER_MASKED(0, CLONE_NEWNET, CLONE_NEWNET)),
	FILTER_CALL(mount),
	FILTER_CALL(umount2),
	FILTER_CALL(pivot_root),
	FILTER_CALL(chroot),
	FILTER_CALL(open_tree),
	FILTER_CALL(move_mount),
	FILTER_CALL(fsopen),
	FILTER_CALL(fsconfig),
	FILTER_CALL(fsmount),
	FILTER_CALL(fspick),
	FILTER_CALL(mount_setattr),
	FILTER_CALL(open_by_handle_at),
	/* large doors into the kernel */
	FILTER_CALL(bpf),
	FILTER_CALL(io_uring_setup),
	FILTER_CALL(io_uring_enter),
	FILTER_CALL(io_uring_register),
	FILTER_CALL(userfaultfd),
	FILTER_CALL(perf_event_open),
	FILTER_CALL(add_key),
	FILTER_CALL(request_key),
	FILTER_CALL(keyctl),
	FILTER_CALL(personality),
	FILTER_CALL(vmsplice),
	FILTER_CALL(fanotify_init),
	/* the machine */
	FILTER_CALL(init_module),
	FILTER_CALL(finit_module),
	FILTER_CALL(delete_module),
	FILTER_CALL(kexec_load),
	FILTER_CALL(kexec_file_load),
	FILTER_CALL(reboot),
	FILTER_CALL(swapon),
	FILTER_CALL(swapoff),
	FILTER_CALL(acct),
	FILTER_CALL(quotactl),
	FILTER_CALL(syslog),
	FILTER_CALL(settimeofday),
	FILTER_CALL(clock_settime),
	FILTER_CALL(clock_adjtime),
	FILTER_CALL(adjtimex),
	FILTER_CALL(sethostname),
	FILTER_CALL(setdomainname),
#ifdef SYS_iopl
	FILTER_CALL(iopl),
	FILTER_CALL(ioperm),
	FILTER_CALL(modify_ldt),
#endif
	/* typing into somebody's terminal */
	FILTER_CALL(ioctl, FILTER_IS(1, TIOCSTI)),
	FILTER_CALL(ioctl, FILTER_IS(1, TIOCLINUX)),
	FILTER_END,
};

const struct filter_row filter_unchecked[] = {
	FILTER_CALL(clone3),
	FILTER_END,
};

/* acts.c: every forbidden act, by the bare system call: what a stranger's code would do. */
#include "acts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/io_uring.h>
#include <linux/keyctl.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define TRY(name, ...)                                       \
	static long name(const struct stage *stage)          \
	{                                                    \
		(void)stage;                                 \
		__VA_ARGS__                                  \
	}

/* ---- files ---- */

TRY(open_a_file, return syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY);)
TRY(open_the_root, return syscall(SYS_openat, AT_FDCWD, "/", O_RDONLY | O_DIRECTORY);)
TRY(open_a_readable_file_elsewhere, return syscall(SYS_openat, AT_FDCWD, stage->secret, O_RDONLY);)
TRY(create_a_file, return syscall(SYS_openat, AT_FDCWD, "/sallyport-jail-test", O_WRONLY | O_CREAT, 0600);)
TRY(create_a_file_in_tmp, return syscall(SYS_openat, AT_FDCWD, "/tmp/sallyport-jail-test", O_WRONLY | O_CREAT, 0600);)
TRY(write_to_etc, return syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_WRONLY | O_APPEND);)
TRY(remove_a_file, return syscall(SYS_unlinkat, AT_FDCWD, stage->secret, 0);)
TRY(rename_a_file, return syscall(SYS_renameat2, AT_FDCWD, stage->secret, AT_FDCWD, stage->secret, 0);)
TRY(make_a_link, return syscall(SYS_symlinkat, "x", AT_FDCWD, "/tmp/sallyport-jail-link");)
TRY(look_at_a_file, struct stat status; return syscall(SYS_newfstatat, AT_FDCWD, "/etc/passwd", &status, 0);)
TRY(look_at_a_process, struct stat status; return syscall(SYS_newfstatat, AT_FDCWD, "/proc/1", &status, 0);)
TRY(read_own_proc, return syscall(SYS_openat, AT_FDCWD, "/proc/self/status", O_RDONLY);)
TRY(ask_for_access, return syscall(SYS_faccessat, AT_FDCWD, "/etc/passwd", R_OK);)
TRY(change_directory, return syscall(SYS_chdir, "/etc");)
TRY(make_a_memory_file, return syscall(SYS_memfd_create, "x", 0);)
TRY(watch_files, return syscall(SYS_inotify_init1, 0);)

/* ---- network ---- */

TRY(open_an_ipv4_socket, return syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);)
TRY(open_an_ipv6_socket, return syscall(SYS_socket, AF_INET6, SOCK_DGRAM, 0);)
TRY(open_a_unix_socket, return syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0);)
TRY(open_a_netlink_socket, return syscall(SYS_socket, AF_NETLINK, SOCK_RAW, 0);)
TRY(open_a_vsock_socket, return syscall(SYS_socket, AF_VSOCK, SOCK_STREAM, 0);)
TRY(open_a_raw_socket, return syscall(SYS_socket, AF_INET, SOCK_RAW, IPPROTO_ICMP);)
TRY(open_a_packet_socket, return syscall(SYS_socket, AF_PACKET, SOCK_RAW, 0);)
TRY(make_a_socket_pair, int ends[2]; return syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, ends);)
TRY(connect_a_socket, return syscall(SYS_connect, stage->tcp, &stage->listener, sizeof(stage->listener));)
TRY(connect_to_an_abstract_address,
    return syscall(SYS_connect, stage->unix_stream, &stage->abstract, stage->abstract_size);)
TRY(connect_in_disguise,
    return syscall(SYS_sendto, stage->tcp, "x", 1, MSG_FASTOPEN, &stage->listener, sizeof(stage->listener));)
TRY(disconnect_a_tunnel, struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
    return syscall(SYS_connect, stage->connected, &nowhere, sizeof(nowhere));)
TRY(send_a_datagram, return syscall(SYS_sendto, stage->udp, "x", 1, 0, &stage->listener, sizeof(stage->listener));)
TRY(bind_a_socket, struct sockaddr_in any = {.sin_family = AF_INET};
    return syscall(SYS_bind, stage->tcp, &any, sizeof(any));)
TRY(listen_on_a_socket, return syscall(SYS_listen, stage->tcp, 1);)
TRY(set_a_strange_socket_option, int on = 1;
    return syscall(SYS_setsockopt, stage->connected, SOL_SOCKET, SO_BUSY_POLL, &on, sizeof(on));)

/* ---- processes ---- */

static long new_process(long pid)
{
	if (pid == 0)
		_exit(0);
	return pid;
}
TRY(fork_a_process, return new_process(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));)
TRY(fork_the_old_way, return new_process(syscall(SYS_fork));)
TRY(clone_with_flags_in_memory, struct { uint64_t words[8]; } flags = {{[4] = SIGCHLD}};
    return new_process(syscall(SYS_clone3, &flags, sizeof(flags)));)
TRY(fork_into_a_user_namespace, return new_process(syscall(SYS_clone, SIGCHLD | CLONE_NEWUSER, 0, 0, 0, 0));)
TRY(run_a_program, char *arguments[] = {(char *)"false", NULL};
    return syscall(SYS_execve, "/bin/false", arguments, arguments + 1);)
TRY(run_an_open_program, char *arguments[] = {(char *)"false", NULL};
    return syscall(SYS_execveat, stage->program, "", arguments, arguments + 1, AT_EMPTY_PATH);)
TRY(trace_a_sibling, return syscall(SYS_ptrace, PTRACE_SEIZE, stage->sibling, 0, 0);)
TRY(be_traced, return syscall(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0);)
TRY(read_a_siblings_memory, char byte; struct iovec here = {&byte, 1}, there = {(void *)(uintptr_t)stage, 1};
    return syscall(SYS_process_vm_readv, stage->sibling, &here, 1, &there, 1, 0);)
TRY(write_a_siblings_memory, char byte = 0; struct iovec here = {&byte, 1}, there = {(void *)(uintptr_t)stage, 1};
    return syscall(SYS_process_vm_writev, stage->sibling, &here, 1, &there, 1, 0);)
TRY(take_a_siblings_descriptor, return syscall(SYS_pidfd_getfd, stage->sibling_handle, 0, 0);)
TRY(signal_a_sibling, return syscall(SYS_kill, stage->sibling, SIGCONT);)
TRY(signal_a_siblings_thread, return syscall(SYS_tgkill, stage->sibling, stage->sibling, SIGCONT);)
TRY(signal_by_handle, return syscall(SYS_pidfd_send_signal, stage->sibling_handle, SIGCONT, NULL, 0);)
TRY(compare_with_a_sibling, return syscall(SYS_kcmp, stage->sibling, getpid(), 0, 0, 0);)
TRY(limit_a_sibling, struct rlimit none = {0, 0};
    return syscall(SYS_prlimit64, stage->sibling, RLIMIT_CORE, &none, NULL);)
TRY(renice, return syscall(SYS_setpriority, PRIO_PROCESS, 0, 1);)

/* ---- privileges ---- */

TRY(become_root, return syscall(SYS_setuid, 0);)
TRY(become_somebody, return syscall(SYS_setresuid, 64110, 64110, 64110);)
TRY(change_group, return syscall(SYS_setresgid, 64110, 64110, 64110);)
TRY(change_groups, gid_t group = 0; return syscall(SYS_setgroups, 1, &group);)
TRY(take_a_capability, struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {{1U << CAP_SYS_ADMIN, 1U << CAP_SYS_ADMIN, 0}};
    return syscall(SYS_capset, &header, data);)
TRY(raise_the_core_limit, struct rlimit limit = {4096, 4096};
    return syscall(SYS_prlimit64, 0, RLIMIT_CORE, &limit, NULL);)
TRY(become_dumpable, return syscall(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0);)
TRY(change_securebits, return syscall(SYS_prctl, PR_SET_SECUREBITS, 0, 0, 0, 0);)

/* ---- namespaces, mounts ---- */

TRY(make_a_user_namespace, return syscall(SYS_unshare, CLONE_NEWUSER);)
TRY(make_a_network, return syscall(SYS_unshare, CLONE_NEWNET);)
TRY(join_the_hosts_network, return syscall(SYS_setns, stage->network, CLONE_NEWNET);)
TRY(mount_something, return syscall(SYS_mount, "x", "/", "tmpfs", 0, NULL);)
TRY(mount_the_new_way, return syscall(SYS_fsopen, "tmpfs", 0);)
TRY(unmount_something, return syscall(SYS_umount2, "/proc", MNT_DETACH);)
TRY(change_the_root, return syscall(SYS_chroot, "/");)
TRY(name_the_host, return syscall(SYS_sethostname, "x", 1);)

/* ---- doors into the kernel ---- */

TRY(load_a_bpf_map,
    union bpf_attr map = {.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1};
    return syscall(SYS_bpf, BPF_MAP_CREATE, &map, sizeof(map));)
TRY(use_io_uring, struct io_uring_params parameters = {0}; return syscall(SYS_io_uring_setup, 4, &parameters);)
TRY(handle_page_faults, return syscall(SYS_userfaultfd, O_CLOEXEC);)
TRY(count_performance,
    struct perf_event_attr event = {.type = PERF_TYPE_SOFTWARE, .size = sizeof(event), .config = PERF_COUNT_SW_CPU_CLOCK};
    return syscall(SYS_perf_event_open, &event, 0, -1, -1, 0);)
TRY(use_kernel_keys, return syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_PROCESS_KEYRING, 1);)
TRY(add_a_kernel_key, return syscall(SYS_add_key, "user", "sallyport", "x", 1, KEY_SPEC_PROCESS_KEYRING);)
TRY(change_personality, return syscall(SYS_personality, 0x0040000 /* ADDR_NO_RANDOMIZE */);)
TRY(ask_for_the_kernel_log, return syscall(SYS_syslog, 10 /* SIZE_BUFFER */, NULL, 0);)
TRY(share_memory, return syscall(SYS_shmget, IPC_PRIVATE, 4096, 0600);)
TRY(make_a_message_queue, return syscall(SYS_msgget, IPC_PRIVATE, 0600);)
TRY(map_executable_memory,
    return (long)(intptr_t)syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);)
TRY(make_memory_executable, void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return syscall(SYS_mprotect, page, 4096, PROT_READ | PROT_EXEC);)
TRY(ask_for_another_filter, return syscall(SYS_seccomp, 2 /* GET_ACTION_AVAIL */, 0, &(uint32_t){0x7fff0000});)
#if defined(__x86_64__)
TRY(use_ports_of_the_machine, return syscall(SYS_ioperm, 0x80, 1, 1);)
/* getpid by the 32-bit door, which has other numbers. */
TRY(use_the_32_bit_door, long result; __asm__ volatile("int $0x80" : "=a"(result) : "a"(20L) : "memory"); errno = ENOSYS;
    return result;)
TRY(use_the_x32_door, return syscall(0x40000000 | SYS_getpid);)
#endif

#define ACT(name_, rooms_) {.name = #name_, .rooms = (rooms_), .try = name_}

const struct act acts[] = {
	ACT(open_a_file, SEALED),
	ACT(open_the_root, SEALED),
	ACT(open_a_readable_file_elsewhere, EVERY_ROOM),
	ACT(create_a_file, EVERY_ROOM),
	ACT(create_a_file_in_tmp, EVERY_ROOM),
	ACT(write_to_etc, EVERY_ROOM),
	ACT(remove_a_file, EVERY_ROOM),
	ACT(rename_a_file, SEALED),
	ACT(make_a_link, EVERY_ROOM),
	ACT(look_at_a_file, SEALED),
	ACT(look_at_a_process, SEALED),
	ACT(read_own_proc, EVERY_ROOM),
	ACT(ask_for_access, SEALED),
	ACT(change_directory, SEALED),
	ACT(make_a_memory_file, SEALED),
	ACT(watch_files, SEALED | COURIER),
	ACT(open_an_ipv4_socket, SEALED),
	ACT(open_an_ipv6_socket, SEALED),
	ACT(open_a_unix_socket, SEALED),
	ACT(open_a_netlink_socket, SEALED | COURIER),
	ACT(open_a_vsock_socket, SEALED | COURIER),
	ACT(open_a_raw_socket, EVERY_ROOM),
	ACT(open_a_packet_socket, EVERY_ROOM),
	ACT(make_a_socket_pair, SEALED),
	ACT(connect_a_socket, SEALED),
	ACT(connect_to_an_abstract_address, SEALED),
	ACT(connect_in_disguise, SEALED),
	ACT(disconnect_a_tunnel, SEALED),
	ACT(send_a_datagram, SEALED),
	ACT(bind_a_socket, EVERY_ROOM),
	ACT(listen_on_a_socket, SEALED | COURIER),
	ACT(set_a_strange_socket_option, SEALED),
	ACT(fork_a_process, SIGNER | WORKER | BROKER | COURIER),
	ACT(fork_the_old_way, SEALED | BROKER | COURIER),
	ACT(clone_with_flags_in_memory, EVERY_ROOM),
	ACT(fork_into_a_user_namespace, EVERY_ROOM),
	ACT(run_a_program, SEALED | BROKER | COURIER),
	ACT(run_an_open_program, SEALED | BROKER | COURIER),
	ACT(trace_a_sibling, EVERY_ROOM),
	ACT(be_traced, EVERY_ROOM),
	ACT(read_a_siblings_memory, EVERY_ROOM),
	ACT(write_a_siblings_memory, EVERY_ROOM),
	ACT(take_a_siblings_descriptor, EVERY_ROOM),
	ACT(signal_a_sibling, EVERY_ROOM),
	ACT(signal_a_siblings_thread, EVERY_ROOM),
	ACT(signal_by_handle, EVERY_ROOM),
	ACT(compare_with_a_sibling, EVERY_ROOM),
	ACT(limit_a_sibling, SEALED | COURIER),
	ACT(renice, SEALED | COURIER),
	ACT(become_root, SEALED | BROKER | COURIER),
	ACT(become_somebody, SEALED | BROKER | COURIER),
	ACT(change_group, SEALED | BROKER | COURIER),
	ACT(change_groups, SEALED | BROKER | COURIER),
	ACT(take_a_capability, EVERY_ROOM),
	ACT(raise_the_core_limit, EVERY_ROOM),
	ACT(become_dumpable, SEALED | COURIER),
	ACT(change_securebits, EVERY_ROOM),
	ACT(make_a_user_namespace, EVERY_ROOM),
	ACT(make_a_network, EVERY_ROOM),
	ACT(join_the_hosts_network, EVERY_ROOM),
	ACT(mount_something, EVERY_ROOM),
	ACT(mount_the_new_way, EVERY_ROOM),
	ACT(unmount_something, EVERY_ROOM),
	ACT(change_the_root, EVERY_ROOM),
	ACT(name_the_host, EVERY_ROOM),
	ACT(load_a_bpf_map, EVERY_ROOM),
	ACT(use_io_uring, EVERY_ROOM),
	ACT(handle_page_faults, EVERY_ROOM),
	ACT(count_performance, EVERY_ROOM),
	ACT(use_kernel_keys, EVERY_ROOM),
	ACT(add_a_kernel_key, EVERY_ROOM),
	ACT(change_personality, EVERY_ROOM),
	ACT(ask_for_the_kernel_log, EVERY_ROOM),
	ACT(share_memory, SEALED | COURIER),
	ACT(make_a_message_queue, SEALED | COURIER),
	ACT(map_executable_memory, SEALED | COURIER),
	ACT(make_memory_executable, SEALED | COURIER),
	ACT(ask_for_another_filter, SEALED | COURIER),
#if defined(__x86_64__)
	ACT(use_ports_of_the_machine, EVERY_ROOM),
	ACT(use_the_32_bit_door, EVERY_ROOM),
	ACT(use_the_x32_door, EVERY_ROOM),
#endif
};
const unsigned act_count = sizeof(acts) / sizeof(acts[0]);

/* main.c: the monitor: sallyport-gateway, the daemon that everything else is a child of.
 *
 * Reads its root-owned configuration, binds, starts the rooms, gives up the powers it does not need, then loops:
 * a client is accepted and handed to a worker, what dies is started again. It never reads from a client, parses
 * no stranger's byte and holds no key.
 */
#include <cap-ng.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conf_file.h"
#include "monitor.h"
#include "paths.h"
#include "sallyport/clock.h"
#include "sallyport/edge/handover.h"
#include "sallyport/fd.h"
#include "sallyport/log.h"

static const char usage[] =
	"Usage: sallyport-gateway [-f CONF] [-T] [--pid-file FILE]\n\n"
	"The Sallyport gateway, in the foreground.\n\n"
	"  -f CONF      configuration (default: /etc/sallyport/gateway.conf)\n"
	"  -T           check configuration, policy, keys and PAM service, print what is in force, and end\n"
	"  --pid-file FILE  write the process id there when it is open; it is gone at a stop\n"
	"  --version    print the version\n"
	"  --help       print this\n\n"
	"SIGHUP reads configuration, policy and keys again; SIGTERM ends in good order; SIGUSR2 restarts (an upgrade) and keeps\n"
	"live tunnels.\n";

struct options {
	const char *conf_path, *pid_path;
	bool check;
};

/* Returns -1 to go on, else the exit status. */
static int parse_options(int count, char **arguments, struct options *out_options)
{
	static const struct option names[] = {{"help", no_argument, NULL, 'h'}, {"version", no_argument, NULL, 'v'},
					      {"pid-file", required_argument, NULL, 'p'}, {NULL, 0, NULL, 0}};
	int option;
	*out_options = (struct options){.conf_path = "/etc/sallyport/gateway.conf"};
	while ((option = getopt_long(count, arguments, "f:T", names, NULL)) >= 0) {
		switch (option) {
		case 'f':
			out_options->conf_path = optarg;
			break;
		case 'T':
			out_options->check = true;
			break;
		case 'p':
			out_options->pid_path = optarg;
			break;
		case 'h':
			fputs(usage, stdout);
			return EXIT_SUCCESS;
		case 'v':
			printf("sallyport-gateway %s\nhand-over protocol %08x\n", SALLYPORT_VERSION, handover_protocol());
			return EXIT_SUCCESS;
		default:
			fputs("Try: sallyport-gateway --help\n", stderr);
			return 2;
		}
	}
	if (optind == count)
		return -1;
	fprintf(stderr, "sallyport-gateway: it takes no argument \"%s\" (see --help)\n", arguments[optind]);
	return 2;
}

/* What the rooms need to build their walls and take their identities, and the monitor to start and end them:
 * become others and give powers away (SETUID, SETGID, SETPCAP), make namespaces and empty roots (SYS_ADMIN,
 * SYS_CHROOT), end rooms of other users (KILL), hand folders to them (CHOWN, FOWNER), read what the admin's
 * modes allow only root (DAC_OVERRIDE, DAC_READ_SEARCH), PAM's audit records (AUDIT_WRITE). */
static const unsigned kept[] = {CAP_SETUID, CAP_SETGID, CAP_SETPCAP,  CAP_SYS_ADMIN,       CAP_SYS_CHROOT, CAP_KILL,
				CAP_CHOWN,  CAP_FOWNER, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_AUDIT_WRITE};

static int give_up_powers(struct diag *diag)
{
	if (geteuid() != 0)
		return 0;
	capng_get_caps_process();
	bool had[sizeof(kept) / sizeof(kept[0])];
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		had[i] = capng_have_capability(CAPNG_PERMITTED, kept[i]);
	capng_clear(CAPNG_SELECT_BOTH);
	const capng_type_t wanted = (capng_type_t)(CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET);
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		if (had[i])
			capng_update(CAPNG_ADD, wanted, kept[i]);
	return capng_apply(CAPNG_SELECT_BOTH) < 0 ? diag_set(diag, ERR_SYSTEM, "cannot give up capabilities") : 0;
}

/* A worker costs the monitor two descriptors, the broker one and one per tunnel; rooms inherit the limit. */
static void raise_descriptor_limit(uint64_t connections)
{
	struct rlimit limit;
	rlim_t wanted = connections * 4 + 4096;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_max < wanted)
		setrlimit(RLIMIT_NOFILE, &(struct rlimit){.rlim_cur = wanted, .rlim_max = wanted});
}

/* ---- signals ---- */

static void reap(struct monitor *monitor)
{
	int status;
	pid_t pid;
	/* Conversations tell their end by their pidfds. */
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		(void)keepers_reaped(monitor, pid, status);
}

/* Whoever wants the end wants no successor. */
static void stop(struct monitor *monitor)
{
	monitor->handing_over = HANDOVER_NONE;
	monitor->loop.stopping = true;
}

static void on_signal(struct watch *watch, void *self)
{
	struct monitor *monitor = self;
	struct signalfd_siginfo info;
	if (read(watch->fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	if (info.ssi_signo == SIGCHLD)
		reap(monitor);
	else if (info.ssi_signo == SIGHUP)
		reload_begin(monitor);
	else if (info.ssi_signo == SIGUSR1 || info.ssi_signo == SIGUSR2)
		handover_begin(monitor, info.ssi_signo == SIGUSR1 ? HANDOVER_STORE : HANDOVER_EXEC);
	else
		stop(monitor);
}

static int watch_signals(struct monitor *monitor, struct diag *diag)
{
	sigset_t set;
	sigemptyset(&set);
	for (const int *number = (const int[]){SIGCHLD, SIGHUP, SIGTERM, SIGINT, SIGUSR1, SIGUSR2, 0}; *number; number++)
		sigaddset(&set, *number);
	signal(SIGPIPE, SIG_IGN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	monitor->signals = (struct watch){.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), .on_readable = on_signal};
	return monitor->signals.fd < 0 ? diag_system(diag, "cannot watch signals") : 0;
}

void monitor_watch_or_die(struct monitor *monitor, struct watch *watch)
{
	if (loop_watch(&monitor->loop, watch) == 0)
		return;
	/* Out of kernel memory or a bug: without eyes the house must not stay open. */
	log_error("cannot watch a descriptor: %s", strerror(errno));
	exit(EXIT_FAILURE);
}

/* ---- life ---- */

/* Before the configuration: whatever is wrong with it, workers that wait here do not wait for nobody. */
static int begin(struct monitor *monitor, struct diag *diag)
{
	int result = loop_init(&monitor->loop, diag);
	if (result == 0)
		result = watch_signals(monitor, diag);
	if (result < 0)
		return result;
	/* An upgrade puts another file in its place; this path finds that one. */
	ssize_t length = readlink("/proc/self/exe", monitor->program, sizeof(monitor->program) - 1);
	monitor->program[length > 0 ? length : 0] = 0;
	/* Whatever is left is taken, and lies here until the broker has it. */
	fd_raise_limit();
	heritage_take(monitor);
	return 0;
}

static int open_house(struct monitor *monitor, struct diag *diag)
{
	char missing[1536] = "";
	int result = source_desk_read(&monitor->conf, &monitor->exempt, &monitor->senders, diag);
	if (result == 0)
		result = source_table_init(&monitor->sources, monitor->conf.source_table, diag);
	/* Listen first: a port that another program has is the commonest mistake, and costs nothing to find. */
	if (result == 0)
		result = accept_listen(monitor, diag);
	if (result == 0)
		result = paths_prepare(&monitor->conf, 1, diag);
	if (result == 0)
		result = paths_check_pam(&monitor->conf, diag);
	if (result == 0)
		result = paths_admin_listener(&monitor->conf, &monitor->admin_listener, diag);
	if (result == 0)
		result = paths_factor_listener(&monitor->conf, &monitor->factor_listener, diag);
	if (result == 0 && *monitor->conf.metrics_listen)
		result = paths_metrics_listener(&monitor->conf, &monitor->metrics_listener, diag);
	if (result == 0)
		result = give_up_powers(diag);
	if (result == 0)
		result = keepers_start_all(monitor, missing, diag);
	if (result == 0 && *missing)
		log_warning("not started by root: walls are missing (%s); for development only", missing);
	return result;
}

/* Of two waits, where -1 is for ever. */
static int sooner(int one, int other)
{
	return one < 0 || (other >= 0 && other < one) ? other : one;
}

/* For managers that know a service by it. One that cannot be written is no reason to turn people away. */
static void write_pid(const char *path)
{
	char text[16];
	struct diag diag;
	snprintf(text, sizeof(text), "%d\n", (int)getpid());
	if (path && fd_write_file(path, 0644, 1, view_string(text), &diag) < 0)
		log_error("%s", diag.text);
}

static void serve(struct monitor *monitor, const char *pid_path)
{
	monitor_watch_or_die(monitor, &monitor->signals);
	monitor->resting = true;
	workers_refill(monitor);
	write_pid(pid_path);
	notify_ready();
	log_notice("%s is open (%s)", monitor->conf.name, monitor->conf_path);
	while (!monitor->loop.stopping) {
		uint64_t now = clock_monotonic_ms();
		int keepers = keepers_tick(monitor, now), workers = workers_tick(monitor, now);
		int handover = handover_tick(monitor, now);
		if (keepers_all_run(monitor) && !monitor->handing_over)
			workers_refill(monitor);
		/* While the signer takes new keys, a spare with the old certificate could serve nobody. */
		accept_rest(monitor, !keepers_all_run(monitor) || monitor->reloading == KEEPER_SIGNER || monitor->handing_over);
		loop_turn(&monitor->loop, sooner(sooner(keepers, workers), sooner(handover, notify_alive(now))), monitor);
	}
}

/* Listeners and live workers stay; clients who come now wait in the kernel's queue. */
static void leave_house(struct monitor *monitor, char **arguments)
{
	keepers_stop_all(monitor);
	handover_finish(monitor, arguments);
}

static void close_house(struct monitor *monitor)
{
	log_notice("closing");
	notify_stopping();
	accept_close(monitor);
	keepers_stop_all(monitor);
	conversations_end(monitor);
	unlink(monitor->conf.admin_socket);
}

/* After a failed start: nobody may be left behind. Edges close with this process; workers of the gateway before are not
 * waited for. */
static int fail(struct monitor *monitor, const struct diag *diag)
{
	workers_kill(monitor, WORKERS_ALL);
	fprintf(stderr, "sallyport-gateway: %s\n", diag->text);
	return EXIT_FAILURE;
}

int main(int count, char **arguments)
{
	static struct monitor monitor = {.admin_listener = -1, .factor_listener = -1, .metrics_listener = -1, .reloading = KEEPER_COUNT};
	struct options options;
	struct diag diag;
	int status = parse_options(count, arguments, &options);
	if (status >= 0)
		return status;
	log_open("monitor", LOG_LEVEL_NOTICE);
	monitor.conf_path = options.conf_path;
	monitor.started_ms = clock_monotonic_ms();
	TAILQ_INIT(&monitor.stranger_queue);
	TAILQ_INIT(&monitor.kept);
	for (int role = 0; role < KEEPER_COUNT; role++)
		monitor.keepers[role].role = (enum keeper_role)role;
	if (!options.check && begin(&monitor, &diag) < 0)
		return fail(&monitor, &diag);
	if (conf_file_load(options.conf_path, &monitor.conf, &diag) < 0)
		return fail(&monitor, &diag);
	if (options.check)
		return check_run(&monitor);
	raise_descriptor_limit(monitor.conf.connections);
	if (open_house(&monitor, &diag) < 0)
		return fail(&monitor, &diag);
	serve(&monitor, options.pid_path);
	if (monitor.handing_over)
		leave_house(&monitor, arguments);
	else
		close_house(&monitor);
	if (options.pid_path)
		unlink(options.pid_path);
	return EXIT_SUCCESS;
}

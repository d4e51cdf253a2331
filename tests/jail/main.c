/* main.c: stands behind the walls of each room and tries every forbidden act (promise E1).
 *
 * The walls are the rooms' own plans (gateway/ROOM/walls.c), built by the same jail_build. Each act is
 * tried in a process of its own: by root without walls first, to see that the act works at all here (an act
 * that fails for everybody shows nothing, and is reported as skipped), then behind the walls, where it must
 * fail or kill. Output: TAP.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../gateway/broker/walls.h"
#include "../../gateway/conversation/walls.h"
#include "../../gateway/courier/walls.h"
#include "../../gateway/signer/walls.h"
#include "../../gateway/worker/walls.h"
#include "acts.h"
#include "sallyport/own.h"

#define IDENTITY "64109"
#define IDENTITY_NUMBER 64109

/* ---- the rooms ---- */

static struct conversation_walls conversation, own_conversation; /* as root, and with conversation_user */
static struct broker_walls broker;

/* What PAM modules need of root (gateway/conversation/walls.c), and not a bit more. */
#define OF_ROOT                                                                                        \
	(1ULL << CAP_CHOWN | 1ULL << CAP_DAC_OVERRIDE | 1ULL << CAP_DAC_READ_SEARCH | 1ULL << CAP_SETGID | \
	 1ULL << CAP_SETUID | 1ULL << CAP_AUDIT_WRITE)

static int enter_signer(struct jail_missing *missing, struct diag *diag)
{
	struct jail walls = signer_walls;
	walls.identity = IDENTITY;
	return jail_build(&walls, missing, diag);
}

static int enter_template(struct jail_missing *missing, struct diag *diag)
{
	struct jail walls = template_walls;
	walls.identity = IDENTITY;
	return jail_build(&walls, missing, diag);
}

static int enter_worker(struct jail_missing *missing, struct diag *diag)
{
	struct filter filter;
	int result = filter_compile(&worker_calls, &filter, diag);
	if (result == 0)
		result = enter_template(missing, diag);
	return result == 0 ? worker_walls_tighten(&filter, diag) : result;
}

static int enter_conversation(struct jail_missing *missing, struct diag *diag)
{
	return jail_build(&conversation.jail, missing, diag);
}

static int enter_own_conversation(struct jail_missing *missing, struct diag *diag)
{
	return jail_build(&own_conversation.jail, missing, diag);
}

static int enter_broker(struct jail_missing *missing, struct diag *diag)
{
	struct jail walls = broker.jail;
	walls.identity = IDENTITY;
	return jail_build(&walls, missing, diag);
}

static int enter_courier(struct jail_missing *missing, struct diag *diag)
{
	struct jail walls = courier_walls;
	walls.identity = IDENTITY;
	return jail_build(&walls, missing, diag);
}

static const struct room_row {
	const char *name;
	enum acting_room bit;
	uid_t user;
	int (*enter)(struct jail_missing *missing, struct diag *diag);
	bool sealed;        /* an empty root */
	const char *spaces; /* namespaces of its own, as /proc/PID/ns calls them */
	uint64_t capabilities;
} rooms[] = {
	{"signer", SIGNER, IDENTITY_NUMBER, enter_signer, true, "net mnt ipc uts cgroup"},
	{"template", TEMPLATE, IDENTITY_NUMBER, enter_template, true, "net mnt ipc uts cgroup"},
	{"worker", WORKER, IDENTITY_NUMBER, enter_worker, true, "net mnt ipc uts cgroup"},
	{"conversation", CONVERSATION, 0, enter_conversation, false, "mnt ipc uts", OF_ROOT},
	{"own_conversation", CONVERSATION, IDENTITY_NUMBER, enter_own_conversation, false, "mnt ipc uts"},
	{"broker", BROKER, IDENTITY_NUMBER, enter_broker, false, "ipc uts"},
	{"courier", COURIER, IDENTITY_NUMBER, enter_courier, false, "ipc uts cgroup"},
};
#define ROOM_COUNT (sizeof(rooms) / sizeof(rooms[0]))

/* ---- TAP ---- */

static unsigned tests, failures;

[[gnu::format(printf, 2, 3)]] static void report(bool good, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	printf("%sok %u - ", good ? "" : "not ", ++tests);
	vprintf(format, arguments);
	printf("\n");
	va_end(arguments);
	failures += !good;
}

/* ---- the stage ---- */

static void die(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

static pid_t start_sibling(uid_t user)
{
	pid_t pid = fork();
	if (pid < 0)
		die("fork");
	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (setresgid(user, user, user) < 0 || setresuid(user, user, user) < 0 || prctl(PR_SET_DUMPABLE, 1) < 0)
		_exit(1);
	for (;;)
		pause();
}

static int open_listener(struct sockaddr_in *out_address)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t size = sizeof(*out_address);
	*out_address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	if (fd < 0 || bind(fd, (struct sockaddr *)out_address, size) < 0 || listen(fd, 1024) < 0 ||
	    getsockname(fd, (struct sockaddr *)out_address, &size) < 0)
		die("listener");
	return fd;
}

static int open_abstract(struct stage *stage)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	stage->abstract = (struct sockaddr_un){.sun_family = AF_UNIX};
	int length = snprintf(stage->abstract.sun_path + 1, 64, "sallyport-jail-%d", getpid());
	stage->abstract_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
	if (fd < 0 || bind(fd, (struct sockaddr *)&stage->abstract, stage->abstract_size) < 0 || listen(fd, 64) < 0)
		die("abstract listener");
	return fd;
}

static void write_secret(struct stage *stage)
{
	snprintf(stage->secret, sizeof(stage->secret), "/tmp/sallyport-jail-%d", getpid());
	int fd = open(stage->secret, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0 || fchmod(fd, 0666) < 0)
		die(stage->secret);
	close(fd);
}

/* In the process that tries one act. */
static void open_props(struct stage *stage)
{
	stage->tcp = socket(AF_INET, SOCK_STREAM, 0);
	stage->connected = socket(AF_INET, SOCK_STREAM, 0);
	stage->udp = socket(AF_INET, SOCK_DGRAM, 0);
	stage->unix_stream = socket(AF_UNIX, SOCK_STREAM, 0);
	stage->program = open("/bin/false", O_RDONLY);
	stage->network = open("/proc/self/ns/net", O_RDONLY);
	stage->sibling_handle = (int)syscall(SYS_pidfd_open, stage->sibling, 0);
	if (stage->tcp < 0 || stage->udp < 0 || stage->unix_stream < 0 || stage->program < 0 || stage->network < 0 ||
	    stage->sibling_handle < 0 ||
	    connect(stage->connected, (struct sockaddr *)&stage->listener, sizeof(stage->listener)) < 0)
		_exit(3);
}

/* ---- trying ---- */

/* Shared with the children: the walls stood before the act was tried. */
static volatile bool *entered;

enum outcome { REFUSED = 0, POSSIBLE = 1, NO_WALLS = 2, NO_PROPS = 3 };

static void without_walls(void)
{
	/* What the act does to mounts, names and the rest must not reach the machine. */
	if (unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || mount("x", "/tmp", "tmpfs", 0, NULL) < 0)
		_exit(NO_PROPS);
}

[[noreturn]] static void try_in_child(const struct room_row *room, const struct act *act, struct stage stage)
{
	struct jail_missing missing;
	struct diag diag;
	open_props(&stage);
	if (!room) {
		without_walls();
		int fd = open(stage.secret, O_WRONLY | O_CREAT, 0666);
		close(fd);
	} else if (room->enter(&missing, &diag) < 0 || missing.text[0]) {
		fprintf(stderr, "# %s: %s%s\n", room->name, diag.text, missing.text);
		_exit(NO_WALLS);
	}
	*entered = true;
	_exit(act->try(&stage) >= 0 ? POSSIBLE : REFUSED);
}

static int try(const struct room_row *room, const struct act *act, const struct stage *stage)
{
	fflush(stdout);
	*entered = false;
	pid_t pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0)
		try_in_child(room, act, *stage);
	int status = 0;
	if (waitpid(pid, &status, 0) < 0)
		die("waitpid");
	return status;
}

static bool was_refused(int status)
{
	return *entered && ((WIFEXITED(status) && WEXITSTATUS(status) == REFUSED) ||
			    (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS));
}

static bool was_possible(int status)
{
	return WIFEXITED(status) && WEXITSTATUS(status) == POSSIBLE;
}

static void try_everywhere(const struct act *act, struct stage *stage, const pid_t *siblings)
{
	stage->sibling = siblings[0];
	bool works = was_possible(try(NULL, act, stage));
	for (size_t i = 0; i < ROOM_COUNT; i++) {
		if (!(act->rooms & rooms[i].bit))
			continue;
		stage->sibling = siblings[i];
		int status = try(&rooms[i], act, stage);
		report(was_refused(status), "test_E1_%s_cannot_%s%s", rooms[i].name, act->name,
		       works ? "" : " # SKIP it does not work here without walls either");
		if (!was_refused(status))
			printf("# status %x\n", (unsigned)status);
	}
}

/* ---- looking at a locked room from outside ---- */

static void read_text(pid_t pid, const char *name, char *out_text, size_t capacity)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	OWN_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t size = fd < 0 ? -1 : read(fd, out_text, capacity - 1);
	out_text[size < 0 ? 0 : size] = '\0';
}

static bool has_line(const char *text, const char *line)
{
	const char *found = strstr(text, line);
	return found && found[strlen(line)] == '\n';
}

static bool is_empty_root(pid_t pid)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/root", pid);
	DIR *folder = opendir(path);
	int entries = 0;
	while (folder && readdir(folder))
		entries++;
	if (folder)
		closedir(folder);
	return folder && entries == 2;
}

static bool has_own_namespace(pid_t pid, const char *name)
{
	char path[64], theirs[64] = "", ours[64] = "";
	snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, name);
	ssize_t their_size = readlink(path, theirs, sizeof(theirs) - 1);
	snprintf(path, sizeof(path), "/proc/self/ns/%s", name);
	ssize_t our_size = readlink(path, ours, sizeof(ours) - 1);
	return their_size > 0 && our_size > 0 && strcmp(theirs, ours) != 0;
}

/* Exactly these, and no way to any other. */
static bool has_capabilities(const char *status, uint64_t capabilities)
{
	static const char *const sets[] = {"CapEff", "CapPrm", "CapBnd"};
	char line[40];
	bool good = true;
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		snprintf(line, sizeof(line), "%s:\t%016llx", sets[i], (unsigned long long)capabilities);
		good = good && has_line(status, line);
	}
	return good;
}

/* As /proc shows it, to others than root: root's own files look the same in both cases. */
static bool is_undumpable(pid_t pid)
{
	char path[64];
	struct stat status;
	snprintf(path, sizeof(path), "/proc/%d/environ", pid);
	return stat(path, &status) == 0 && status.st_uid == 0 && status.st_gid == 0;
}

static void look_at_all(const struct room_row *room, pid_t pid)
{
	static const char *const namespaces[] = {"net", "mnt", "ipc", "uts", "cgroup"};
	char status[8192], limits[8192];
	read_text(pid, "status", status, sizeof(status));
	read_text(pid, "limits", limits, sizeof(limits));
	report(has_line(status, "NoNewPrivs:\t1"), "test_E1_%s_has_no_new_privs", room->name);
	report(has_line(status, "Seccomp:\t2"), "test_E1_%s_has_a_filter", room->name);
	report(has_line(status, "CapInh:\t0000000000000000") && has_line(status, "CapAmb:\t0000000000000000"),
	       "test_E1_%s_has_no_capability_to_pass_on", room->name);
	report(strstr(limits, "Max core file size        0                    0"), "test_E1_%s_has_core_limit_zero",
	       room->name);
	for (size_t i = 0; i < sizeof(namespaces) / sizeof(namespaces[0]); i++)
		if (strstr(room->spaces, namespaces[i]))
			report(has_own_namespace(pid, namespaces[i]), "test_E1_%s_has_its_own_%s_namespace", room->name,
			       namespaces[i]);
	report(has_capabilities(status, room->capabilities), "test_E1_%s_has_no_capability_but_its_own", room->name);
	if (room->user == 0)
		return;
	report(is_undumpable(pid), "test_E1_%s_is_undumpable", room->name);
	report(has_line(status, "Uid:\t64109\t64109\t64109\t64109") &&
		       has_line(status, "Gid:\t64109\t64109\t64109\t64109") && has_line(status, "Groups:\t "),
	       "test_E1_%s_has_an_identity_of_its_own", room->name);
	if (room->sealed)
		report(is_empty_root(pid), "test_E1_%s_has_an_empty_root", room->name);
}

/* A room that is locked and waits; the pipe says when. */
static pid_t start_waiting(const struct room_row *room)
{
	int ends[2], hold[2];
	char byte = 0;
	if (pipe(ends) < 0 || pipe(hold) < 0)
		die("pipe");
	pid_t pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0) {
		struct jail_missing missing;
		struct diag diag;
		if (room->enter(&missing, &diag) < 0) {
			fprintf(stderr, "# %s: %s\n", room->name, diag.text);
			_exit(NO_WALLS);
		}
		/* Of others than root /proc shows it, and some of them may not even ask. */
		byte = room->user != 0 || prctl(PR_GET_DUMPABLE) == 0;
		if (write(ends[1], &byte, 1) == 1)
			(void)!read(hold[0], &byte, 1);
		_exit(0);
	}
	close(ends[1]);
	close(hold[0]);
	bool locked = read(ends[0], &byte, 1) == 1;
	close(ends[0]); /* hold[1] stays open: the room waits until it is killed */
	report(locked, "test_E1_%s_locks_its_door", room->name);
	if (room->user == 0)
		report(byte == 1, "test_E1_%s_says_that_it_is_undumpable", room->name);
	return pid;
}

static void look(const struct room_row *room)
{
	pid_t pid = start_waiting(room);
	look_at_all(room, pid);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* ---- a wall that cannot be built ---- */

/* The calls that build walls: whichever of them fails, the room must not come to be. */
static const struct filter_row builders[] = {FILTER_CALL(unshare),
					     FILTER_CALL(mount),
					     FILTER_CALL(pivot_root),
					     FILTER_CALL(setgroups),
					     FILTER_CALL(setresgid),
					     FILTER_CALL(setresuid),
					     FILTER_CALL(capset),
					     FILTER_CALL(prctl),
					     FILTER_CALL(landlock_create_ruleset),
					     FILTER_CALL(landlock_restrict_self),
					     FILTER_CALL(seccomp),
					     FILTER_CALL(prlimit64),
					     FILTER_END};

static int enter_without(const struct room_row *room, const struct filter_row *builder)
{
	const struct filter_row rows[] = {*builder, FILTER_END};
	const struct filter_list list = {.name = "test", .rest = FILTER_ALLOW, .parts = {{FILTER_REFUSE, rows}}};
	struct filter filter;
	struct jail_missing missing;
	struct diag diag;
	if (filter_compile(&list, &filter, &diag) < 0 || filter_load(&filter, &diag) < 0)
		return NO_PROPS;
	int result = room->enter(&missing, &diag);
	return result < 0 && strstr(diag.text, "the walls of") ? REFUSED : POSSIBLE;
}

static bool refuses_without(const struct room_row *room, const struct filter_row *builder)
{
	int status = 0;
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0)
		_exit(enter_without(room, builder));
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == REFUSED;
}

static void try_without_builders(const struct room_row *room)
{
	for (const struct filter_row *builder = builders; builder->name; builder++) {
		/* Calls that build nothing in this room. */
		bool needed = builder->number == SYS_pivot_root ? room->sealed
			      : builder->number == SYS_mount	? strstr(room->spaces, "mnt") != NULL
								: true;
		if (needed)
			report(refuses_without(room, builder), "test_E1_%s_does_not_start_without_%s", room->name,
			       builder->name);
	}
}

/* ---- a thread from before ---- */

static void *wait_for_ever(void *unused)
{
	(void)unused;
	for (;;)
		pause();
	return NULL;
}

static void try_with_a_thread(const struct room_row *room)
{
	int status = 0;
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		struct jail_missing missing;
		struct diag diag;
		pthread_t thread;
		if (pthread_create(&thread, NULL, wait_for_ever, NULL) != 0)
			_exit(NO_PROPS);
		_exit(room->enter(&missing, &diag) < 0 && strstr(diag.text, "a thread was started") ? REFUSED
												    : POSSIBLE);
	}
	bool good = pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == REFUSED;
	report(good, "test_E1_%s_does_not_start_with_a_thread_outside", room->name);
}

/* ---- an ordinary user ---- */

static int enter_as_ordinary_user(const struct room_row *room)
{
	struct jail_missing missing;
	struct diag diag;
	if (setresgid(64111, 64111, 64111) < 0 || setresuid(64111, 64111, 64111) < 0)
		return NO_PROPS;
	if (room->enter(&missing, &diag) < 0) {
		fprintf(stderr, "# %s\n", diag.text);
		return NO_WALLS;
	}
	if (!strstr(missing.text, "own identity"))
		return NO_PROPS;
	*entered = true;
	/* What is left of the walls: no new file, in a way that the filter or Landlock refuses. */
	return syscall(SYS_openat, AT_FDCWD, "/tmp/sallyport-jail-test", O_WRONLY | O_CREAT, 0600) >= 0 ? POSSIBLE
													: REFUSED;
}

static void try_as_ordinary_user(const struct room_row *room)
{
	int status = 0;
	fflush(stdout);
	*entered = false;
	pid_t pid = fork();
	if (pid == 0)
		_exit(enter_as_ordinary_user(room));
	bool good = pid > 0 && waitpid(pid, &status, 0) == pid && was_refused(status);
	report(good, "test_E1_%s_of_an_ordinary_user_names_what_is_missing", room->name);
	if (!good)
		printf("# status %x\n", (unsigned)status);
}

int main(void)
{
	struct stage stage = {0};
	pid_t siblings[ROOM_COUNT];
	struct conf conf, own_conf;
	struct diag diag;
	if (geteuid() != 0) {
		printf("1..0 # SKIP only root can build every wall\n");
		return 0;
	}
	entered = mmap(NULL, sizeof(*entered), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (entered == MAP_FAILED)
		die("mmap");
	if (conf_init(&conf) < 0 || conversation_walls_plan(&conf, &conversation, &diag) < 0 ||
	    conf_init(&own_conf) < 0 || conf_set(&own_conf, "conversation_user", view_string(IDENTITY), &diag) < 0 ||
	    conversation_walls_plan(&own_conf, &own_conversation, &diag) < 0 ||
	    broker_walls_make(&conf, &broker, &diag) < 0)
		die("the plans");
	OWN_FD int listener = open_listener(&stage.listener);
	OWN_FD int abstract = open_abstract(&stage);
	write_secret(&stage);
	for (size_t i = 0; i < ROOM_COUNT; i++)
		siblings[i] = start_sibling(rooms[i].user);
	for (size_t i = 0; i < ROOM_COUNT; i++) {
		look(&rooms[i]);
		try_without_builders(&rooms[i]);
		try_with_a_thread(&rooms[i]);
		try_as_ordinary_user(&rooms[i]);
	}
	for (unsigned i = 0; i < act_count; i++)
		try_everywhere(&acts[i], &stage, siblings);
	for (size_t i = 0; i < ROOM_COUNT; i++)
		kill(siblings[i], SIGKILL);
	unlink(stage.secret);
	conf_fini(&conf);
	conf_fini(&own_conf);
	printf("1..%u\n", tests);
	return failures ? 1 : 0;
}

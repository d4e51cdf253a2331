/* room.c: how every room starts, and how it ends when it cannot.
 *
 * Leaves the walls to jail.c and what happens after `ready` to the room. Counterpart:
 * gateway/monitor/rooms.c.
 */
#include "room.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "sanitizer.h"
#include "sallyport/fd.h"
#include "sallyport/log.h"
#include "sallyport/own.h"
#include "sallyport/str.h"
#include "sallyport/wire.h"

/* More descriptors than a monitor ever sends (policy files are one each, and so are live tunnels after a restart). */
#define DESCRIPTORS_MAX (1 << 20)

static void close_strays(void)
{
	/* Nothing that the monitor forgot to close may live in here. */
	(void)close_range(ROOM_MONITOR_FD + 1, ~0U, 0);
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
			exit(EXIT_FAILURE);
}

/* A room ends when the monitor says so or is gone: not by Ctrl-C at the gateway's terminal, which means the
 * monitor, and not because nobody reads the log any more. */
static void ignore_signals(void)
{
	static const int ignored[] = {SIGINT, SIGHUP, SIGPIPE};
	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
}

static bool is_monitor_edge(int fd)
{
	int domain = 0, type = 0;
	socklen_t size = sizeof(int);
	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX &&
	       getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET &&
	       fd_set_cloexec(fd, 1) == 0;
}

static int take_setting(struct conf *conf, const struct monitor_room_setting *message, struct diag *diag)
{
	char name[65];
	if (view_to_string(message->name, name, sizeof(name)) < 0)
		return diag_set(diag, ERR_BAD_PEER, "a setting without a usable name");
	return conf_set(conf, name, message->value, diag);
}

int room_take_descriptor(struct room *room, const struct monitor_room_descriptor *message, int *fd, struct diag *diag)
{
	if (room->descriptor_count == DESCRIPTORS_MAX)
		return diag_set(diag, ERR_BAD_PEER, "more than %d descriptors", DESCRIPTORS_MAX);
	struct room_descriptor *grown =
		reallocarray(room->descriptors, room->descriptor_count + 1, sizeof(*room->descriptors));
	if (!grown)
		return diag_system(diag, "no memory for a descriptor");
	room->descriptors = grown;
	struct room_descriptor *added = &grown[room->descriptor_count];
	*added = (struct room_descriptor){.fd = -1, .name = view_duplicate(message->name)};
	if (!added->name || view_to_string(message->purpose, added->purpose, sizeof(added->purpose)) < 0) {
		free(added->name);
		return diag_set(diag, ERR_BAD_PEER, "a descriptor without a usable purpose");
	}
	added->fd = take_fd(fd);
	room->descriptor_count++;
	return 0;
}

/* ---- starting ---- */

struct start {
	struct room *room;
	struct diag diag;
	struct diag refusal; /* of the first value that is not valid */
	bool refused, stopped;
};

static int on_setting(void *self, const struct monitor_room_setting *message, int *fd)
{
	struct start *start = self;
	struct diag diag;
	(void)fd;
	/* Told when all was read: whoever ends with messages unread loses the sentence that it has just sent (unix(7)). */
	if (take_setting(&start->room->conf, message, &diag) == 0 || start->refused)
		return 0;
	start->refused = true;
	start->refusal = diag;
	return 0;
}

static int on_descriptor(void *self, const struct monitor_room_descriptor *message, int *fd)
{
	struct start *start = self;
	return room_take_descriptor(start->room, message, fd, &start->diag);
}

static int on_begin(void *self, const struct monitor_room_begin *message, int *fd)
{
	struct start *start = self;
	(void)message, (void)fd;
	start->room->begun = true;
	return 0;
}

static int on_stop(void *self, const struct monitor_room_stop *message, int *fd)
{
	struct start *start = self;
	(void)message, (void)fd;
	start->stopped = true;
	return 0;
}

static const struct monitor_room_handlers handlers = {
	.setting = on_setting, .descriptor = on_descriptor, .begin = on_begin, .stop = on_stop};

static int take_one(struct start *start, void *space)
{
	struct edge_frame frame;
	int result = wire_receive(start->room->monitor, space, EDGE_FRAME_MAX, &frame);
	if (result == ERR_CLOSED)
		start->stopped = true;
	if (result < 0)
		return diag_set(&start->diag, result, "the monitor's edge broke (%s)", err_name(result));
	/* The dispatch reports breaches of the protocol, the handlers report values that are not valid. */
	return monitor_room_dispatch(&handlers, start, EDGE_FROM_FIRST, MONITOR_ROOM_STARTING, &frame, &start->diag);
}

static void take_until_begin(struct room *room)
{
	OWN_MEMORY void *space = malloc(EDGE_FRAME_MAX);
	struct start start = {.room = room};
	int result = space ? 0 : diag_system(&start.diag, "no memory for a frame");
	while (result == 0 && !room->begun && !start.stopped)
		result = take_one(&start, space);
	if (start.stopped)
		exit(EXIT_SUCCESS);
	if (result < 0 || start.refused)
		room_fail(room, result < 0 ? &start.diag : &start.refusal);
}

static enum log_level level_of(const char *text)
{
	static const char *const names[] = {"error", "warning", "notice", "debug"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(text, names[i]) == 0)
			return (enum log_level)i;
	return LOG_LEVEL_NOTICE;
}

void room_start(struct room *room, const char *name, enum monitor_room_state role)
{
	*room = (struct room){.name = name, .monitor = ROOM_MONITOR_FD, .role = role};
	log_open(name, LOG_LEVEL_NOTICE);
	if (!is_monitor_edge(ROOM_MONITOR_FD)) {
		fprintf(stderr, "sallyport-%s: this program is started by sallyport-gateway, not by hand.\n", name);
		exit(2);
	}
	close_strays();
	ignore_signals();
	struct diag diag;
	if (jail_make_undumpable(&diag) < 0)
		room_fail(room, &diag);
	if (conf_init(&room->conf) < 0) {
		diag_system(&diag, "no memory for the settings");
		room_fail(room, &diag);
	}
	take_until_begin(room);
	log_set_level(level_of(room->conf.log_level));
}

/* ---- what was received ---- */

struct room_descriptor *room_descriptor(struct room *room, const char *purpose, size_t *position)
{
	while (*position < room->descriptor_count) {
		struct room_descriptor *here = &room->descriptors[(*position)++];
		if (here->fd >= 0 && strcmp(here->purpose, purpose) == 0)
			return here;
	}
	return NULL;
}

int room_read_descriptor(struct room *room, const char *purpose, struct buf *out_bytes, const char **out_name,
			 struct diag *diag)
{
	size_t position = 0;
	const struct room_descriptor *found = room_descriptor(room, purpose, &position);
	if (!found)
		return diag_set(diag, ERR_NOT_FOUND, "the monitor has not sent the file for %s", purpose);
	int result = fd_read_all(found->fd, out_bytes);
	if (result == ERR_LIMIT)
		return diag_set(diag, result, "%s is larger than %zu bytes", found->name, out_bytes->limit);
	if (result < 0)
		return diag_system(diag, "cannot read %s", found->name);
	if (out_name)
		*out_name = found->name;
	return 0;
}

void room_forget_descriptors(struct room *room)
{
	for (size_t i = 0; i < room->descriptor_count; i++) {
		if (room->descriptors[i].fd >= 0)
			close(room->descriptors[i].fd);
		free(room->descriptors[i].name);
	}
	free(room->descriptors);
	room->descriptors = NULL;
	room->descriptor_count = 0;
}

/* ---- locking ---- */

/* A sentence may have been cut in the middle of a character; the edge takes whole ones. */
static struct diag sendable(const struct diag *diag)
{
	struct diag copy = *diag;
	str_make_printable(copy.text);
	return copy;
}

void room_fail(struct room *room, const struct diag *diag)
{
	struct diag sentence = sendable(diag);
	log_error("%s", sentence.text);
	(void)!WIRE_SEND(room->monitor, monitor_room, failed, -1, .sentence = view_string(sentence.text));
	exit(EXIT_FAILURE);
}

void room_lock(struct room *room, const struct jail *jail)
{
	struct jail_missing missing;
	struct diag diag;
	room_forget_descriptors(room);
	/* glibc would open the time zone's file at the first strftime, behind the wall. */
	tzset();
	if (jail_build(jail, &missing, &diag) < 0)
		room_fail(room, &diag);
	int result = WIRE_SEND(room->monitor, monitor_room, ready, -1, .missing = view_string(missing.text));
	if (result < 0) {
		/* Whoever wanted this room is gone. */
		log_notice("the monitor is gone (%s)", err_name(result));
		exit(EXIT_SUCCESS);
	}
}

/* ---- reloading ---- */

int room_take_setting(struct room *room, const struct monitor_room_setting *message, struct diag *diag)
{
	if (!room->has_offered) {
		if (conf_init(&room->offered) < 0)
			return diag_system(diag, "no memory for the settings");
		room->has_offered = true;
	}
	return take_setting(&room->offered, message, diag);
}

const struct conf *room_offered(const struct room *room)
{
	return room->has_offered ? &room->offered : &room->conf;
}

int room_accept(struct room *room)
{
	room_forget_descriptors(room);
	if (room->has_offered) {
		conf_fini(&room->conf);
		room->conf = room->offered;
		room->offered = (struct conf){0};
		room->has_offered = false;
		log_set_level(level_of(room->conf.log_level));
	}
	return WIRE_SEND(room->monitor, monitor_room, reloaded, -1, .good = 1);
}

int room_decline(struct room *room, const struct diag *diag)
{
	room_forget_descriptors(room);
	if (room->has_offered)
		conf_fini(&room->offered);
	room->offered = (struct conf){0};
	room->has_offered = false;
	struct diag sentence = sendable(diag);
	return WIRE_SEND(room->monitor, monitor_room, reloaded, -1, .good = 0, .sentence = view_string(sentence.text));
}

/* ---- sanitizer builds ---- */

/* Rooms have no environment, so what the sanitizers need behind walls is built in: no leak check at exit
 * (it clones and traces), no symbolizer (it forks, execs and opens files); an error ends the process. */
#if ROOM_IS_SANITIZED
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0:symbolize=0:abort_on_error=1:handle_abort=0";
}

const char *__ubsan_default_options(void);
const char *__ubsan_default_options(void)
{
	return "halt_on_error=1:abort_on_error=1:symbolize=0";
}
#endif

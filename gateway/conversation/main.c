/* main.c: one login's conversation: enter, take the broker's edge, lock the door, run the stack once, end.
 *
 * Started by the monitor when the broker asks for a conversation (gateway/monitor/conversations.c). stack.c runs PAM,
 * dialogue.c speaks to the broker (gateway/broker/conversation_edge.c), keeper.c ends what does not end by itself. Where
 * the stack has a session part, the process stays as long as the session.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../room/room.h"
#include "dialogue.h"
#include "keeper.h"
#include "sallyport/clock.h"
#include "sallyport/log.h"
#include "sallyport/own.h"
#include "sallyport/realm.h"
#include "sallyport/str.h"
#include "stack.h"
#include "walls.h"

/* Modules read the environment and write to standard output: neither is anybody's in here. */
static void clean_surroundings(void)
{
	umask(077);
	clearenv();
	setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
	setenv("LANG", "C.UTF-8", 1);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0)
		return;
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	close(null);
}

static int take_broker_edge(struct room *room)
{
	size_t position = 0;
	struct room_descriptor *edge = room_descriptor(room, MONITOR_ROOM_PURPOSE_BROKER_EDGE, &position);
	if (!edge) {
		struct diag diag;
		diag_set(&diag, ERR_NOT_FOUND, "the monitor has not sent the broker's edge");
		room_fail(room, &diag);
	}
	return take_fd(&edge->fd);
}

/* The realm is the broker's choice, but among those that are configured: it cannot name a stack. ERR_NOT_FOUND. */
static int find_service(const struct conf *conf, const char *name, char *out_service, size_t capacity)
{
	struct realm realm;
	if (!*name || strcmp(name, REALM_DEFAULT) == 0)
		return str_copy(out_service, capacity, conf->pam_service) ? 0 : ERR_LIMIT;
	if (!realm_find(conf->realm, view_string(name), &realm))
		return ERR_NOT_FOUND;
	return view_to_string(realm.pam_service, out_service, capacity);
}

static void on_session_open(void *keeper)
{
	keeper_session_is_open(keeper);
}

int main(void)
{
	static struct room room;
	static struct conversation_walls walls;
	static struct dialogue dialogue;
	struct diag diag;
	room_start(&room, "conversation", MONITOR_ROOM_CONVERSATION);
	dialogue.broker = take_broker_edge(&room);
	dialogue.rounds_left = room.conf.login_rounds;
	clean_surroundings();
	if (conversation_walls_plan(&room.conf, &walls, &diag) < 0 || keeper_prepare(&diag) < 0)
		room_fail(&room, &diag);
	dialogue.deadline_ms = clock_monotonic_ms() + room.conf.login_time_limit_ms;
	room_lock(&room, &walls.jail);
	struct keeper keeper = {
		.broker = dialogue.broker, .monitor = room.monitor, .deadline_ms = dialogue.deadline_ms};
	int result = keeper_split(&keeper, &diag);
	if (result == 0)
		result = dialogue_begin(&dialogue, &diag);
	if (result < 0) {
		log_notice("no login began: %s", diag.text);
		return EXIT_FAILURE;
	}
	char service[REALM_SERVICE_MAX + 1];
	if (find_service(&room.conf, dialogue.realm, service, sizeof(service)) < 0) {
		log_notice("no login began: the realm \"%s\" is not there any more", dialogue.realm);
		return EXIT_FAILURE;
	}
	const struct stack stack = {
		.service = service, .directory = room.conf.pam_directory, .on_open = on_session_open, .context = &keeper};
	result = stack_run(&dialogue, &stack);
	if (result < 0)
		log_notice("the result of a login could not be told (%s)", err_name(result));
	return result < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

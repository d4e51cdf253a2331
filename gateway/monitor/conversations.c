/* conversations.c: one process per login, which may stay as long as its session. The monitor makes the edge and never sees
 * what travels on it. */
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "monitor.h"
#include "sallyport/clock.h"
#include "sallyport/edge/monitor_room.h"
#include "sallyport/log.h"
#include "sallyport/own.h"
#include "sallyport/wire.h"
#include "spawn.h"

static int introduce(struct monitor *monitor, int edge, int broker_end, struct diag *diag)
{
	int result = spawn_send_settings(edge, CONF_CONVERSATION, &monitor->conf, diag);
	if (result == 0)
		result = WIRE_SEND(edge, monitor_room, descriptor, broker_end,
				   .purpose = view_string(MONITOR_ROOM_PURPOSE_BROKER_EDGE), .name = view_string("broker"));
	if (result == 0)
		result = WIRE_SEND(edge, monitor_room, begin, -1);
	return result;
}

static int start(struct monitor *monitor, int *out_broker_end, struct diag *diag)
{
	int ends[2];
	struct conversation *conversation = calloc(1, sizeof(*conversation));
	if (!conversation || wire_pair(ends) < 0) {
		free(conversation);
		return diag_system(diag, "no edge for a conversation");
	}
	OWN_FD int own_end = ends[0];
	OWN_FD int process_end = ends[1];
	int result = spawn_room("sallyport-conversation", NULL, &conversation->pid, &conversation->edge, diag);
	if (result < 0) {
		free(conversation);
		return result;
	}
	LIST_INSERT_HEAD(&monitor->conversations, conversation, all);
	result = introduce(monitor, conversation->edge, process_end, diag);
	if (result < 0)
		kill(conversation->pid, SIGKILL);
	else
		*out_broker_end = take_fd(&own_end);
	return result;
}

void conversation_begin(struct monitor *monitor)
{
	struct diag diag;
	OWN_FD int broker_end = -1;
	int broker = monitor->keepers[KEEPER_BROKER].watch.fd;
	int result = start(monitor, &broker_end, &diag);
	if (result < 0) {
		log_error("no conversation can be started: %s", diag.text);
		result = WIRE_SEND(broker, monitor_room, conversation_failed, -1);
	} else {
		result = WIRE_SEND(broker, monitor_room, conversation, broker_end);
	}
	if (result < 0)
		log_error("the broker does not take a conversation (%s)", err_name(result));
}

bool conversations_reaped(struct monitor *monitor, pid_t pid)
{
	struct conversation *conversation;
	LIST_FOREACH(conversation, &monitor->conversations, all) {
		if (conversation->pid != pid)
			continue;
		LIST_REMOVE(conversation, all);
		close(conversation->edge);
		free(conversation);
		return true;
	}
	return false;
}

/* More than a conversation's keeper gives its stack (gateway/conversation/keeper.c). */
enum { PATIENCE_MS = 11000, STEP_MS = 20 };

void conversations_leave(struct monitor *monitor)
{
	const struct conversation *conversation;
	LIST_FOREACH(conversation, &monitor->conversations, all)
		shutdown(conversation->edge, SHUT_RDWR);
}

void conversations_end(struct monitor *monitor)
{
	struct conversation *conversation;
	uint64_t until_ms = clock_monotonic_ms() + PATIENCE_MS;
	int status;
	pid_t pid;
	conversations_leave(monitor);
	while (!LIST_EMPTY(&monitor->conversations) && clock_monotonic_ms() < until_ms) {
		while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
			(void)conversations_reaped(monitor, pid);
		if (!LIST_EMPTY(&monitor->conversations))
			usleep(STEP_MS * 1000);
	}
	LIST_FOREACH(conversation, &monitor->conversations, all)
		kill(conversation->pid, SIGKILL);
}

/* conversations.c: one process per login, which may stay as long as its session. The monitor makes the edge and never sees
 * what travels on it. */
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "monitor.h"
#include "sallyport/clock.h"
#include "sallyport/edge/handover.h"
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

static void forget(struct monitor *monitor, struct conversation *conversation)
{
	LIST_REMOVE(conversation, all);
	loop_forget(&monitor->loop, &conversation->process);
	if (conversation->process.fd >= 0)
		close(conversation->process.fd);
	if (conversation->edge >= 0)
		close(conversation->edge);
	free(conversation);
}

static void on_end(struct watch *watch, void *self)
{
	forget(self, watch->owner);
}

static struct conversation *conversation_new(struct monitor *monitor, uint64_t id)
{
	struct conversation *conversation = calloc(1, sizeof(*conversation));
	if (!conversation)
		return NULL;
	*conversation = (struct conversation){.id = id, .edge = -1,
					      .process = {.fd = -1, .on_readable = on_end, .owner = conversation}};
	LIST_INSERT_HEAD(&monitor->conversations, conversation, all);
	return conversation;
}

static int start(struct monitor *monitor, int *out_broker_end, struct diag *diag)
{
	int ends[2];
	if (wire_pair(ends) < 0)
		return diag_system(diag, "no edge for a conversation");
	OWN_FD int own_end = ends[0];
	OWN_FD int process_end = ends[1];
	OWN_FD int edge = -1;
	pid_t pid = 0;
	int result = spawn_room("sallyport-conversation", NULL, &pid, &edge, diag);
	if (result < 0)
		return result;
	OWN_FD int process = pidfd_open(pid, 0);
	struct conversation *conversation = process >= 0 ? conversation_new(monitor, (uint64_t)pid) : NULL;
	if (!conversation) {
		kill(pid, SIGKILL);
		return diag_system(diag, "a conversation cannot be watched");
	}
	conversation->edge = take_fd(&edge);
	conversation->process.fd = take_fd(&process);
	monitor_watch_or_die(monitor, &conversation->process);
	result = introduce(monitor, conversation->edge, process_end, diag);
	if (result < 0)
		kill(pid, SIGKILL);
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

/* ---- of the gateway before ---- */

int conversation_inherit(struct monitor *monitor, uint8_t kind, uint64_t id, int *fd)
{
	struct conversation *conversation;
	LIST_FOREACH(conversation, &monitor->conversations, all)
		if (conversation->id == id)
			break;
	if (!conversation)
		conversation = conversation_new(monitor, id);
	int *place = !conversation ? NULL : kind == HANDOVER_CONVERSATION ? &conversation->edge : &conversation->process.fd;
	if (!place || *place >= 0)
		return ERR_BAD_PEER;
	*place = take_fd(fd);
	return 0;
}

void conversations_settle(struct monitor *monitor)
{
	struct conversation *conversation, *next;
	for (conversation = LIST_FIRST(&monitor->conversations); conversation; conversation = next) {
		next = LIST_NEXT(conversation, all);
		if (conversation->edge < 0 || conversation->process.fd < 0)
			forget(monitor, conversation);
		else
			monitor_watch_or_die(monitor, &conversation->process);
	}
}

/* ---- the end ---- */

/* More than a conversation's keeper gives its stack (gateway/conversation/keeper.c). */
enum { PATIENCE_MS = 11000, STEP_MS = 20 };

void conversations_leave(struct monitor *monitor)
{
	const struct conversation *conversation;
	LIST_FOREACH(conversation, &monitor->conversations, all)
		shutdown(conversation->edge, SHUT_RDWR);
}

static void forget_ended(struct monitor *monitor)
{
	struct conversation *conversation, *next;
	for (conversation = LIST_FIRST(&monitor->conversations); conversation; conversation = next) {
		struct pollfd process = {.fd = conversation->process.fd, .events = POLLIN};
		next = LIST_NEXT(conversation, all);
		if (poll(&process, 1, 0) > 0)
			forget(monitor, conversation);
	}
}

void conversations_end(struct monitor *monitor)
{
	const struct conversation *conversation;
	uint64_t until_ms = clock_monotonic_ms() + PATIENCE_MS;
	conversations_leave(monitor);
	forget_ended(monitor);
	while (!LIST_EMPTY(&monitor->conversations) && clock_monotonic_ms() < until_ms) {
		usleep(STEP_MS * 1000);
		forget_ended(monitor);
	}
	LIST_FOREACH(conversation, &monitor->conversations, all)
		pidfd_send_signal(conversation->process.fd, SIGKILL, NULL, 0);
}

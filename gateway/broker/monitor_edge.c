/* monitor_edge.c: the broker's end of the monitor's edge, once it works. Counterpart: gateway/monitor/rooms.c. */
#include "monitor_edge.h"

#include <stdlib.h>

#include "admin.h"
#include "alert_desk.h"
#include "admin_rooms.h"
#include "admin_sources.h"
#include "broker.h"
#include "broker_life.h"
#include "courier_edge.h"
#include "handover.h"
#include "login.h"
#include "metrics.h"
#include "sallyport/link.h"
#include "sallyport/log.h"
#include "sallyport/own.h"
#include "signer_edge.h"
#include "worker.h"

enum { PENDING_BYTES_MAX = 16 << 20 };

struct monitor_edge {
	struct link link;
};

static int on_setting(void *self, const struct monitor_room_setting *message, int *fd)
{
	struct broker *broker = self;
	struct diag diag;
	(void)fd;
	int result = room_take_setting(broker->room, message, &diag);
	if (result < 0)
		log_error("%s", diag.text);
	return result;
}

/* A new edge to a signer that was started anew counts at once; files wait for `reload`. */
static int on_descriptor(void *self, const struct monitor_room_descriptor *message, int *fd)
{
	struct broker *broker = self;
	struct diag diag;
	if (view_is(message->purpose, MONITOR_ROOM_PURPOSE_SIGNER_EDGE)) {
		signer_connect(broker, take_fd(fd));
		return 0;
	}
	if (view_is(message->purpose, MONITOR_ROOM_PURPOSE_COURIER_EDGE)) {
		courier_connect(broker, take_fd(fd));
		return 0;
	}
	if (view_is(message->purpose, MONITOR_ROOM_PURPOSE_ISSUER_LIST)) {
		issuers_file(broker, message->name, take_fd(fd));
		return 0;
	}
	int result = room_take_descriptor(broker->room, message, fd, &diag);
	if (result < 0)
		log_error("%s", diag.text);
	return result;
}

static int on_reload(void *self, const struct monitor_room_reload *message, int *fd)
{
	(void)message, (void)fd;
	broker_reload(self);
	return 0;
}

static int on_reload_over(void *self, const struct monitor_room_reload_over *message, int *fd)
{
	char sentence[768];
	(void)fd;
	if (view_to_string(message->sentence, sentence, sizeof(sentence)) < 0)
		return ERR_BAD_PEER;
	admin_reload_over(self, message->good, sentence);
	return 0;
}

static int on_worker(void *self, const struct monitor_room_worker *message, int *fd)
{
	(void)worker_connect(self, message->worker, take_fd(fd));
	return 0;
}

static int on_worker_client(void *self, const struct monitor_room_worker_client *message, int *fd)
{
	(void)fd;
	worker_set_client(self, message);
	return 0;
}

static int on_conversation(void *self, const struct monitor_room_conversation *message, int *fd)
{
	(void)message;
	login_connect(self, take_fd(fd));
	return 0;
}

static int on_conversation_failed(void *self, const struct monitor_room_conversation_failed *message, int *fd)
{
	(void)message, (void)fd;
	login_not_started(self);
	return 0;
}

static int on_stop(void *self, const struct monitor_room_stop *message, int *fd)
{
	(void)message, (void)fd;
	broker_stop(self);
	return 0;
}

static int on_hand_over(void *self, const struct monitor_room_hand_over *message, int *fd)
{
	(void)message, (void)fd;
	handover_begin(self);
	return 0;
}

static int on_room_restarted(void *self, const struct monitor_room_room_restarted *message, int *fd)
{
	char room[65], cause[65];
	(void)fd;
	if (view_to_string(message->room, room, sizeof(room)) < 0 || view_to_string(message->cause, cause, sizeof(cause)) < 0)
		return ERR_BAD_PEER;
	alert_desk_room_restarted(self, room, cause);
	return 0;
}

static int on_source_item(void *self, const struct monitor_room_source_item *message, int *fd)
{
	(void)fd;
	return admin_sources_item(self, message);
}

static int on_sources_end(void *self, const struct monitor_room_sources_end *message, int *fd)
{
	(void)fd;
	return admin_sources_end(self, message);
}

static int on_sources_cleared(void *self, const struct monitor_room_sources_cleared *message, int *fd)
{
	(void)fd;
	return admin_sources_cleared(self, message);
}

static int on_list_missing(void *self, const struct monitor_room_list_missing *message, int *fd)
{
	char sentence[768];
	(void)fd;
	if (view_to_string(message->sentence, sentence, sizeof(sentence)) < 0)
		return ERR_BAD_PEER;
	issuers_no_file(self, message->issuer, sentence);
	return 0;
}

static int on_counts(void *self, const struct monitor_room_counts *message, int *fd)
{
	(void)fd;
	return metrics_counts(self, message);
}

static int on_room_item(void *self, const struct monitor_room_room_item *message, int *fd)
{
	(void)self, (void)fd;
	return admin_rooms_item(message);
}

static int on_rooms_end(void *self, const struct monitor_room_rooms_end *message, int *fd)
{
	(void)self, (void)fd;
	return admin_rooms_end(message);
}

static const struct monitor_room_handlers handlers = {
	.setting = on_setting,
	.descriptor = on_descriptor,
	.reload = on_reload,
	.reload_over = on_reload_over,
	.worker = on_worker,
	.worker_client = on_worker_client,
	.conversation = on_conversation,
	.conversation_failed = on_conversation_failed,
	.stop = on_stop,
	.hand_over = on_hand_over,
	.room_restarted = on_room_restarted,
	.source_item = on_source_item,
	.sources_end = on_sources_end,
	.sources_cleared = on_sources_cleared,
	.list_missing = on_list_missing,
	.counts = on_counts,
	.room_item = on_room_item,
	.rooms_end = on_rooms_end,
};

static void on_frame(struct link *link, struct edge_frame *frame)
{
	struct broker *broker = link->owner;
	struct diag diag = {""};
	if (monitor_room_dispatch(&handlers, broker, EDGE_FROM_FIRST, MONITOR_ROOM_BROKER, frame, &diag) == 0)
		return;
	log_error("the monitor does not speak the protocol: %s", diag.text);
	broker_stop(broker);
}

static void on_end(struct link *link, int reason)
{
	log_notice("the monitor is gone (%s)", err_name(reason));
	broker_stop(link->owner);
}

int monitor_edge_new(struct broker *broker, struct diag *diag)
{
	struct monitor_edge *monitor = broker->monitor = calloc(1, sizeof(*monitor));
	if (!monitor || link_init(&monitor->link, broker->loop, broker->room->monitor, PENDING_BYTES_MAX) < 0)
		return diag_system(diag, "the monitor's edge cannot be watched");
	monitor->link.owner = broker;
	monitor->link.on_frame = on_frame;
	monitor->link.on_end = on_end;
	return 0;
}

void monitor_door_one(struct broker *broker, uint64_t worker)
{
	(void)LINK_SEND(&broker->monitor->link, monitor_room, door_one, -1, .worker = worker);
}

void monitor_undecided(struct broker *broker, uint64_t worker)
{
	(void)LINK_SEND(&broker->monitor->link, monitor_room, undecided, -1, .worker = worker);
}

void monitor_kill_worker(struct broker *broker, uint64_t worker)
{
	(void)LINK_SEND(&broker->monitor->link, monitor_room, kill_worker, -1, .worker = worker);
}

void monitor_keep(struct broker *broker, uint8_t kind, uint64_t number, int fd)
{
	(void)LINK_SEND(&broker->monitor->link, monitor_room, keep, fd, .kind = kind, .number = number);
	link_drain(&broker->monitor->link);
}

void monitor_want_reload(struct broker *broker)
{
	(void)LINK_SEND(&broker->monitor->link, monitor_room, reload_wanted, -1);
}

void monitor_want_conversation(struct broker *broker)
{
	(void)LINK_SEND(&broker->monitor->link, monitor_room, conversation_wanted, -1);
}

void monitor_login_refused(struct broker *broker, const char *address)
{
	(void)LINK_SEND(&broker->monitor->link, monitor_room, login_refused, -1, .address = view_string(address));
}

void monitor_client_behind(struct broker *broker, uint64_t worker, const char *address)
{
	(void)LINK_SEND(&broker->monitor->link, monitor_room, client_behind, -1, .worker = worker, .address = view_string(address));
}

void monitor_want_sources(struct broker *broker)
{
	(void)LINK_SEND(&broker->monitor->link, monitor_room, sources_wanted, -1);
}

void monitor_want_counts(struct broker *broker)
{
	(void)LINK_SEND(&broker->monitor->link, monitor_room, counts_wanted, -1);
}

void monitor_want_rooms(struct broker *broker)
{
	(void)LINK_SEND(&broker->monitor->link, monitor_room, rooms_wanted, -1);
}

void monitor_tell_busy(struct broker *broker)
{
	struct store_health health;
	store_health(broker->store, &health);
	const struct monitor_room_busy now = {.sessions = broker->sessions.live_count, .tunnels = broker->tunnels.live_count,
					      .trouble = !health.good}, *told = &broker->busy;
	if (now.sessions == told->sessions && now.tunnels == told->tunnels && now.trouble == told->trouble)
		return;
	broker->busy = now;
	(void)LINK_SEND(&broker->monitor->link, monitor_room, busy, -1, .sessions = now.sessions, .tunnels = now.tunnels,
			.trouble = now.trouble);
}

void monitor_clear_sources(struct broker *broker, const char *source)
{
	(void)LINK_SEND(&broker->monitor->link, monitor_room, sources_clear, -1, .source = view_string(source));
}

void monitor_want_list(struct broker *broker, const char *issuer)
{
	(void)LINK_SEND(&broker->monitor->link, monitor_room, list_wanted, -1, .issuer = view_string(issuer));
}

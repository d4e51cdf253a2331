/* main.c: the broker: enter, take what you need, lock the door, loop.
 *
 * Decides who may enter and what is opened; keeps the record; resolves and dials. Nobody here parses a
 * client's bytes. Counterparts: every other room; gateway/README.md has a chart for each edge.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin.h"
#include "alert_desk.h"
#include "alert_prints.h"
#include "broker.h"
#include "broker_life.h"
#include "checkpoint_desk.h"
#include "courier_edge.h"
#include "factor.h"
#include "groups.h"
#include "handover.h"
#include "identity.h"
#include "login.h"
#include "login_rate.h"
#include "monitor_edge.h"
#include "policy.h"
#include "policy_record.h"
#include "shadow.h"
#include "resolve.h"
#include "sallyport/clock.h"
#include "sallyport/log.h"
#include "sallyport/own.h"
#include "signer_edge.h"
#include "store_check.h"
#include "walls.h"
#include "worker.h"

/* The descriptors that are kept beyond room_lock. */
struct taken {
	int signer, courier, admin, factor, metrics;
};

static int take(struct room *room, const char *purpose)
{
	size_t position = 0;
	struct room_descriptor *found = room_descriptor(room, purpose, &position);
	return found ? take_fd(&found->fd) : -1;
}

/* The store is opened with the broker's own rights, not root's: its folder belongs to the broker, so a
 * link that lies there must not lead root anywhere. */
static int borrow_identity(const struct jail *jail, struct diag *diag)
{
	struct identity identity;
	if (geteuid() != 0)
		return 0;
	int result = identity_find(jail, &identity, diag);
	if (result < 0 || !identity.changes)
		return result;
	if (setegid(identity.group) < 0 || seteuid(identity.user) < 0)
		return diag_system(diag, "the identity %s cannot be taken", jail->identity);
	return 0;
}

static int give_identity_back(struct diag *diag)
{
	if (getuid() != 0)
		return 0;
	return seteuid(0) < 0 || setegid(0) < 0 ? diag_system(diag, "the identity cannot be given back") : 0;
}

static int load(struct broker *broker, const struct jail *jail, struct diag *diag)
{
	struct alert_prints prints;
	struct issuer_prints issuers;
	struct policy_texts *texts = NULL;
	int result = alert_prints_take(broker->room, &prints, diag);
	if (result == 0)
		result = policy_texts_take(broker->room, &texts, diag);
	if (result == 0)
		result = issuers_take(broker->room, broker->room->conf.authority, &issuers, diag);
	if (result == 0)
		result = borrow_identity(jail, diag);
	if (result == 0)
		result = store_open(broker->room->conf.store, &broker->store, diag);
	/* Before the first row: what it raises is told. */
	if (result == 0)
		result = alert_desk_plan(broker, diag);
	if (result == 0)
		result = alert_prints_start(broker, &prints, diag);
	if (result == 0)
		result = policy_record_start(broker, texts, diag);
	if (result == 0)
		result = tunnels_load(broker, diag);
	if (result == 0)
		result = registry_load(&broker->registry, broker->store, diag);
	if (result == 0)
		result = issuers_load(broker, diag);
	if (result == 0)
		result = invitations_load(&broker->invitations, broker->store, diag);
	if (result == 0)
		result = sessions_load(&broker->sessions, broker, diag);
	if (result == 0)
		result = accounts_load(&broker->accounts, broker->store, diag);
	if (result == 0)
		result = shadow_load(broker, diag);
	if (result == 0)
		issuers_begin(broker, &issuers);
	return result < 0 ? result : give_identity_back(diag);
}

static int prepare(struct broker *broker, struct broker_walls *walls, struct taken *taken, struct diag *diag)
{
	struct room *room = broker->room;
	int result = broker_walls_make(&room->conf, walls, diag);
	if (result == 0)
		result = broker_read_policy(room, &broker->policy, diag);
	if (result == 0)
		result = broker_read_pin(room, broker->authority_pin, diag);
	if (result == 0)
		result = broker_read_manner(&room->conf, &broker->manner, diag);
	if (result == 0)
		result = factor_load(broker, take(room, MONITOR_ROOM_PURPOSE_FACTOR_KEY), diag);
	if (result == 0)
		result = heritage_take(broker, &broker->heritage, diag);
	if (result == 0)
		result = load(broker, &walls->jail, diag);
	*taken = (struct taken){take(room, MONITOR_ROOM_PURPOSE_SIGNER_EDGE), take(room, MONITOR_ROOM_PURPOSE_COURIER_EDGE),
				take(room, MONITOR_ROOM_PURPOSE_ADMIN_LISTENER),
				take(room, MONITOR_ROOM_PURPOSE_FACTOR_LISTENER), take(room, MONITOR_ROOM_PURPOSE_METRICS_LISTENER)};
	return result;
}

/* Behind the walls: threads, handles, edges. */
static int start(struct broker *broker, const struct taken *taken, struct diag *diag)
{
	const struct conf *conf = &broker->room->conf;
	int result = store_start(broker->store, broker->loop, diag);
	if (result == 0)
		result = broker_check_store(broker, diag);
	if (result == 0)
		result = groups_new(broker->loop, &broker->groups) < 0 ? diag_system(diag, "memory") : 0;
	if (result == 0)
		result = resolver_new(broker->loop, conf->resolver, conf->resolve_time_limit_ms, &broker->resolver, diag);
	if (result == 0)
		result = workers_new(broker, diag);
	if (result == 0)
		result = logins_new(broker, diag);
	if (result == 0 && login_rates_new(&broker->login_rates) < 0)
		result = diag_system(diag, "memory");
	if (result == 0)
		result = signer_edge_new(broker, diag);
	if (result == 0)
		result = courier_edge_new(broker, diag);
	if (result == 0)
		result = alert_desk_new(broker, diag);
	if (result == 0)
		result = checkpoint_desk_new(broker, diag);
	if (result == 0 && (sessions_start(&broker->sessions, broker->loop) < 0 || broker_start_minutes(broker) < 0))
		result = diag_system(diag, "the timers cannot be started");
	if (result == 0)
		result = monitor_edge_new(broker, diag);
	if (result == 0 && taken->signer >= 0)
		signer_connect(broker, taken->signer);
	if (result == 0 && taken->courier >= 0)
		courier_connect(broker, taken->courier);
	if (result == 0)
		heritage_enter(broker);
	if (result == 0 && taken->admin >= 0)
		result = admin_start(broker, ADMIN_DOOR, taken->admin, &broker->admin, diag);
	if (result == 0 && taken->factor >= 0)
		result = admin_start(broker, ADMIN_FACTOR_DOOR, taken->factor, &broker->factor_door, diag);
	if (result == 0 && taken->metrics >= 0)
		result = admin_start(broker, ADMIN_METRICS_DOOR, taken->metrics, &broker->metrics_door, diag);
	return result;
}

/* What no worker has reported by now is closed in the record too. */
static void close_tunnels(struct broker *broker)
{
	struct audit_entry entry = {.code = ""};
	struct tunnel *tunnel;
	while ((tunnel = LIST_FIRST(&broker->tunnels.live)))
		if (tunnel->state == TUNNEL_OPEN)
			tunnel_close(tunnel, "gateway_stopped", 0, 0);
		else
			tunnel_abandon(tunnel, "gateway_stopped", TUNNEL_TELL_NOBODY);
	audit_fill(&entry, "gateway_stopped", "in good order");
	audit_record(broker, &entry, NULL, NULL);
}

static void close_record(struct broker *broker)
{
	if (broker->handing_over)
		handover_part(broker);
	else
		close_tunnels(broker);
	store_check_end(take_pointer(&broker->store_check));
	store_close(broker->store);
	if (broker->handing_over)
		handover_send(broker);
}

/* `sallyport-gateway -T`: is the policy good? The store is another gateway's, perhaps, and is left alone. */
[[noreturn]] static void check(struct room *room)
{
	struct broker_walls walls;
	struct policy *policy = NULL;
	struct diag diag;
	int result = broker_walls_make(&room->conf, &walls, &diag);
	struct dial_manner manner;
	if (result == 0)
		result = broker_read_manner(&room->conf, &manner, &diag);
	if (result == 0)
		result = broker_read_policy(room, &policy, &diag);
	if (result == 0)
		result = admin_check_users(&room->conf, &diag);
	if (result < 0)
		room_fail(room, &diag);
	policy_free(policy);
	room_lock(room, &walls.jail);
	exit(EXIT_SUCCESS);
}

int main(int count, char **arguments)
{
	struct room room;
	struct broker_walls walls;
	struct taken taken;
	struct diag diag;
	room_start(&room, "broker", MONITOR_ROOM_BROKER);
	/* A log or an admin that is gone is an error of that write, not the end. */
	signal(SIGPIPE, SIG_IGN);
	if (count > 1 && strcmp(arguments[1], "check") == 0)
		check(&room);
	struct broker broker = {.room = &room, .loop = uv_default_loop(), .started_at_ms = clock_wall_ms()};
	TAILQ_INIT(&broker.reloads);
	TAILQ_INIT(&broker.files_wanted);
	if (prepare(&broker, &walls, &taken, &diag) < 0)
		room_fail(&room, &diag);
	room_lock(&room, &walls.jail);
	if (start(&broker, &taken, &diag) < 0) {
		log_error("%s", diag.text);
		return EXIT_FAILURE;
	}
	uv_run(broker.loop, UV_RUN_DEFAULT);
	close_record(&broker);
	return EXIT_SUCCESS;
}

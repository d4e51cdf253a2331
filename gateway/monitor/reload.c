/* reload.c: SIGHUP: configuration, policy and keys are read again: whole or not at all.
 *
 * First the file must parse and every file of it open; then the broker judges the policy, then the signer the
 * keys; then a new template takes the place of the old one, so that new workers have the new certificates and
 * settings. Live workers keep what they have.
 */
#include <string.h>

#include "conf_file.h"
#include "files.h"
#include "monitor.h"
#include "paths.h"
#include "sallyport/edge/monitor_room.h"
#include "sallyport/log.h"
#include "sallyport/wire.h"
#include "spawn.h"

static int offer(struct monitor *monitor, enum keeper_role role, unsigned room, struct diag *diag)
{
	int edge = monitor->keepers[role].watch.fd;
	if (!monitor->keepers[role].pid)
		return diag_set(diag, ERR_CLOSED, "a room is just being started again; try it once more");
	int result = spawn_send_settings(edge, room, &monitor->offered, diag);
	if (result == 0)
		result = files_send(edge, room, &monitor->offered, diag);
	if (result < 0)
		return result;
	result = WIRE_SEND(edge, monitor_room, reload, -1);
	return result < 0 ? diag_set(diag, result, "a room does not listen (%s)", err_name(result)) : 0;
}

/* Whoever asked for it at the admin socket waits in the broker. */
static void tell_broker(struct monitor *monitor, const char *sentence)
{
	if (monitor->keepers[KEEPER_BROKER].pid)
		(void)!WIRE_SEND(monitor->keepers[KEEPER_BROKER].watch.fd, monitor_room, reload_refused, -1,
				 .sentence = view_string(sentence));
}

static void give_up(struct monitor *monitor, const char *sentence)
{
	log_error("reload: %s; what was in force stays", sentence);
	tell_broker(monitor, sentence);
	conf_fini(&monitor->offered);
	monitor->reloading = KEEPER_COUNT;
	notify_ready();
}

static void finish(struct monitor *monitor)
{
	if (strcmp(monitor->conf.listen, monitor->offered.listen) != 0)
		log_notice("reload: listen has changed; that takes a restart");
	conf_fini(&monitor->conf);
	monitor->conf = monitor->offered;
	memset(&monitor->offered, 0, sizeof(monitor->offered));
	monitor->reloading = KEEPER_COUNT;
	/* Its death brings a new one (keepers.c), and with it new spares. */
	monitor->keepers[KEEPER_TEMPLATE].pause_ms = 0;
	keeper_kill(&monitor->keepers[KEEPER_TEMPLATE]);
	log_notice("reload: done");
	notify_ready();
}

void reload_begin(struct monitor *monitor)
{
	struct diag diag;
	if (monitor->reloading != KEEPER_COUNT) {
		log_notice("reload: one is under way");
		tell_broker(monitor, "a reload is under way already; try again in a moment");
		return;
	}
	notify_reloading();
	if (conf_file_load(monitor->conf_path, &monitor->offered, &diag) < 0) {
		log_error("reload: %s; what was in force stays", diag.text);
		tell_broker(monitor, diag.text);
		notify_ready();
		return;
	}
	int result = files_check(&monitor->offered, &diag);
	if (result == 0)
		result = paths_check_pam(&monitor->offered, &diag);
	monitor->reloading = KEEPER_BROKER;
	if (result == 0)
		result = offer(monitor, KEEPER_BROKER, CONF_BROKER, &diag);
	if (result < 0)
		give_up(monitor, diag.text);
}

void reload_answered(struct monitor *monitor, enum keeper_role role, bool good, const char *sentence)
{
	struct diag diag;
	if (monitor->reloading != role)
		return;
	if (!good) {
		give_up(monitor, sentence);
		return;
	}
	if (role == KEEPER_SIGNER) {
		finish(monitor);
		return;
	}
	monitor->reloading = KEEPER_SIGNER;
	if (offer(monitor, KEEPER_SIGNER, CONF_SIGNER, &diag) < 0)
		give_up(monitor, diag.text);
}

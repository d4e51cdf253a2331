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

/* Who waits is told the outcome of the last one. */
static void tell_outcome(struct monitor *monitor, bool good, const char *sentence)
{
	notify_ready();
	if (monitor->reload_again) {
		monitor->reload_again = false;
		reload_begin(monitor);
		return;
	}
	if (monitor->reload_wanted && monitor->keepers[KEEPER_BROKER].pid)
		(void)!WIRE_SEND(monitor->keepers[KEEPER_BROKER].watch.fd, monitor_room, reload_over, -1, .good = good,
				 .sentence = view_string(sentence));
	monitor->reload_wanted = false;
}

static void give_up(struct monitor *monitor, const char *sentence)
{
	log_error("reload: %s; what was in force stays", sentence);
	conf_fini(&monitor->offered);
	monitor->reloading = KEEPER_COUNT;
	tell_outcome(monitor, false, sentence);
}

static void finish(struct monitor *monitor)
{
	bool moved = strcmp(monitor->conf.listen, monitor->offered.listen) != 0 ||
		     strcmp(monitor->conf.enroll_listen, monitor->offered.enroll_listen) != 0;
	if (moved)
		log_notice("reload: a listener has changed; that takes a restart");
	conf_fini(&monitor->conf);
	monitor->conf = monitor->offered;
	memset(&monitor->offered, 0, sizeof(monitor->offered));
	/* It was found good when the reload began. */
	struct diag diag;
	(void)!source_desk_read(&monitor->conf, &monitor->exempt, &monitor->senders, &diag);
	monitor->reloading = KEEPER_COUNT;
	/* Before the next client: an old spare has the old certificate, and the signer the new key. */
	bool good = keeper_replace(monitor, KEEPER_TEMPLATE, &diag) == 0;
	keepers_renew_courier(monitor);
	if (good)
		log_notice("reload: done");
	else
		log_error("reload: new workers cannot be made: %s", diag.text);
	tell_outcome(monitor, good, !good ? diag.text : moved ? "a listener has changed; that takes a restart" : "");
}

void reload_ask(struct monitor *monitor)
{
	monitor->reload_wanted = true;
	reload_begin(monitor);
}

void reload_begin(struct monitor *monitor)
{
	struct diag diag;
	if (monitor->reloading != KEEPER_COUNT) {
		/* It may have read the old files already. */
		monitor->reload_again = true;
		return;
	}
	notify_reloading();
	if (conf_file_load(monitor->conf_path, &monitor->offered, &diag) < 0) {
		give_up(monitor, diag.text);
		return;
	}
	struct source_networks exempt, senders;
	int result = source_desk_read(&monitor->offered, &exempt, &senders, &diag);
	if (result == 0)
		result = files_check(&monitor->offered, &diag);
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

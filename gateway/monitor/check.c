/* check.c: -T: is everything as a start would want it? And: what is in force?
 *
 * The rooms judge what is theirs: the signer loads the keys, the broker parses the policy (its argument "check"
 * makes it stop there, so that a running gateway's store is left alone).
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "files.h"
#include "monitor.h"
#include "paths.h"
#include "sallyport/alert.h"
#include "sallyport/edge/monitor_room.h"
#include "sallyport/issuer.h"
#include "sallyport/own.h"
#include "sallyport/realm.h"
#include "sallyport/wire.h"
#include "spawn.h"

static int try_room(const struct conf *conf, const char *program, unsigned room, struct diag *diag)
{
	pid_t pid = 0;
	OWN_FD int edge = -1;
	char missing[513];
	int result = spawn_room(program, "check", &pid, &edge, diag);
	if (result < 0)
		return result;
	result = spawn_send_settings(edge, room, conf, diag);
	if (result == 0)
		result = files_send(edge, room, conf, diag);
	if (result == 0 && WIRE_SEND(edge, monitor_room, begin, -1) < 0)
		result = diag_set(diag, ERR_CLOSED, "%s does not listen", program);
	if (result == 0)
		result = spawn_wait_ready(edge, program, missing, diag);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return result;
}

static int check_all(const struct conf *conf, struct diag *diag)
{
	struct source_networks exempt, senders;
	int result = source_desk_read(conf, &exempt, &senders, diag);
	if (result == 0)
		result = files_check(conf, diag);
	if (result == 0)
		result = paths_prepare(conf, 0, diag);
	if (result == 0)
		result = paths_check_pam(conf, diag);
	if (result == 0)
		result = paths_check_metrics(conf, diag);
	if (result == 0)
		result = try_room(conf, "sallyport-signer", CONF_SIGNER, diag);
	if (result == 0)
		result = try_room(conf, "sallyport-broker", CONF_BROKER, diag);
	if (result == 0 && keepers_want_courier(conf))
		result = try_room(conf, "sallyport-courier", CONF_COURIER, diag);
	return result;
}

static void print_realms(const char *value)
{
	size_t position = 0;
	struct realm realm;
	while (realm_next(value, &position, &realm)) {
		OWN_BUF struct buf text = BUF_INIT(2 * REALM_BYTES_MAX);
		if (realm_print(&realm, &text) == 0)
			printf("%.*s\n", (int)text.size, (const char *)text.data);
	}
}

static void print_alerts(const char *value)
{
	size_t position = 0;
	struct alert alert;
	while (alert_next(value, &position, &alert)) {
		OWN_BUF struct buf text = BUF_INIT(2 * ALERT_BYTES_MAX);
		if (alert_print(&alert, &text) == 0)
			printf("%.*s\n", (int)text.size, (const char *)text.data);
	}
}

static void print_issuers(const char *value)
{
	size_t position = 0;
	struct issuer issuer;
	while (issuer_next(value, &position, &issuer)) {
		OWN_BUF struct buf text = BUF_INIT(2 * ISSUER_BYTES_MAX);
		if (issuer_print(&issuer, &text) == 0)
			printf("%.*s\n", (int)text.size, (const char *)text.data);
	}
}

static void print_key(const struct conf *conf, const struct conf_key *key)
{
	OWN_BUF struct buf value = BUF_INIT(65536);
	if (conf_spell(conf, key, &value) < 0)
		return;
	bool is_default = view_is(buf_view(&value), key->initial);
	if (key->kind == CONF_REALMS && !is_default) {
		print_realms(conf->realm);
		return;
	}
	if (key->kind == CONF_ALERTS && !is_default) {
		print_alerts(conf->alert);
		return;
	}
	if (key->kind == CONF_ISSUERS && !is_default) {
		print_issuers(conf->authority);
		return;
	}
	for (size_t i = 0; i < value.size; i++)
		if (value.data[i] == '\n')
			value.data[i] = i + 1 < value.size ? ' ' : 0;
	printf("%-26s %-40.*s %s\n", key->name, (int)value.size, (const char *)value.data, is_default ? "(default)" : "(file)");
}

int check_run(struct monitor *monitor)
{
	struct diag diag;
	if (check_all(&monitor->conf, &diag) < 0) {
		fprintf(stderr, "sallyport-gateway: %s\n", diag.text);
		return EXIT_FAILURE;
	}
	for (size_t i = 0; i < conf_key_count; i++)
		print_key(&monitor->conf, &conf_keys[i]);
	printf("%s: all is well\n", monitor->conf_path);
	return EXIT_SUCCESS;
}

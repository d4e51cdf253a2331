/* settings.c: the configuration as `sallyport-gateway -T` sees it: is it good, and what is weaker than the defaults?
 *
 * The gateway itself judges keys, certificates, modes, policy and PAM stacks, exactly as at a start; here its words are read.
 */
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "findings.h"
#include "sallyport/conf.h"
#include "sallyport/fd.h"
#include "sallyport/own.h"
#include "sallyport/str.h"
#include "sallyport/token_url.h"

/* ---- what is weaker than the default ---- */

/* Which way it is weaker: a larger number, or a smaller one. A flag: when it is not the default. */
static const struct direction {
	const char *key;
	bool larger;
} directions[] = {
	{"adopt_unknown", true}, {"certificate_life", true}, {"copied_key_locks", false}, {"connections_per_device", true}, {"crl_grace", true}, {"end_grace", true},
	{"factor_attempts", true}, {"factor_window", true}, {"handshake_bytes", true}, {"lease", true}, {"login_failures", true},
	{"login_grace", true}, {"login_refusal", false}, {"login_wait", false}, {"logins_per_source", true}, {"logins_per_user", true},
	{"renew_grace", true}, {"renew_overlap", true}, {"self_service_fresh_login", true}, {"source_burst", true}, {"source_penalty_least", true},
	{"source_penalty_login", false}, {"source_penalty_most", false}, {"source_penalty_stranger", false},
	{"source_penalty_undecided", false}, {"source_rate", true},
	{"unauthenticated_full", true},
};

static uint64_t number_of(const struct conf *conf, const struct conf_key *key)
{
	const char *place = (const char *)conf + key->offset;
	return key->kind == CONF_FLAG ? *(const bool *)place : *(const uint64_t *)(const void *)place;
}

static bool is_weaker(const struct conf *now, const struct conf *initial, const struct conf_key *key)
{
	if (strncmp(key->name, "insecure_", 9) == 0)
		return key->kind == CONF_FLAG && number_of(now, key);
	for (size_t i = 0; i < sizeof(directions) / sizeof(directions[0]); i++)
		if (strcmp(directions[i].key, key->name) == 0)
			return directions[i].larger ? number_of(now, key) > number_of(initial, key)
						    : number_of(now, key) < number_of(initial, key);
	return false;
}

/* ---- the words of -T ---- */

static const struct conf_key *scalar(const char *name)
{
	const struct conf_key *key = conf_key_find(name);
	return key && (key->kind == CONF_DURATION || key->kind == CONF_SIZE || key->kind == CONF_COUNT || key->kind == CONF_FLAG) ? key : NULL;
}

static void take_line(char *line, struct conf *now, struct settings *settings)
{
	char name[64], value[4096];
	struct diag diag;
	const struct conf_key *key;
	if (sscanf(line, "%63s %4095s", name, value) != 2)
		return;
	if (strcmp(name, "audit_key") == 0)
		str_copy(settings->audit_key, sizeof(settings->audit_key), value);
	if (strcmp(name, "store") == 0)
		str_copy(settings->store, sizeof(settings->store), value);
	size_t length = strlen(name);
	settings->has_token |= length > 4 && strcmp(name + length - 4, "_key") == 0 && token_url_is(value);
	if ((key = scalar(name)) && conf_set(now, name, view_string(value), &diag) == 0)
		json_object_set_new(settings->values, name, json_pack("{s:s, s:s}", "value", value, "default", key->initial));
}

static void keep_what_differs(const struct conf *now, const struct conf *initial, json_t *values)
{
	const char *name;
	json_t *entry;
	void *next;
	json_object_foreach_safe(values, next, name, entry) {
		const struct conf_key *key = conf_key_find(name);
		if (number_of(now, key) == number_of(initial, key))
			json_object_del(values, name);
		else
			json_object_set_new(entry, "weaker", json_boolean(is_weaker(now, initial, key)));
	}
}

static void take_words(char *words, struct settings *settings)
{
	struct conf now, initial;
	char *line;
	if (conf_init(&now) < 0)
		return;
	if (conf_init(&initial) == 0) {
		while ((line = strsep(&words, "\n")))
			take_line(line, &now, settings);
		keep_what_differs(&now, &initial, settings->values);
		conf_fini(&initial);
	}
	conf_fini(&now);
}

/* Its exit status, or -1. */
static int run(const char *conf_path, int output)
{
	posix_spawn_file_actions_t actions;
	const char *const arguments[] = {SALLYPORT_GATEWAY, "-T", "-f", conf_path, NULL};
	char *environment[] = {NULL};
	pid_t process = -1;
	int status = -1;
	if (posix_spawn_file_actions_init(&actions) != 0)
		return -1;
	int code = posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
	if (code == 0)
		code = posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
	if (code == 0)
		code = posix_spawn(&process, SALLYPORT_GATEWAY, &actions, NULL, (char *const *)(uintptr_t)arguments, environment);
	posix_spawn_file_actions_destroy(&actions);
	if (code != 0 || waitpid(process, &status, 0) != process || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

void settings_read(const char *conf_path, struct settings *out_settings)
{
	OWN_BUF struct buf words = BUF_INIT(1 << 20);
	OWN_FD int output = memfd_create("settings", MFD_CLOEXEC);
	*out_settings = (struct settings){.values = json_object()};
	int status = output < 0 ? -1 : run(conf_path, output);
	if (status < 0 || fd_read_all(output, &words) < 0 || buf_add(&words, view_of("", 1)) < 0) {
		snprintf(out_settings->trouble, sizeof(out_settings->trouble), "%s -T could not be run", SALLYPORT_GATEWAY);
		return;
	}
	out_settings->good = status == 0;
	if (out_settings->good)
		take_words((char *)words.data, out_settings);
	else
		str_copy(out_settings->trouble, sizeof(out_settings->trouble), (char *)words.data);
}

void settings_fini(struct settings *settings)
{
	json_decref(settings->values);
}

/* The gateway's sentences that know a remedy say it last. */
static void spell_remedy(const char *trouble, char *out_mend, size_t capacity)
{
	static const char mark[] = "mend it with: ";
	const char *command = strstr(trouble, mark);
	if (command)
		snprintf(out_mend, capacity, "%.*s", (int)strcspn(command + strlen(mark), "\n"), command + strlen(mark));
	else
		str_copy(out_mend, capacity, "what the sentence says; then sallyport-admin reload");
}

void findings_of_settings(json_t *findings, const struct settings *settings)
{
	const char *name;
	char mend[sizeof(settings->trouble)];
	json_t *entry;
	if (!settings->good) {
		spell_remedy(settings->trouble, mend, sizeof(mend));
		finding_add(findings, FINDING_ERROR, "configuration", mend, "a start or reload would be refused: %s", settings->trouble);
		return;
	}
	finding_add(findings, FINDING_OK, "configuration", NULL,
		    "files, modes, keys, certificates, policy and PAM stacks are as a start wants them");
	json_object_foreach(settings->values, name, entry)
		if (json_is_true(json_object_get(entry, "weaker")))
			finding_add(findings, strncmp(name, "insecure_", 9) == 0 ? FINDING_ERROR : FINDING_WARNING, "settings",
				    "take it out of the configuration, and sallyport-admin reload", "%s = %s is weaker than the default, %s",
				    name, json_string_value(json_object_get(entry, "value")),
				    json_string_value(json_object_get(entry, "default")));
}

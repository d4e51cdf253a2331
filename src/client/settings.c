/* settings.c: which gateway, with which certificate, as whom. */
#include "settings.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "profile.h"
#include "sallyport/str.h"

#define SETTING_ROW(name, environment, value, documentation) {#name, environment, value, documentation},
const struct setting_row setting_rows[SETTING_COUNT] = {SETTINGS(SETTING_ROW)};

int settings_offer(struct settings *settings, enum setting setting, const char *text, struct diag *diag)
{
	if (settings->value[setting] || !text || !*text)
		return STATUS_OK;
	settings->value[setting] = strdup(text);
	return settings->value[setting] ? STATUS_OK : diag_set(diag, STATUS_FAILED, _("memory is out"));
}

int settings_complete(struct settings *settings, struct diag *diag)
{
	const char *named = getenv("SALLYPORT_PROFILE");
	int status = STATUS_OK;
	if (!settings->profile && named && *named)
		status = settings_name_profile(settings, named, diag);
	if (status == STATUS_OK && settings->profile)
		status = profile_load(settings, diag);
	for (size_t i = 0; i < SETTING_COUNT && status == STATUS_OK; i++)
		status = settings_offer(settings, i, getenv(setting_rows[i].environment), diag);
	return status == STATUS_OK && !settings->profile ? profile_load(settings, diag) : status;
}

int settings_name_profile(struct settings *settings, const char *name, struct diag *diag)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	size_t length = strlen(name);
	if (!length || length > 64 || name[0] == '.' || name[0] == '-' || strspn(name, alphabet) != length)
		return diag_set(diag, STATUS_USAGE, _("a profile's name is made of letters, digits, dot, dash and underscore"));
	settings->profile = name;
	return STATUS_OK;
}

int settings_parse_url(const char *url, char *out_host, size_t capacity, uint16_t *out_port, struct diag *diag)
{
	static const char scheme[] = "https://";
	if (strncmp(url, scheme, strlen(scheme)) != 0)
		return diag_set(diag, STATUS_USAGE, _("the gateway \"%s\" is not written as https://HOST or https://HOST:PORT"), url);
	const char *start = url + strlen(scheme);
	size_t length = strlen(start);
	if (length && start[length - 1] == '/')
		length--;
	char authority[512];
	bool has_port = length && (start[0] == '[' ? start[length - 1] != ']' : memchr(start, ':', length) != NULL);
	int written = snprintf(authority, sizeof(authority), has_port ? "%.*s" : "%.*s:443", (int)length, start);
	bool fits = written > 0 && (size_t)written < sizeof(authority);
	bool plain = fits && !strpbrk(authority, "/?#@% ");
	if (!plain || str_split_authority(view_string(authority), out_host, capacity, out_port) < 0)
		return diag_set(diag, STATUS_USAGE, _("the gateway \"%s\" is not written as https://HOST or https://HOST:PORT"), url);
	return STATUS_OK;
}

/* Where each setting can be given, for the sentence that one is missing. */
static int missing(const struct settings *settings, enum setting setting, const char *what, struct diag *diag)
{
	char path[4096];
	if (!profile_path(settings->profile, path, sizeof(path)))
		str_copy(path, sizeof(path), _("the profile file"));
	const struct setting_row *row = &setting_rows[setting];
	return diag_set(diag, STATUS_USAGE, _("%s is not known; give --%s %s, set %s, or write \"%s = ...\" into %s"), what,
			row->name, row->value, row->environment, row->name, path);
}

int settings_check(struct settings *settings, struct diag *diag)
{
	if (!settings->value[SETTING_gateway])
		return missing(settings, SETTING_gateway, _("The gateway"), diag);
	if (!settings->value[SETTING_cert])
		return missing(settings, SETTING_cert, _("The certificate of this device"), diag);
	if (!settings->value[SETTING_key])
		return missing(settings, SETTING_key, _("The private key of this device"), diag);
	/* Each must be good. */
	int status = STATUS_OK;
	for (size_t i = settings_gateway_count(settings); i > 0 && status == STATUS_OK; i--)
		status = settings_use_gateway(settings, i - 1, diag);
	return status;
}

#define BETWEEN_GATEWAYS " ,\t"

static const char *skip_gateway(const char *at)
{
	at += strcspn(at, BETWEEN_GATEWAYS);
	return at + strspn(at, BETWEEN_GATEWAYS);
}

size_t settings_gateway_count(const struct settings *settings)
{
	size_t count = 0;
	for (const char *at = settings->value[SETTING_gateway]; count == 0 || *at; count++)
		at = skip_gateway(at);
	return count;
}

void settings_gateway_url(const struct settings *settings, size_t place, char *out_url, size_t capacity)
{
	const char *at = settings->value[SETTING_gateway];
	while (place--)
		at = skip_gateway(at);
	snprintf(out_url, capacity, "%.*s", (int)strcspn(at, BETWEEN_GATEWAYS), at);
}

int settings_use_gateway(struct settings *settings, size_t place, struct diag *diag)
{
	char url[512];
	settings_gateway_url(settings, place, url, sizeof(url));
	return settings_parse_url(url, settings->host, sizeof(settings->host), &settings->port, diag);
}

void settings_authority(const struct settings *settings, char *out_text, size_t capacity)
{
	bool bracketed = strchr(settings->host, ':') != NULL;
	snprintf(out_text, capacity, bracketed ? "[%s]:%u" : "%s:%u", settings->host, settings->port);
}

int settings_user(const struct settings *settings, const char *named, char *out_user, size_t capacity, struct diag *diag)
{
	const char *user = named ? named : settings->value[SETTING_user];
	if (!user) {
		struct passwd *account = getpwuid(getuid());
		user = account ? account->pw_name : "";
	}
	if (!*user)
		return diag_set(diag, STATUS_USAGE, _("Your name at the gateway is not known; run: sallyport login USER"));
	char printable[512];
	str_copy(printable, sizeof(printable), user);
	str_make_printable(printable);
	if (strlen(user) >= capacity || strcmp(printable, user) != 0)
		return diag_set(diag, STATUS_USAGE, _("\"%s\" cannot be a user's name"), printable);
	str_copy(out_user, capacity, user);
	return STATUS_OK;
}

void settings_fini(struct settings *settings)
{
	for (size_t i = 0; i < SETTING_COUNT; i++) {
		free(settings->value[i]);
		settings->value[i] = NULL;
	}
}

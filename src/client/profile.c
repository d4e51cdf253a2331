/* profile.c: reads `key = value` lines. The settings themselves are settings.c's. */
#include "profile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sallyport/fd.h"
#include "sallyport/own.h"
#include "sallyport/str.h"
#include "sallyport/token_url.h"

enum { PROFILE_BYTES_MAX = 64 * 1024 };

bool profile_path(const char *name, char *out_path, size_t capacity)
{
	const char *folder = getenv("XDG_CONFIG_HOME");
	const char *home = getenv("HOME");
	int length;
	/* The base directory specification: a relative path counts as absent. */
	if (folder && folder[0] == '/')
		length = snprintf(out_path, capacity, "%s/sallyport/profile%s%s", folder, name ? "s/" : "", name ? name : "");
	else if (home && home[0] == '/')
		length = snprintf(out_path, capacity, "%s/.config/sallyport/profile%s%s", home, name ? "s/" : "", name ? name : "");
	else
		return false;
	return (size_t)length < capacity;
}

static struct view unquoted(struct view text)
{
	if (text.size >= 2 && text.data[0] == '"' && text.data[text.size - 1] == '"')
		return view_of(text.data + 1, text.size - 2);
	return text;
}

enum profile_line profile_next(struct view *rest, struct view *out_key, struct view *out_value)
{
	const uint8_t *end = memchr(rest->data, '\n', rest->size);
	size_t length = end ? (size_t)(end - rest->data) : rest->size;
	struct view line = view_trim(view_of(rest->data, length), " \t\r");
	length += end ? 1 : 0;
	*rest = view_of(rest->data + length, rest->size - length);
	if (line.size == 0 || line.data[0] == '#')
		return PROFILE_NOTHING;
	const uint8_t *equals = memchr(line.data, '=', line.size);
	if (!equals)
		return PROFILE_BAD;
	size_t key_length = (size_t)(equals - line.data);
	*out_key = view_trim(view_of(line.data, key_length), " \t\r");
	*out_value = unquoted(view_trim(view_of(equals + 1, line.size - key_length - 1), " \t\r"));
	return out_key->size ? PROFILE_PAIR : PROFILE_BAD;
}

static int find_key(struct view key)
{
	for (int i = 0; i < SETTING_COUNT; i++)
		if (view_is(key, setting_rows[i].name))
			return i;
	return -1;
}

static int unknown_key(const char *path, unsigned line, struct view key, struct diag *diag)
{
	const char *words[SETTING_COUNT + 1] = {0};
	for (size_t i = 0; i < SETTING_COUNT; i++)
		words[i] = setting_rows[i].name;
	char name[64];
	if (view_to_string(key, name, sizeof(name)) < 0)
		return diag_set(diag, STATUS_USAGE, _("%s:%u: unknown key"), path, line);
	const char *nearest = str_nearest(name, words);
	if (nearest)
		return diag_set(diag, STATUS_USAGE, _("%s:%u: unknown key \"%s\"; did you mean \"%s\"?"), path, line, name, nearest);
	return diag_set(diag, STATUS_USAGE, _("%s:%u: unknown key \"%s\""), path, line, name);
}

static bool is_path(enum setting setting)
{
	return strcmp(setting_rows[setting].value, "FILE") == 0;
}

static int offer(struct settings *settings, enum setting setting, const char *value, const char *home, struct diag *diag)
{
	char path[4096];
	if (is_path(setting) && strncmp(value, "~/", 2) == 0) {
		if ((size_t)snprintf(path, sizeof(path), "%s%s", home ? home : "", value + 1) >= sizeof(path))
			return diag_set(diag, STATUS_USAGE, _("the path of %s is too long"), setting_rows[setting].name);
		value = path;
	}
	return settings_offer(settings, setting, value, diag);
}

static int take_pair(struct settings *settings, const char *path, unsigned line, const char *home, struct view key,
		     struct view value, unsigned *seen, struct diag *diag)
{
	int setting = find_key(key);
	if (setting < 0)
		return unknown_key(path, line, key, diag);
	const char *name = setting_rows[setting].name;
	if (*seen & 1u << setting)
		return diag_set(diag, STATUS_USAGE, _("%s:%u: \"%s\" stands here for the second time"), path, line, name);
	*seen |= 1u << setting;
	char text[4096];
	if (value.size == 0)
		return diag_set(diag, STATUS_USAGE, _("%s:%u: \"%s\" has no value"), path, line, name);
	if (view_to_string(value, text, sizeof(text)) < 0)
		return diag_set(diag, STATUS_USAGE, _("%s:%u: the value of \"%s\" is too long or not text"), path, line, name);
	if (is_path(setting) && !token_url_is(text) && text[0] != '/' && strncmp(text, "~/", 2) != 0)
		return diag_set(diag, STATUS_USAGE, _("%s:%u: the path of \"%s\" must begin with / or ~/"), path, line, name);
	return offer(settings, setting, text, home, diag);
}

int profile_parse(struct view text, const char *path, const char *home, struct settings *settings, struct diag *diag)
{
	unsigned seen = 0, line = 0;
	while (text.size) {
		struct view key, value;
		line++;
		enum profile_line kind = profile_next(&text, &key, &value);
		if (kind == PROFILE_BAD)
			return diag_set(diag, STATUS_USAGE, _("%s:%u: expected KEY = VALUE"), path, line);
		if (kind == PROFILE_NOTHING)
			continue;
		int status = take_pair(settings, path, line, home, key, value, &seen, diag);
		if (status != STATUS_OK)
			return status;
	}
	return STATUS_OK;
}

static int check_owner(int fd, const char *path, struct diag *diag)
{
	struct stat file;
	if (fstat(fd, &file) < 0)
		return diag_set(diag, STATUS_USAGE, _("cannot read %s"), path);
	if (!S_ISREG(file.st_mode))
		return diag_set(diag, STATUS_USAGE, _("%s is not a file"), path);
	if ((file.st_uid != 0 && file.st_uid != getuid()) || file.st_mode & 022)
		return diag_set(diag, STATUS_USAGE, _("%s can be written by others and is not trusted; run: chmod go-w %s"), path,
				path);
	return STATUS_OK;
}

int profile_load(struct settings *settings, struct diag *diag)
{
	char path[4096];
	if (!profile_path(settings->profile, path, sizeof(path)))
		return STATUS_OK;
	OWN_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 && !settings->profile && (errno == ENOENT || errno == ENOTDIR))
		return STATUS_OK;
	if (fd < 0) {
		diag_system(diag, _("cannot open %s"), path);
		return STATUS_USAGE;
	}
	int status = check_owner(fd, path, diag);
	if (status != STATUS_OK)
		return status;
	OWN_BUF struct buf text = BUF_INIT(PROFILE_BYTES_MAX);
	if (fd_read_all(fd, &text) < 0)
		return diag_set(diag, STATUS_USAGE, _("%s cannot be read, or is longer than %d bytes"), path, PROFILE_BYTES_MAX);
	return profile_parse(buf_view(&text), path, getenv("HOME"), settings, diag);
}

/* profile.c: `key = value` lines of a host's profile. See profile.h; written by src/client/cmd_enroll.c. */
#include "profile.h"

#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sallyport/fd.h"
#include "sallyport/own.h"
#include "sallyport/str.h"

enum { FILE_BYTES_MAX = 65536 };

static const struct {
	const char *name;
	size_t offset;
} rows[] = {
	{"gateway", offsetof(struct profile, gateway)},
	{"cert", offsetof(struct profile, cert)},
	{"key", offsetof(struct profile, key)},
	{"ca", offsetof(struct profile, ca)},
};

static bool is_blank(uint8_t byte)
{
	return byte == ' ' || byte == '\t' || byte == '\r';
}

static struct view trimmed(struct view text)
{
	while (text.size && is_blank(text.data[0]))
		text = view_of(text.data + 1, text.size - 1);
	while (text.size && is_blank(text.data[text.size - 1]))
		text.size--;
	if (text.size >= 2 && text.data[0] == '"' && text.data[text.size - 1] == '"')
		text = view_of(text.data + 1, text.size - 2);
	return text;
}

static int take_line(struct view line, struct profile *profile, struct diag *diag)
{
	const uint8_t *equals = line.size ? memchr(line.data, '=', line.size) : NULL;
	if (line.size == 0 || line.data[0] == '#' || !equals)
		return 0;
	size_t length = (size_t)(equals - line.data);
	struct view key = trimmed(view_of(line.data, length)), value = trimmed(view_of(equals + 1, line.size - length - 1));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (view_is(key, rows[i].name) && view_to_string(value, (char *)profile + rows[i].offset, PROFILE_TEXT_MAX) < 0)
			return diag_set(diag, ERR_BAD_CONFIG, "%s is too long or holds a NUL", rows[i].name);
	return 0;
}

int profile_parse(struct view text, struct profile *out_profile, struct diag *diag)
{
	struct profile profile = {.ca = ""};
	int result = 0;
	while (result == 0 && text.size) {
		const uint8_t *end = memchr(text.data, '\n', text.size);
		size_t length = end ? (size_t)(end - text.data) : text.size;
		result = take_line(trimmed(view_of(text.data, length)), &profile, diag);
		length += end ? 1 : 0;
		text = view_of(text.data + length, text.size - length);
	}
	if (result == 0 && (strncmp(profile.gateway, "https://", 8) != 0 || profile.cert[0] != '/' || profile.key[0] != '/' ||
			    (profile.ca[0] && profile.ca[0] != '/')))
		return diag_set(diag, ERR_BAD_CONFIG, "it must hold gateway = https://..., cert, key and perhaps ca, each an absolute path");
	if (result == 0)
		*out_profile = profile;
	return result;
}

int profile_read(const char *path, struct profile *out_profile, struct diag *diag)
{
	struct stat status;
	struct diag why;
	OWN_BUF struct buf text = BUF_INIT(FILE_BYTES_MAX);
	OWN_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &status) < 0)
		return diag_system(diag, "cannot read %s", path);
	if (!S_ISREG(status.st_mode) || (status.st_uid != 0 && status.st_uid != geteuid()) || status.st_mode & 022)
		return diag_set(diag, ERR_DENIED, "%s can be written by others and is not trusted", path);
	if (fd_read_all(fd, &text) < 0)
		return diag_set(diag, ERR_SYSTEM, "%s cannot be read", path);
	int result = profile_parse(buf_view(&text), out_profile, &why);
	return result < 0 ? diag_set(diag, result, "%s: %s", path, why.text) : 0;
}

bool profile_gateway(const struct profile *profile, size_t *position, char out_url[PROFILE_TEXT_MAX])
{
	const char *start = profile->gateway + *position;
	start += strspn(start, " ,\t");
	size_t length = strcspn(start, " ,\t");
	*position = (size_t)(start - profile->gateway) + length;
	return length && view_to_string(view_of(start, length), out_url, PROFILE_TEXT_MAX) == 0;
}

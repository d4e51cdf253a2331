/* files.c: opens what rooms may not open themselves. It never reads a key: it hands the descriptor on. */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sallyport/alert.h"
#include "sallyport/edge/monitor_room.h"
#include "sallyport/issuer.h"
#include "sallyport/own.h"
#include "sallyport/token_url.h"
#include "sallyport/wire.h"

static int check_mode(const char *path, const struct stat *status, enum files_care care, struct diag *diag)
{
	if (!S_ISREG(status->st_mode))
		return diag_set(diag, ERR_DENIED, "%s is no regular file", path);
	if (status->st_uid != 0 && status->st_uid != geteuid())
		return diag_set(diag, ERR_DENIED, "%s belongs to user %u; mend it with: chown root %s", path, status->st_uid, path);
	if (care != FILES_NOT_WRITABLE_BY_OTHERS && (status->st_mode & 077))
		return diag_set(diag, ERR_DENIED, "others can read %s (mode %04o); mend it with: chmod 600 %s", path,
				status->st_mode & 07777, path);
	if (status->st_mode & 022)
		return diag_set(diag, ERR_DENIED, "others can write %s (mode %04o); mend it with: chmod go-w %s", path,
				status->st_mode & 07777, path);
	return 0;
}

int files_open(const char *path, enum files_care care, int *out_fd, struct diag *diag)
{
	OWN_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat status;
	if (fd < 0 || fstat(fd, &status) < 0)
		return diag_system(diag, "cannot open %s", path);
	int result = check_mode(path, &status, care, diag);
	if (result == 0)
		*out_fd = take_fd(&fd);
	return result;
}

/* Which file goes to which room: a row each. */
static const struct file_row {
	const char *purpose;
	size_t offset; /* of the path in struct conf */
	enum files_care care;
	unsigned rooms;
} rows[] = {
	{MONITOR_ROOM_PURPOSE_SERVER_KEY, offsetof(struct conf, server_key), FILES_PRIVATE, CONF_SIGNER},
	{MONITOR_ROOM_PURPOSE_AUTHORITY_KEY, offsetof(struct conf, device_authority_key), FILES_PRIVATE, CONF_SIGNER},
	{MONITOR_ROOM_PURPOSE_SERVER_CERTIFICATE, offsetof(struct conf, server_certificate), FILES_NOT_WRITABLE_BY_OTHERS,
	 CONF_SIGNER | CONF_WORKER | CONF_BROKER},
	{MONITOR_ROOM_PURPOSE_AUTHORITY, offsetof(struct conf, device_authority), FILES_NOT_WRITABLE_BY_OTHERS,
	 CONF_SIGNER | CONF_WORKER | CONF_BROKER},
	{MONITOR_ROOM_PURPOSE_SERVER_AUTHORITY, offsetof(struct conf, server_authority), FILES_NOT_WRITABLE_BY_OTHERS,
	 CONF_BROKER | CONF_WORKER},
	{MONITOR_ROOM_PURPOSE_AUDIT_KEY, offsetof(struct conf, audit_key), FILES_PRIVATE_OR_ABSENT, CONF_SIGNER},
	{MONITOR_ROOM_PURPOSE_FACTOR_KEY, offsetof(struct conf, factor_key), FILES_PRIVATE_OR_ABSENT, CONF_BROKER},
	{MONITOR_ROOM_PURPOSE_POLICY, offsetof(struct conf, policy), FILES_NOT_WRITABLE_BY_OTHERS, CONF_BROKER},
};

static int send_file(int edge, const char *purpose, const char *path, enum files_care care, struct diag *diag)
{
	OWN_FD int fd = -1;
	if (care == FILES_PRIVATE_OR_ABSENT && access(path, F_OK) < 0 && errno == ENOENT)
		return 0;
	int result = files_open(path, care, &fd, diag);
	if (result < 0 || edge < 0)
		return result;
	result = WIRE_SEND(edge, monitor_room, descriptor, fd, .purpose = view_string(purpose), .name = view_string(path));
	return result < 0 ? diag_set(diag, result, "%s cannot be handed to its room (%s)", path, err_name(result)) : 0;
}

/* Of a key in a token only the PIN is a file; the URL travels as a setting. */
static int send_key(int edge, const char *purpose, const char *place, struct diag *diag)
{
	struct token_url url;
	if (!token_url_is(place))
		return send_file(edge, purpose, place, FILES_PRIVATE, diag);
	int result = token_url_parse(place, &url, diag);
	return result < 0 || !*url.pin_file ? result : send_file(edge, purpose, url.pin_file, FILES_PRIVATE, diag);
}

static int send_policy_directory(int edge, const char *directory, struct diag *diag)
{
	char pattern[4200];
	glob_t found = {0};
	if (!*directory || (size_t)snprintf(pattern, sizeof(pattern), "%s/*.conf", directory) >= sizeof(pattern))
		return 0;
	int result = 0;
	/* A folder that is not there holds no policy; glob sorts by name. */
	if (glob(pattern, 0, NULL, &found) == 0)
		for (size_t i = 0; result == 0 && i < found.gl_pathc; i++)
			result = send_file(edge, MONITOR_ROOM_PURPOSE_POLICY, found.gl_pathv[i],
					   FILES_NOT_WRITABLE_BY_OTHERS, diag);
	globfree(&found);
	return result;
}

/* The courier opens an authority's file by itself, which others may read: here only its owner and mode are looked at. */
static int check_authority(const char *path, struct diag *diag)
{
	OWN_FD int fd = -1;
	return *path ? files_open(path, FILES_NOT_WRITABLE_BY_OTHERS, &fd, diag) : 0;
}

static int send_alert_files(int edge, const struct alert *alert, struct diag *diag)
{
	char secret[4096], authority[4096], name[ALERT_NAME_MAX + 1];
	OWN_FD int fd = -1;
	if (view_to_string(alert->secret_file, secret, sizeof(secret)) < 0 || view_to_string(alert->name, name, sizeof(name)) < 0 ||
	    view_to_string(alert->authority, authority, sizeof(authority)) < 0)
		return diag_set(diag, ERR_BAD_CONFIG, "a path of an alert is too long");
	int result = check_authority(authority, diag);
	if (result < 0 || !*secret)
		return result;
	result = files_open(secret, FILES_PRIVATE, &fd, diag);
	if (result < 0 || edge < 0)
		return result;
	result = WIRE_SEND(edge, monitor_room, descriptor, fd, .purpose = view_string(MONITOR_ROOM_PURPOSE_ALERT_SECRET),
			   .name = view_string(name));
	return result < 0 ? diag_set(diag, result, "%s cannot be handed to its room (%s)", secret, err_name(result)) : 0;
}

static int send_alerts(int edge, const char *alerts, struct diag *diag)
{
	struct alert alert;
	size_t position = 0;
	int result = 0;
	while (result == 0 && alert_next(alerts, &position, &alert))
		result = send_alert_files(edge, &alert, diag);
	return result;
}

/* Certificates of other authorities. */
static int send_issuers(int edge, const char *issuers, struct diag *diag)
{
	struct issuer issuer;
	size_t position = 0;
	int result = 0;
	while (result == 0 && issuer_next(issuers, &position, &issuer)) {
		char path[4096];
		OWN_FD int fd = -1;
		if (view_to_string(issuer.certificate, path, sizeof(path)) < 0)
			return diag_set(diag, ERR_BAD_CONFIG, "a path of an authority is too long");
		result = files_open(path, FILES_NOT_WRITABLE_BY_OTHERS, &fd, diag);
		if (result == 0 && edge >= 0 &&
		    WIRE_SEND(edge, monitor_room, descriptor, fd, .purpose = view_string(MONITOR_ROOM_PURPOSE_ISSUER),
			      .name = issuer.name) < 0)
			result = diag_set(diag, ERR_CLOSED, "%s cannot be handed to its room", path);
	}
	return result;
}

int files_send_list(int edge, const struct conf *conf, struct view name)
{
	struct issuer issuer;
	struct diag diag;
	char path[4096];
	OWN_FD int fd = -1;
	int result = issuer_find(conf->authority, name, &issuer) && view_to_string(issuer.crl, path, sizeof(path)) == 0
			     ? files_open(path, FILES_NOT_WRITABLE_BY_OTHERS, &fd, &diag)
			     : diag_set(&diag, ERR_NOT_FOUND, "there is no such authority in the configuration");
	if (result < 0)
		return WIRE_SEND(edge, monitor_room, list_missing, -1, .issuer = name, .sentence = view_string(diag.text));
	return WIRE_SEND(edge, monitor_room, descriptor, fd, .purpose = view_string(MONITOR_ROOM_PURPOSE_ISSUER_LIST), .name = name);
}

int files_send(int edge, unsigned room, const struct conf *conf, struct diag *diag)
{
	int result = 0;
	for (size_t i = 0; result == 0 && i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *path = *(char *const *)(const void *)((const char *)conf + rows[i].offset);
		/* An empty path: not configured, and no default either. */
		if (rows[i].rooms & room && *path)
			result = rows[i].care == FILES_PRIVATE ? send_key(edge, rows[i].purpose, path, diag)
							       : send_file(edge, rows[i].purpose, path, rows[i].care, diag);
	}
	if (result == 0 && (room & CONF_BROKER))
		result = send_policy_directory(edge, conf->policy_directory, diag);
	if (result == 0 && (room & (CONF_SIGNER | CONF_BROKER)))
		result = send_issuers(edge, conf->authority, diag);
	if (result == 0 && (room & CONF_COURIER))
		result = send_alerts(edge, conf->alert, diag);
	return result;
}

int files_check(const struct conf *conf, struct diag *diag)
{
	return files_send(-1, CONF_SIGNER | CONF_WORKER | CONF_BROKER | CONF_COURIER, conf, diag);
}

/* paths.c: folders, and the sockets of the broker: admin, factor, metrics. */
#include "paths.h"

#include <errno.h>
#include <libgen.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "sallyport/own.h"
#include "sallyport/realm.h"
#include "sallyport/str.h"

static int folder_of(const char *path, char *out_folder, size_t capacity)
{
	char copy[4096];
	return str_copy(copy, sizeof(copy), path) && str_copy(out_folder, capacity, dirname(copy)) ? 0 : ERR_LIMIT;
}

/* The user id of a name or number. */
static int find_user(const char *identity, uid_t *out_user, struct diag *diag)
{
	uint64_t number = 0;
	if (str_to_u64(view_string(identity), 0, UINT32_MAX - 1, &number) == 0) {
		*out_user = (uid_t)number;
		return 0;
	}
	const struct passwd *entry = getpwnam(identity);
	if (!entry)
		return diag_set(diag, ERR_NOT_FOUND, "there is no user \"%s\"; set broker_user to one that exists", identity);
	*out_user = entry->pw_uid;
	return 0;
}

static int check_store_folder(const char *folder, uid_t owner, struct diag *diag)
{
	struct stat status;
	if (stat(folder, &status) < 0)
		return diag_system(diag, "cannot look at the store's folder %s", folder);
	if (!S_ISDIR(status.st_mode))
		return diag_set(diag, ERR_DENIED, "%s is no folder", folder);
	if (status.st_uid != owner)
		return diag_set(diag, ERR_DENIED, "the store's folder %s belongs to user %u; mend it with: chown %u %s", folder,
				status.st_uid, owner, folder);
	if (status.st_mode & 077)
		return diag_set(diag, ERR_DENIED, "others can look into the store's folder %s; mend it with: chmod 700 %s", folder,
				folder);
	return 0;
}

static int prepare_store(const struct conf *conf, int make, struct diag *diag)
{
	char folder[4096];
	uid_t owner = geteuid();
	int result = owner == 0 ? find_user(conf->broker_user, &owner, diag) : 0;
	if (result < 0)
		return result;
	if (folder_of(conf->store, folder, sizeof(folder)) < 0)
		return diag_set(diag, ERR_BAD_CONFIG, "the path of the store is too long");
	if (access(folder, F_OK) < 0 && !make)
		return 0;
	if (make && mkdir(folder, 0700) == 0 && chown(folder, owner, (gid_t)-1) < 0)
		return diag_system(diag, "cannot give the store's folder %s to user %u", folder, owner);
	return check_store_folder(folder, owner, diag);
}

int paths_prepare(const struct conf *conf, int make, struct diag *diag)
{
	char folder[4096];
	int result = prepare_store(conf, make, diag);
	if (result < 0 || !make || folder_of(conf->admin_socket, folder, sizeof(folder)) < 0)
		return result;
	if (mkdir(folder, 0755) < 0 && errno != EEXIST)
		return diag_system(diag, "cannot make the folder %s of the admin socket", folder);
	return 0;
}

/* A gateway that was killed a moment ago may still hold its socket: its rooms are ending. */
enum { PATIENCE_TENTHS = 30 };

static bool somebody_answers(const struct sockaddr_un *address)
{
	for (int tenths = 0; tenths < PATIENCE_TENTHS; tenths++) {
		OWN_FD int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		/* A full queue (EAGAIN) is somebody who listens, too. */
		if (probe < 0 || (connect(probe, (const struct sockaddr *)address, sizeof(*address)) < 0 && errno != EAGAIN))
			return false;
		usleep(100000);
	}
	return true;
}

static int remove_stale(const char *path, const struct sockaddr_un *address, struct diag *diag)
{
	if (somebody_answers(address))
		return diag_set(diag, ERR_DENIED, "another gateway answers at %s; stop it first", path);
	if (unlink(path) < 0 && errno != ENOENT)
		return diag_system(diag, "cannot remove the old socket %s", path);
	return 0;
}

/* Who may speak is decided by the broker (SO_PEERCRED); where no other user may, none even connects. */
enum who_connects { ROOT_CONNECTS = 0177, EVERYBODY_CONNECTS = 0111 };

static int make_listener(const char *path, enum who_connects who, int *out_fd, struct diag *diag)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (!str_copy(address.sun_path, sizeof(address.sun_path), path))
		return diag_set(diag, ERR_BAD_CONFIG, "%s is longer than %zu characters", path, sizeof(address.sun_path) - 1);
	int result = remove_stale(path, &address, diag);
	if (result < 0)
		return result;
	OWN_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t before = umask(who);
	int bound = fd < 0 ? -1 : bind(fd, (const struct sockaddr *)&address, sizeof(address));
	umask(before);
	if (bound < 0 || listen(fd, 64) < 0)
		return diag_system(diag, "cannot listen at %s", path);
	*out_fd = take_fd(&fd);
	return 0;
}

int paths_admin_listener(const struct conf *conf, int *out_fd, struct diag *diag)
{
	return make_listener(conf->admin_socket, *conf->admin_users ? EVERYBODY_CONNECTS : ROOT_CONNECTS, out_fd, diag);
}

int paths_factor_listener(const struct conf *conf, int *out_fd, struct diag *diag)
{
	bool is_root = strcmp(conf->conversation_user, "root") == 0 || strcmp(conf->conversation_user, "0") == 0;
	return make_listener(conf->factor_socket, is_root ? ROOT_CONNECTS : EVERYBODY_CONNECTS, out_fd, diag);
}

/* ---- metrics: never further than this host ---- */

/* 127.0.0.1 or ::1, and no other: a name or another address may be somebody else's tomorrow. */
static int parse_loopback(const char *text, struct sockaddr_storage *out_address, socklen_t *out_size, struct diag *diag)
{
	char host[64];
	uint16_t port = 0;
	struct sockaddr_in four = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	bool parsed = str_split_authority(view_string(text), host, sizeof(host), &port) == 0;
	memset(out_address, 0, sizeof(*out_address));
	if (parsed && strcmp(host, "127.0.0.1") == 0) {
		four.sin_port = htons(port);
		memcpy(out_address, &four, *out_size = sizeof(four));
		return 0;
	}
	if (parsed && strcmp(host, "::1") == 0) {
		six.sin6_port = htons(port);
		memcpy(out_address, &six, *out_size = sizeof(six));
		return 0;
	}
	return diag_set(diag, ERR_BAD_CONFIG,
			"metrics_listen: \"%s\" is neither the path of a socket nor a port of loopback, such as 127.0.0.1:9469 or "
			"[::1]:9469; other hosts ask a Prometheus on this one", text);
}

int paths_check_metrics(const struct conf *conf, struct diag *diag)
{
	struct sockaddr_storage address;
	socklen_t size;
	if (!*conf->metrics_listen || *conf->metrics_listen == '/')
		return 0;
	return parse_loopback(conf->metrics_listen, &address, &size, diag);
}

int paths_metrics_listener(const struct conf *conf, int *out_fd, struct diag *diag)
{
	struct sockaddr_storage address;
	socklen_t size;
	if (*conf->metrics_listen == '/')
		return make_listener(conf->metrics_listen, *conf->admin_users ? EVERYBODY_CONNECTS : ROOT_CONNECTS, out_fd, diag);
	int result = parse_loopback(conf->metrics_listen, &address, &size, diag);
	if (result < 0)
		return result;
	OWN_FD int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return diag_system(diag, "cannot make a socket for metrics_listen");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
	int bound = -1;
	/* A broker of before may still hold it: it is ending. */
	for (int tenths = 0; bound < 0 && tenths < PATIENCE_TENTHS; tenths++) {
		bound = bind(fd, (struct sockaddr *)&address, size);
		if (bound < 0 && errno == EADDRINUSE)
			usleep(100000);
		else
			break;
	}
	if (bound < 0 || listen(fd, 64) < 0)
		return diag_system(diag, "cannot listen at %s (metrics_listen)", conf->metrics_listen);
	*out_fd = take_fd(&fd);
	return 0;
}

static int check_service(const struct conf *conf, const char *service, struct diag *diag)
{
	char path[4300];
	const char *directory = *conf->pam_directory ? conf->pam_directory : "/etc/pam.d";
	if (strchr(service, '/') || (size_t)snprintf(path, sizeof(path), "%s/%s", directory, service) >= sizeof(path))
		return diag_set(diag, ERR_BAD_CONFIG, "pam_service must be the name of a file in %s", directory);
	if (access(path, R_OK) < 0)
		return diag_system(diag, "pam_service: the PAM stack %s cannot be read", path);
	return 0;
}

int paths_check_pam(const struct conf *conf, struct diag *diag)
{
	struct realm realm;
	size_t position = 0;
	char service[REALM_SERVICE_MAX + 1];
	int result = check_service(conf, conf->pam_service, diag);
	while (result == 0 && realm_next(conf->realm, &position, &realm))
		if (view_to_string(realm.pam_service, service, sizeof(service)) == 0)
			result = check_service(conf, service, diag);
	return result;
}

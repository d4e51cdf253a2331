/* token.c: the session token between two commands. Whether it is still good, only the gateway knows. */
#include "token.h"

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
#include "sallyport/x509.h"

int token_none(struct diag *diag)
{
	return diag_set(diag, STATUS_LOGIN_NEEDED, _("You are not logged in; run: sallyport login"));
}

static bool find_folder(char *out_path, size_t capacity)
{
	static const struct {
		const char *variable, *below;
	} places[] = {{"XDG_RUNTIME_DIR", ""}, {"XDG_STATE_HOME", ""}, {"HOME", "/.local/state"}};
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		const char *start = getenv(places[i].variable);
		struct stat folder;
		/* A runtime folder that does not exist (su, cron) is as good as none. */
		if (!start || start[0] != '/' || (i == 0 && stat(start, &folder) < 0))
			continue;
		return (size_t)snprintf(out_path, capacity, "%s%s/sallyport", start, places[i].below) < capacity;
	}
	return false;
}

int token_path(const char *gateway, struct view device, char *out_path, size_t capacity, struct diag *diag)
{
	char folder[3072], name[2 * X509_FINGERPRINT_SIZE + 1];
	if (!find_folder(folder, sizeof(folder)))
		return diag_set(diag, STATUS_FAILED, _("There is no place for the session: neither XDG_RUNTIME_DIR nor HOME is set"));
	OWN_BUF struct buf named = BUF_INIT(65536);
	/* The NUL of the gateway's name goes in too, so that no two pairs read the same. */
	if (buf_add(&named, view_of(gateway, strlen(gateway) + 1)) < 0 || buf_add(&named, device) < 0)
		return diag_set(diag, STATUS_FAILED, _("memory is out"));
	uint8_t hash[X509_FINGERPRINT_SIZE];
	x509_fingerprint(buf_view(&named), hash);
	str_hex(view_of(hash, sizeof(hash)), name);
	if ((size_t)snprintf(out_path, capacity, "%s/%.32s.session", folder, name) >= capacity)
		return diag_set(diag, STATUS_FAILED, _("The path of %s is too long"), folder);
	return STATUS_OK;
}

/* Ours, and nobody else's business. */
static int check_private(int fd, const char *path, mode_t kind, struct diag *diag)
{
	struct stat found;
	if (fstat(fd, &found) < 0 || (found.st_mode & S_IFMT) != kind)
		return diag_set(diag, STATUS_FAILED, _("%s is not what it should be; remove it"), path);
	if (found.st_uid != getuid())
		return diag_set(diag, STATUS_FAILED, _("%s belongs to somebody else; remove it"), path);
	if (found.st_mode & 077)
		return diag_set(diag, STATUS_FAILED, _("%s is open to others; run: chmod go-rwx %s"), path, path);
	return STATUS_OK;
}

static int check_folder(const char *path, struct diag *diag)
{
	OWN_FD int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0) {
		diag_system(diag, _("cannot open %s"), path);
		return STATUS_FAILED;
	}
	return check_private(fd, path, S_IFDIR, diag);
}

static void folder_of(const char *path, char *out_folder, size_t capacity)
{
	str_copy(out_folder, capacity, path);
	char *slash = strrchr(out_folder, '/');
	if (slash)
		*slash = 0;
}

static int open_token(const char *path, int *out_fd, struct diag *diag)
{
	char folder[4096];
	OWN_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 && errno == ENOENT)
		return token_none(diag);
	if (fd < 0) {
		diag_system(diag, _("cannot open %s"), path);
		return STATUS_FAILED;
	}
	folder_of(path, folder, sizeof(folder));
	int status = check_folder(folder, diag);
	if (status == STATUS_OK)
		status = check_private(fd, path, S_IFREG, diag);
	if (status == STATUS_OK)
		*out_fd = take_fd(&fd);
	return status;
}

static bool is_token(const char *text)
{
	return *text && strspn(text, ANSWER_TOKEN_ALPHABET) == strlen(text);
}

int token_load(const char *path, struct token *out_token, struct diag *diag)
{
	OWN_FD int fd = -1;
	int status = open_token(path, &fd, diag);
	if (status != STATUS_OK)
		return status;
	OWN_SECRET_BUF struct buf text = BUF_INIT(ANSWER_TOKEN_MAX + 1);
	int result = fd_read_all(fd, &text);
	struct view line = buf_view(&text);
	if (line.size && line.data[line.size - 1] == '\n')
		line.size--;
	if (result < 0 || view_to_string(line, out_token->text, sizeof(out_token->text)) < 0 || !is_token(out_token->text)) {
		token_wipe(out_token);
		return diag_set(diag, STATUS_LOGIN_NEEDED, _("%s holds no session; run: sallyport login"), path);
	}
	return STATUS_OK;
}

static int make_folder(const char *path, struct diag *diag)
{
	char folder[4096];
	folder_of(path, folder, sizeof(folder));
	/* The folders above are made as mkdir -p makes them, but private. */
	for (char *at = strchr(folder + 1, '/'); at; at = strchr(at + 1, '/')) {
		*at = 0;
		(void)!mkdir(folder, 0700);
		*at = '/';
	}
	if (mkdir(folder, 0700) < 0 && errno != EEXIST) {
		diag_system(diag, _("cannot make the folder %s"), folder);
		return STATUS_FAILED;
	}
	return check_folder(folder, diag);
}

int token_folder(char *out_path, size_t capacity, struct diag *diag)
{
	char folder[3072], inside[3080];
	if (!find_folder(folder, sizeof(folder)) || !str_copy(out_path, capacity, folder))
		return diag_set(diag, STATUS_FAILED, _("There is no place for the agent: neither XDG_RUNTIME_DIR nor HOME is set"));
	snprintf(inside, sizeof(inside), "%s/x", folder);
	return make_folder(inside, diag);
}

int token_store(const char *path, const char *text, struct diag *diag)
{
	int status = make_folder(path, diag);
	if (status != STATUS_OK)
		return status;
	OWN_SECRET_BUF struct buf line = BUF_INIT(ANSWER_TOKEN_MAX + 1);
	if (buf_add_string(&line, text) < 0 || buf_add_string(&line, "\n") < 0)
		return diag_set(diag, STATUS_FAILED, _("memory is out"));
	return fd_write_file(path, 0600, 1, buf_view(&line), diag) < 0 ? STATUS_FAILED : STATUS_OK;
}

int token_remove(const char *path, struct diag *diag)
{
	if (unlink(path) < 0 && errno != ENOENT) {
		diag_system(diag, _("cannot remove %s"), path);
		return STATUS_FAILED;
	}
	return STATUS_OK;
}

void token_wipe(struct token *token)
{
	wipe(token, sizeof(*token));
}

/* cmd_backup.c: sallyport-admin backup, restore: the store, whole and of one moment, and back again.
 *
 * `backup` reads the store beside the running gateway. `restore` works only where no gateway runs (both hold the same lock), judges
 * the backup before it touches anything, and keeps the store that was there. Keys and configuration are files of /etc/sallyport
 * and in no backup of the store.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "admin.h"
#include "age.h"
#include "record_check.h"
#include "sallyport/own.h"
#include "sallyport/str.h"
#include "store_copy.h"

enum { PATH_MAX_ = 4096 };
struct path {
	char text[PATH_MAX_];
};

[[nodiscard]] static int make_path(struct path *out_path, const char *start, const char *end, struct diag *diag)
{
	return (size_t)snprintf(out_path->text, sizeof(out_path->text), "%s%s", start, end) < sizeof(out_path->text)
		       ? 0
		       : diag_set(diag, ERR_BAD_INPUT, "%.64s...: the path is too long", start);
}

static bool exists(const char *path)
{
	struct stat status;
	return lstat(path, &status) == 0;
}

static int make_file(const char *path, int *out_fd, struct diag *diag)
{
	*out_fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return *out_fd < 0 ? diag_system(diag, "cannot make %s", path) : 0;
}

static int sync_folder(const char *path)
{
	struct path copy;
	str_copy(copy.text, sizeof(copy.text), path);
	OWN_FD int fd = open(dirname(copy.text), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd >= 0 && fsync(fd) == 0 ? 0 : ERR_SYSTEM;
}

/* ---- backup ---- */

/* The plain copy stands beside the store, where a plain store stands anyway: what is to be encrypted goes nowhere else. */
static int encrypted_copy(const char *store, int target, const char *recipient, struct diag *diag)
{
	struct path plain;
	int result = make_path(&plain, store, ".backup-XXXXXX", diag);
	if (result < 0)
		return result;
	OWN_FD int fd = mkostemp(plain.text, O_CLOEXEC);
	if (fd < 0)
		return diag_system(diag, "cannot make a file beside %s", store);
	result = store_copy(store, plain.text, diag);
	if (result == 0)
		result = store_copy_check(plain.text, diag);
	unlink(plain.text);
	return result < 0 ? result : age_encrypt(fd, target, recipient, diag);
}

static int write_backup(const struct admin_options *options, const char *part, int fd, struct diag *diag)
{
	const char *store = admin_store(options);
	int result = options->encrypt_to ? encrypted_copy(store, fd, options->encrypt_to, diag)
					 : store_copy(store, part, diag);
	if (result == 0 && !options->encrypt_to)
		result = store_copy_check(part, diag);
	return result == 0 && fsync(fd) < 0 ? diag_system(diag, "cannot write %s", part) : result;
}

static int backup(const struct admin_options *options, const char *target, struct diag *diag)
{
	struct path part;
	OWN_FD int fd = -1;
	if (exists(target))
		return diag_set(diag, ERR_DENIED, "%s exists already; backup never overwrites", target);
	int result = make_path(&part, target, ".part", diag);
	if (result == 0)
		result = make_file(part.text, &fd, diag);
	if (result < 0)
		return result;
	result = write_backup(options, part.text, fd, diag);
	if (result == 0 && (rename(part.text, target) < 0 || sync_folder(target) < 0))
		result = diag_system(diag, "cannot make %s", target);
	if (result < 0)
		unlink(part.text);
	return result;
}

int cmd_backup(const struct admin_options *options)
{
	struct diag diag;
	if (backup(options, options->words[0], &diag) < 0)
		return admin_say(ADMIN_FAILED, "%s", diag.text);
	if (!options->encrypt_to)
		fprintf(stderr, "sallyport-admin: %s is not encrypted and holds what the store holds; see --encrypt-to\n", options->words[0]);
	return ADMIN_DONE;
}

/* ---- restore ---- */

/* Whatever is made in the store's folder belongs to whom the folder belongs to: the broker. */
static int give_to_owner(int fd, const char *store, struct diag *diag)
{
	struct path copy;
	struct stat status;
	str_copy(copy.text, sizeof(copy.text), store);
	if (stat(dirname(copy.text), &status) < 0)
		return diag_system(diag, "the folder of %s", store);
	return geteuid() == 0 && fchown(fd, status.st_uid, status.st_gid) < 0 ? diag_system(diag, "cannot give %s to its owner", store) : 0;
}

/* The same lock as the gateway's (gateway/broker/store.c). */
static int take_lock(const char *store, int *out_lock, struct diag *diag)
{
	struct path name;
	int result = make_path(&name, store, ".lock", diag);
	if (result < 0)
		return result;
	OWN_FD int fd = open(name.text, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return diag_system(diag, "the store's lock %s cannot be opened", name.text);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return diag_set(diag, ERR_DENIED, "a gateway is using %s: stop it first (systemctl stop sallyport-gateway)", store);
	result = give_to_owner(fd, store, diag);
	if (result == 0)
		*out_lock = take_fd(&fd);
	return result;
}

static int unpack(const struct admin_options *options, const char *source, const char *fresh, int fd, struct diag *diag)
{
	OWN_FD int from = open(source, O_RDONLY | O_CLOEXEC);
	if (from < 0)
		return diag_system(diag, "cannot open %s", source);
	if (!age_is(from))
		return store_copy(source, fresh, diag);
	return options->identity ? age_decrypt(from, fd, options->identity, diag)
				 : diag_set(diag, ERR_BAD_INPUT, "%s is encrypted: --identity FILE with the private key", source);
}

static void ignore_finding(void *context, int64_t sequence, const char *sentence)
{
	(void)context, (void)sequence, (void)sentence;
}

/* A record that is not whole is better than none; but it is told. */
static int tell_record(const char *path, struct diag *diag)
{
	OWN(own_record_store) struct record_store *store = NULL;
	OWN(checkpoints_fini) struct checkpoints checkpoints = {.list = NULL};
	OWN(record_check_fini) struct record_check check = {.checkpoints = &checkpoints, .on_finding = ignore_finding};
	int result = record_store_open(path, &store, diag);
	if (result == 0)
		result = record_check(store, &check, diag);
	if (result < 0)
		return result;
	printf("the backup's record ends with number %" PRId64 "; what the gateway recorded after it is not in it\n", check.last_sequence);
	if (check.findings)
		admin_say(ADMIN_FAILED, "the backup's record is not whole from record %" PRId64 " on: see audit verify", check.first_bad);
	return 0;
}

/* First what stands beside it: an old -wal must never meet the new store. */
static int put_away(const char *store, const struct path *kept, struct diag *diag)
{
	static const char *const ends[] = {"-wal", "-shm", "-journal", ""};
	struct path from, to;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		int result = make_path(&from, store, ends[i], diag);
		if (result == 0)
			result = make_path(&to, kept->text, ends[i], diag);
		if (result < 0)
			return result;
		if (rename(from.text, to.text) < 0 && errno != ENOENT)
			return diag_system(diag, "cannot move %s away", from.text);
	}
	return 0;
}

static int exchange(const char *store, const char *fresh, struct diag *diag)
{
	struct path kept;
	char at[32];
	time_t now = time(NULL);
	struct tm parts = {0};
	gmtime_r(&now, &parts);
	strftime(at, sizeof(at), ".before-%Y%m%dT%H%M%SZ", &parts);
	int result = make_path(&kept, store, at, diag);
	if (result < 0)
		return result;
	if (exists(kept.text))
		return diag_set(diag, ERR_DENIED, "%s exists already: try again in a second", kept.text);
	bool had_one = exists(store);
	if (had_one) {
		store_copy_settle(store);
		result = put_away(store, &kept, diag);
	}
	if (result == 0 && (rename(fresh, store) < 0 || sync_folder(store) < 0))
		result = diag_system(diag, "cannot put %s in its place", fresh);
	if (result == 0 && had_one)
		printf("the former store is kept as %s\n", kept.text);
	return result;
}

static int judge_and_exchange(const struct admin_options *options, const char *store, const char *fresh, int fd, struct diag *diag)
{
	int result = unpack(options, options->words[0], fresh, fd, diag);
	if (result == 0)
		result = store_copy_check(fresh, diag);
	if (result == 0)
		result = tell_record(fresh, diag);
	if (result == 0)
		result = give_to_owner(fd, store, diag);
	if (result == 0 && fsync(fd) < 0)
		result = diag_system(diag, "cannot write %s", fresh);
	return result < 0 ? result : exchange(store, fresh, diag);
}

static int restore(const struct admin_options *options, struct diag *diag)
{
	const char *store = admin_store(options);
	struct path fresh;
	OWN_FD int lock = -1;
	OWN_FD int fd = -1;
	int result = take_lock(store, &lock, diag);
	if (result == 0)
		result = make_path(&fresh, store, ".restoring", diag);
	/* One that was interrupted: the lock says that nobody is at it. */
	if (result == 0)
		unlink(fresh.text);
	if (result == 0)
		result = make_file(fresh.text, &fd, diag);
	if (result < 0)
		return result;
	result = judge_and_exchange(options, store, fresh.text, fd, diag);
	if (result < 0)
		unlink(fresh.text);
	return result;
}

int cmd_restore(const struct admin_options *options)
{
	struct diag diag;
	if (restore(options, &diag) < 0)
		return admin_say(ADMIN_FAILED, "%s; nothing was changed", diag.text);
	printf("restored; start the gateway (systemctl start sallyport-gateway)\n");
	return ADMIN_DONE;
}

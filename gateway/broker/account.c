/* account.c: locks and failed logins in memory, and the growing wait. Acts of an admin: account_act.c. */
#include "account.h"

#include <stdlib.h>
#include <string.h>

#include "broker.h"
#include "sallyport/clock.h"
#include "sallyport/log.h"
#include "sallyport/str.h"

/* A failure is remembered for a day; the first wait, then twice as long each time. */
enum { REMEMBER_MS = 24 * 60 * 60 * 1000, FIRST_WAIT_MS = 2000, DOUBLINGS_MAX = 20 };

static const char *const kind_names[] = {[ACCOUNT_USER] = "user", [ACCOUNT_DEVICE] = "device"};

static const struct map *map_of(const struct accounts *accounts, enum account_kind kind)
{
	return kind == ACCOUNT_USER ? &accounts->users : &accounts->devices;
}

struct account *account_find(const struct accounts *accounts, enum account_kind kind, const char *name)
{
	return MAP_FIND(map_of(accounts, kind), view_string(name), struct account, by_name);
}

struct account *account_need(struct accounts *accounts, enum account_kind kind, const char *name)
{
	struct account *account = account_find(accounts, kind, name);
	if (account || !(account = calloc(1, sizeof(*account))))
		return account;
	account->kind = kind;
	str_copy(account->name, sizeof(account->name), name);
	map_add(kind == ACCOUNT_USER ? &accounts->users : &accounts->devices, &account->by_name, view_string(account->name));
	return account;
}

bool account_is_locked(const struct accounts *accounts, const char *user)
{
	const struct account *account = account_find(accounts, ACCOUNT_USER, user);
	return account && account->locked_at_ms;
}

/* ---- loading ---- */

static int take_lock(void *self, const struct store_row *row, struct diag *diag)
{
	struct account *account = account_need(self, ACCOUNT_USER, store_row_text(row, 0));
	if (!account)
		return diag_system(diag, "memory");
	account->locked_at_ms = (uint64_t)store_row_number(row, 1);
	return 0;
}

static int take_failures(void *self, const struct store_row *row, struct diag *diag)
{
	bool is_user = strcmp(store_row_text(row, 0), kind_names[ACCOUNT_USER]) == 0;
	struct account *account = account_need(self, is_user ? ACCOUNT_USER : ACCOUNT_DEVICE, store_row_text(row, 1));
	if (!account)
		return diag_system(diag, "memory");
	account->failures = (uint64_t)store_row_number(row, 2);
	account->failed_at_ms = (uint64_t)store_row_number(row, 3);
	account->wait_until_ms = (uint64_t)store_row_number(row, 4);
	int64_t lead_ms = (int64_t)clock_wall_ms() - (int64_t)clock_monotonic_ms();
	account->failed_ms = (int64_t)account->failed_at_ms - lead_ms;
	account->waits_until_ms = (int64_t)account->wait_until_ms - lead_ms;
	return 0;
}

static int load(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	struct accounts *accounts = operation->context;
	int result = STORE_RUN(db, diag, login_failure_old, NUMBER(clock_wall_ms() - REMEMBER_MS));
	if (result == 0)
		result = STORE_QUERY_ALL(db, diag, account_all, take_lock, accounts);
	return result < 0 ? result : STORE_QUERY_ALL(db, diag, login_failure_all, take_failures, accounts);
}

int accounts_load(struct accounts *accounts, struct store *store, struct diag *diag)
{
	if (map_init(&accounts->users) < 0 || map_init(&accounts->devices) < 0)
		return diag_system(diag, "memory");
	struct store_operation operation = {.work = load, .context = accounts};
	return store_now(store, &operation, diag);
}

/* ---- writing ---- */

/* A copy for the store's thread. */
struct account_write {
	struct store_operation operation;
	struct account account;
	struct audit_entry alarm; /* event NULL: none */
};

static int write_failures(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	const struct account_write *write = operation->context;
	const struct account *account = &write->account;
	if (write->alarm.event && audit_append(db, &write->alarm, diag) < 0)
		return ERR_SYSTEM;
	if (account->failures == 0)
		return STORE_RUN(db, diag, login_failure_clear, TEXT(kind_names[account->kind]), TEXT(account->name));
	return STORE_RUN(db, diag, login_failure_set, TEXT(kind_names[account->kind]), TEXT(account->name),
			 NUMBER(account->failures), NUMBER(account->failed_at_ms), NUMBER(account->wait_until_ms));
}

static void on_written(struct store_operation *operation, int result, const struct diag *diag)
{
	if (result < 0)
		log_error("failed logins are counted in memory only: %s", diag->text);
	free(operation->context);
}

/* The failure from which on the next must wait: once, until a login succeeds. */
static void fill_alarm(const struct broker *broker, const struct account *account, const struct device *device,
		       struct audit_entry *out_alarm)
{
	bool of_user = account->kind == ACCOUNT_USER;
	if (account->failures != broker->room->conf.login_failures)
		return;
	str_copy(out_alarm->code, sizeof(out_alarm->code), "lock_out");
	str_copy(out_alarm->device, sizeof(out_alarm->device), device->name);
	str_copy(out_alarm->address, sizeof(out_alarm->address), device->last_seen_from);
	if (of_user)
		str_copy(out_alarm->user, sizeof(out_alarm->user), account->name);
	str_make_printable(out_alarm->user);
	audit_fill(out_alarm, "alarm", "%llu failed logins in a row of %s %s: the next one must wait",
		   (unsigned long long)account->failures, of_user ? "the user" : "the device",
		   of_user ? out_alarm->user : device->name);
}

static void submit(struct broker *broker, const struct account *account, const struct device *device)
{
	struct account_write *write = calloc(1, sizeof(*write));
	if (!write) {
		log_error("failed logins are counted in memory only: no memory");
		return;
	}
	write->account = *account;
	fill_alarm(broker, account, device, &write->alarm);
	write->operation = (struct store_operation){.work = write_failures, .done = on_written, .context = write};
	store_submit(broker->store, &write->operation);
}

/* ---- counting ---- */

static uint64_t wait_ms(const struct conf *conf, uint64_t failures)
{
	if (failures < conf->login_failures)
		return 0;
	uint64_t doublings = failures - conf->login_failures;
	uint64_t wait = (uint64_t)FIRST_WAIT_MS << (doublings < DOUBLINGS_MAX ? doublings : DOUBLINGS_MAX);
	return wait < conf->login_wait_ms ? wait : conf->login_wait_ms;
}

static void count(struct broker *broker, enum account_kind kind, const char *name, const struct device *device)
{
	struct account *account = account_need(&broker->accounts, kind, name);
	int64_t now_ms = (int64_t)clock_monotonic_ms();
	if (!account)
		return;
	if (account->failed_ms + REMEMBER_MS < now_ms)
		account->failures = 0;
	account->failures++;
	uint64_t wait = wait_ms(&broker->room->conf, account->failures);
	account->failed_ms = now_ms;
	account->waits_until_ms = now_ms + (int64_t)wait;
	account->failed_at_ms = clock_wall_ms();
	account->wait_until_ms = account->failed_at_ms + wait;
	submit(broker, account, device);
}

static void forget(struct broker *broker, enum account_kind kind, const char *name, const struct device *device)
{
	struct account *account = account_find(&broker->accounts, kind, name);
	if (!account || account->failures == 0)
		return;
	account->failures = account->wait_until_ms = 0;
	submit(broker, account, device);
}

void account_failed(struct broker *broker, const char *user, const struct device *device)
{
	count(broker, ACCOUNT_USER, user, device);
	count(broker, ACCOUNT_DEVICE, device->id, device);
}

void account_succeeded(struct broker *broker, const char *user, const struct device *device)
{
	forget(broker, ACCOUNT_USER, user, device);
	forget(broker, ACCOUNT_DEVICE, device->id, device);
}

/* A clock that was set back while the gateway stood still must not make anybody wait longer than the longest wait. */
static uint64_t left_ms(const struct broker *broker, enum account_kind kind, const char *name)
{
	const struct account *account = account_find(&broker->accounts, kind, name);
	int64_t now_ms = (int64_t)clock_monotonic_ms();
	if (!account || account->failures == 0 || account->waits_until_ms <= now_ms)
		return 0;
	uint64_t left = (uint64_t)(account->waits_until_ms - now_ms);
	return left < broker->room->conf.login_wait_ms ? left : broker->room->conf.login_wait_ms;
}

uint32_t account_wait_s(const struct broker *broker, const char *user, const struct device *device)
{
	uint64_t of_user = left_ms(broker, ACCOUNT_USER, user);
	uint64_t of_device = left_ms(broker, ACCOUNT_DEVICE, device->id);
	return (uint32_t)(((of_user > of_device ? of_user : of_device) + 999) / 1000);
}

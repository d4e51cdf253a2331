/* account.h: what the gateway itself knows of a user: an admin's lock, and failed logins (of users and of devices).
 *
 * In memory, loaded at the start; the store is written with it. Names are counted as they were typed, whether such a
 * user exists or not: so a wait tells nothing (A9). Everything here runs on the loop.
 */
#ifndef SALLYPORT_BROKER_ACCOUNT_H
#define SALLYPORT_BROKER_ACCOUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "act.h"
#include "map.h"
#include "store.h"

struct broker;
struct device;

enum account_kind { ACCOUNT_USER, ACCOUNT_DEVICE };

struct account {
	struct map_entry by_name;
	enum account_kind kind;
	char name[257]; /* the user's, or the device's id */
	uint64_t locked_at_ms; /* 0: not locked */
	uint64_t failures, failed_at_ms, wait_until_ms; /* for the store: by the wall clock */
	int64_t failed_ms, waits_until_ms;              /* the same by the clock that nobody can set; these count */
};

struct accounts {
	struct map users, devices;
};

[[nodiscard]] int accounts_load(struct accounts *accounts, struct store *store, struct diag *diag);

/* NULL when nothing is known. */
struct account *account_find(const struct accounts *accounts, enum account_kind kind, const char *name);
/* The same, made when there is none; NULL without memory. */
struct account *account_need(struct accounts *accounts, enum account_kind kind, const char *name);
bool account_is_locked(const struct accounts *accounts, const char *user);

/* ---- failed logins (A10) ---- */
/* How long this user must wait on this device; 0: not at all. */
uint32_t account_wait_s(const struct broker *broker, const char *user, const struct device *device);
/* Submits the new counts to the store; whatever is submitted afterwards is committed with them or later. */
void account_failed(struct broker *broker, const char *user, const struct device *device);
void account_succeeded(struct broker *broker, const char *user, const struct device *device);

/* ---- acts of an admin: account_act.c ---- */
/* Locking ends all sessions and tunnels of the user; unlocking forgets failures, of his devices too. */
void account_lock(struct broker *broker, const char *user, const struct act_by *by, act_done done, void *context);
void account_unlock(struct broker *broker, const char *user, const struct act_by *by, act_done done, void *context);

#endif

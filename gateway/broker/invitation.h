/* invitation.h: who may enrol: single use, for one device name, until its time is over, known by the hash of a secret.
 *
 *     open --(a laptop comes with the secret)--> used
 *        \--(approval is wanted)--> pending --(device approve)--> approved --(the laptop asks again)--> used
 *        \--(too many wrong secrets, device withdraw)--> withdrawn
 *
 * Those that may still be asked about are in memory; the store keeps all. enrolment.c does what a laptop asks.
 */
#ifndef SALLYPORT_BROKER_INVITATION_H
#define SALLYPORT_BROKER_INVITATION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "act.h"
#include "hash.h"
#include "map.h"
#include "store.h"

struct broker;

#define INVITATION_ID_CHARACTERS 16
#define INVITATION_SECRET_CHARACTERS 32 /* hexadecimal of 128 random bits */
#define INVITATION_KEY_MAX 4096
/* Ids of late renewals that wait for an approval (renewal_approval.c) begin so. */
#define INVITATION_RENEWAL "renewal-"

enum invitation_state {
	INVITATION_OPEN,
	INVITATION_PENDING,
	INVITATION_APPROVED,
	INVITATION_USED,
	INVITATION_WITHDRAWN,
};

struct invitation {
	LIST_ENTRY(invitation) all;
	struct map_entry by_id;
	char id[INVITATION_ID_CHARACTERS + 1];
	uint8_t secret_hash[HASH_BYTES];
	char device_name[65];
	char device_id[33]; /* empty until it is used, except for a reinvitation */
	char *users, *tags; /* one a line */
	bool is_host;       /* of the inside, without users */
	enum invitation_state state;
	unsigned attempts; /* with a wrong secret */
	uint64_t created_at_ms, expires_at_ms;
	struct buf public_key; /* of whoever came first */
	char key_kind[17], key_store[17];
	char address[65];
	bool busy; /* its certificate is being made */
};

LIST_HEAD(invitation_list, invitation);
struct invitations {
	struct invitation_list all;
	struct map ids;
};

const char *invitation_state_name(enum invitation_state state);
/* Loads those whose time is not over; before store_start. */
[[nodiscard]] int invitations_load(struct invitations *invitations, struct store *store, struct diag *diag);
/* NULL when there is none. */
struct invitation *invitation_find(const struct invitations *invitations, const char *id);
/* The one that can still be used for a device of that name; NULL. */
struct invitation *invitation_for(const struct invitations *invitations, const char *device_name, uint64_t now_ms);
/* Open, pending or approved, and not expired. */
bool invitation_is_live(const struct invitation *invitation, uint64_t now_ms);
/* Not a line for a laptop, but the wish of one that is known. */
bool invitation_is_renewal(const struct invitation *invitation);
/* ERR_LIMIT when one of these users has as many devices and invitations as devices_per_user allows. */
[[nodiscard]] int invitation_check_caps(const struct broker *broker, const char *users, struct diag *diag);
/* "ABCD-EFGH": the same at both ends when the same key has arrived; empty while none has. */
#define INVITATION_CODE_CHARACTERS 9
void invitation_confirmation(const struct invitation *invitation, char *out_code);
/* The one that it has when this key has arrived. */
void invitation_code_of(const struct invitation *invitation, struct view public_key, char *out_code);
/* Memory alone: the device is revoked or forgotten, so its live invitations are worth nothing; or it has a new name. */
void invitations_withdraw_device(struct invitations *invitations, const char *device_id);
void invitations_rename_device(struct invitations *invitations, const char *device_id, const char *name);
/* Forgets those that are long over. */
void invitations_prune(struct invitations *invitations, uint64_t now_ms);

/* ---- acts ---- */
struct invitation_request {
	const char *name, *users, *tags; /* as of registry_request; users may be DEVICE_ANY_USER alone */
	uint64_t life_ms;                /* 0: invitation_life */
	bool is_host;                    /* then there are no users */
	bool again;                      /* for the device of that name, whose key is lost; users and tags stay */
};
/* The line for the laptop is in the result's `line`: it holds the secret, which is nowhere else. ERR_DENIED (the name is
 * taken or invited already), ERR_LIMIT (the user has too many devices), ERR_BAD_INPUT, ERR_NOT_FOUND. */
void invitation_create(struct broker *broker, const struct invitation_request *request, const struct act_by *by,
		       act_done done, void *context);
/* By the device's name. */
void invitation_withdraw(struct broker *broker, const char *name, const struct act_by *by, act_done done, void *context);
/* `which`: the confirmation code, or the id, of what the admin has looked at; "" is enough for an enrolment, not for a late
 * renewal. ERR_DENIED when something else waits under that name by now. The result's `line` is the code. */
void invitation_approve(struct broker *broker, const char *name, const char *which, const struct act_by *by, act_done done,
			void *context);

/* ---- between invitation*.c and enrolment.c ---- */
struct invitation *invitation_new(const char *id, const char *device_name, const char *users, const char *tags);
void invitation_free(struct invitation *invitation);
void invitation_attach(struct invitations *invitations, struct invitation *invitation);
/* And frees it. */
void invitation_detach(struct invitations *invitations, struct invitation *invitation);
[[nodiscard]] int invitation_set_key(struct invitation *invitation, struct view public_key);

#endif

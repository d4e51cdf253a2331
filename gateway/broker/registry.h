/* registry.h: the devices: who may knock at door one, and which users they are bound to.
 *
 * The whole registry is in memory, loaded at the start; the store is written first, then memory follows.
 * So looking up is immediate and reading needs no callback. Everything here runs on the loop.
 */
#ifndef SALLYPORT_BROKER_REGISTRY_H
#define SALLYPORT_BROKER_REGISTRY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "act.h"
#include "map.h"
#include "other_pages.h"
#include "store.h"

struct broker;
struct session;
struct worker;

#define DEVICE_NAME_MAX 64
/* Among a device's users: everybody may log in there (device invite --any-user). */
#define DEVICE_ANY_USER "*"
#define FINGERPRINT_BYTES 32
#define SERIAL_BYTES 16     /* of our own making */
#define SERIAL_BYTES_MAX 20 /* RFC 5280 4.1.2.2 */
/* Unknown certificates that are kept to be adopted. */
#define STRANGERS_MAX 64

enum device_state { DEVICE_ACTIVE, DEVICE_LOCKED, DEVICE_REVOKED };
enum certificate_state { CERTIFICATE_ACTIVE, CERTIFICATE_SUPERSEDED, CERTIFICATE_REVOKED };

/* What its responder has said (ocsp.c). */
struct certificate_ocsp {
	uint64_t good_until_ms; /* 0: no good answer */
	uint64_t again_at_ms;   /* monotonic: not asked before; 0: never asked */
	bool is_refused;        /* revoked, or unknown there */
};

struct certificate {
	LIST_ENTRY(certificate) of_device; /* newest first */
	struct map_entry by_fingerprint, by_key;
	struct device *device;
	uint8_t fingerprint[FINGERPRINT_BYTES]; /* SHA-256 of the DER */
	char serial[2 * SERIAL_BYTES_MAX + 1];
	uint32_t generation;
	enum certificate_state state;
	uint64_t not_before_ms, not_after_ms, issued_at_ms;
	uint64_t first_used_at_ms; /* 0: not yet */
	uint64_t superseded_at_ms; /* when its successor was first used; 0: not superseded */
	uint64_t noticed_at_ms;    /* when its coming end was recorded; 0: not yet */
	char authority[2 * FINGERPRINT_BYTES + 1]; /* its issuer's certificate; empty: issued elsewhere */
	char issuer[2 * FINGERPRINT_BYTES + 1];    /* of one that was issued elsewhere; empty: not known */
	char *responder;                           /* URL that it names for OCSP; NULL: none */
	struct certificate_ocsp ocsp;
	char key_kind[32];
	char key_store[17];    /* the laptop's claim; empty: none */
	struct buf public_key; /* DER SubjectPublicKeyInfo */
	struct buf der;        /* until it is used: an answer may have been lost */
};

/* Two networks that it was seen in at the same time. */
#define DEVICE_PAIRS 4
struct device_pair {
	char one[65], other[65];
	uint64_t at_ms; /* monotonic; 0: none */
};

struct device {
	LIST_ENTRY(device) all;
	struct map_entry by_name, by_id;
	char id[33];
	char name[DEVICE_NAME_MAX + 1];
	enum device_state state;
	bool is_host; /* of the inside: nobody logs in there; it may ask for presence */
	char *users; /* one a line, each with its newline (walk with conf_list_next) */
	char *tags;  /* the same */
	uint32_t generation;
	uint64_t created_at_ms, last_seen_at_ms; /* 0: never */
	char last_seen_from[65];
	LIST_HEAD(, certificate) certificates;
	LIST_HEAD(, session) sessions; /* the live ones */
	LIST_HEAD(, worker) workers;   /* connections of this device */
	unsigned conversations;        /* logins that run */
	struct device_pair pairs[DEVICE_PAIRS]; /* networks.c */
	struct other_pages other_pages; /* how often others' pages had its browser ask */
	const char *barred_for;        /* why its authority's word has cut it off (issuer_watch.c); NULL: it has not */
};

/* One that chains to a trusted authority and is not in the registry. */
struct stranger {
	uint64_t at_ms; /* 0: an empty place */
	uint8_t fingerprint[FINGERPRINT_BYTES];
	struct buf leaf; /* DER, as the worker has shown it */
	char address[65];
};

LIST_HEAD(device_list, device);
struct registry {
	struct device_list devices;
	struct map names, ids, fingerprints;
	struct map keys; /* of all certificates; those with one key are of one device */
	unsigned device_count;
	struct stranger strangers[STRANGERS_MAX];
};

/* "active" "locked" "revoked"; "active" "superseded" "revoked". */
const char *device_state_name(enum device_state state);
const char *certificate_state_name(enum certificate_state state);
/* "device" or "host", as in the store. */
const char *registry_kind_name(bool is_host);

/* Loads everything; before store_start. */
[[nodiscard]] int registry_load(struct registry *registry, struct store *store, struct diag *diag);

/* ---- reading (immediate) ---- */
/* NULL when there is none. All devices: LIST_FOREACH(device, &registry->devices, all). */
struct device *registry_device(const struct registry *registry, const char *name);
struct device *registry_device_by_id(const struct registry *registry, const char *id);
struct certificate *registry_certificate(const struct registry *registry, struct view fingerprint);
/* The first of these names (one a line) that is another device's: its name, or "sallyport:device:" and its id. NULL: none.
 * `own` may be NULL. */
#define REGISTRY_FOREIGN_NAME \
	"The certificate request asks for the name of another device. A certificate's names are of the gateway's making: leave them out."
const struct device *registry_foreign_name(const struct registry *registry, struct view names, const struct device *own);
/* Exact match with one of the device's users; an empty name is never bound (A4). */
bool device_is_bound_to(const struct device *device, const char *user);
/* Bound to him by his name: a device of everybody's (DEVICE_ANY_USER) is nobody's own. */
bool device_is_own(const struct device *device, const char *user);
/* "ec-p256": of its newest certificate that is active; NULL when it has none. */
const char *registry_key_kind(const struct device *device);
bool registry_name_is_good(const char *name);
/* Whose key that is, or was; NULL: nobody's. */
struct device *registry_key_owner(const struct registry *registry, struct view public_key);
/* Whether that certificate opens door one now: 0, or ERR_DENIED with the code of the refusal. It must have begun by the clock
 * (`now_ms`), and not have ended by where the clock would be had nobody set it back (judge_furthest_ms). */
[[nodiscard]] int certificate_check(const struct certificate *certificate, uint64_t now_ms, uint64_t furthest_ms, const char **out_code);

/* ---- acts ---- */
/* A new device: name (1 to 64 of a-z A-Z 0-9 . _ -, beginning with a letter or digit), users and tags one
 * a line (at least one user), public key (DER SubjectPublicKeyInfo; the caller has checked the request's
 * own signature). The signer issues the certificate; device, binding, certificate and audit row are
 * committed; then done with the certificate. ERR_DENIED: the name is taken, or the key is weak or in use. */
struct registry_request {
	const char *name, *users, *tags;
	bool is_host; /* then there are no users */
	struct view public_key;
	const char *key_kind; /* "ec-p256" */
};
/* Name, users and tags alone. */
[[nodiscard]] int registry_check_device(const struct registry *registry, const struct registry_request *request,
					struct diag *diag);
void registry_add(struct broker *broker, const struct registry_request *request, const struct act_by *by,
		  act_done done, void *context);
/* Lock and revoke end every session, connection and tunnel of the device. A revoked device stays revoked
 * (ERR_DENIED). What is already so is done again, and so ends what may still live. */
void registry_lock(struct broker *broker, const char *name, const struct act_by *by, act_done done, void *context);
void registry_unlock(struct broker *broker, const char *name, const struct act_by *by, act_done done, void *context);
/* A user's: he has lost it, and it is locked as by an admin. The row is `entry` (copied) with event and device filled in. With
 * answers_first `done` is called when that stands and before anything ends, with what will: the one who asks may be on the
 * very device. */
struct registry_loss {
	const struct device *device;
	const struct audit_entry *entry;
	bool answers_first;
};
void registry_lose(struct broker *broker, const struct registry_loss *loss, act_done done, void *context);
/* Its authority says no: its connections and tunnels end, and where the certificate is revoked its sessions too; its state
 * stays. The literals: code and reason of the endings ("certificate_revoked", "crl_stale"). */
void registry_bar(struct broker *broker, const struct device *device, const char *code, const char *detail);
void registry_revoke(struct broker *broker, const char *name, const struct act_by *by, act_done done, void *context);

/* ---- registry_adopt.c ---- */
/* A device with a certificate of another, trusted authority; without users: the next one of a device that is there. */
struct registry_adoption {
	struct registry_request device;
	struct view leaf;   /* DER */
	const char *serial; /* lower-case hexadecimal */
	const char *issuer; /* fingerprint of its authority's certificate; empty: not known */
	const char *responder; /* URL; empty: none */
	uint64_t not_before_ms, not_after_ms;
};
void registry_adopt(struct broker *broker, const struct registry_adoption *request, const struct act_by *by, act_done done,
		    void *context);
/* It came unknown: kept for an admin, the oldest makes room; recorded when it was not kept already. */
void registry_note_stranger(struct broker *broker, struct view leaf, const char *address);
unsigned registry_strangers(const struct registry *registry);

/* ---- registry_edit.c ---- */
/* What an admin changes of a device that stays what it is. */
enum registry_change {
	REGISTRY_RENAME, /* value: the new name; the id and the certificates stay */
	REGISTRY_TAGS,   /* value: all tags, one a line */
	REGISTRY_BIND,   /* value: a user */
	REGISTRY_UNBIND, /* value: a user; his sessions there end */
	REGISTRY_FORGET, /* a revoked one: no longer listed; its record stays and its name is free */
};
struct registry_edit {
	enum registry_change change;
	const char *name, *value;
};
/* ERR_NOT_FOUND, ERR_DENIED (the name is taken, not revoked, the last user), ERR_BAD_INPUT. */
void registry_edit(struct broker *broker, const struct registry_edit *edit, const struct act_by *by, act_done done,
		   void *context);
/* A superseded certificate was used (F5): the alarm is recorded, before the thief is told anything; then, as configured,
 * the device is locked. */
void registry_alarm_copied(struct broker *broker, struct device *device, const char *address);
void registry_lock_copied(struct broker *broker, const struct device *device);
/* ---- registry_ends.c ---- */
/* Records each certificate that will end soon and was not renewed, once. Every minute. */
void registry_notice_ends(struct broker *broker);
void registry_count_ends(const struct registry *registry, unsigned *out_count);
/* The `most` of them that end first, the first one first; returns how many there are in out_list. */
unsigned registry_first_ends(const struct registry *registry, const struct certificate **out_list, unsigned most);
/* Soon: the last fifth of its life. */
bool certificate_ends_soon(const struct certificate *certificate, uint64_t now_ms);
/* How many of a user's devices there are, open invitations not counted; * counts for nobody. */
unsigned registry_devices_of(const struct registry *registry, const char *user);

#endif

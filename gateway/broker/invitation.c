/* invitation.c: the invitations in memory. What changes them: invitation_act.c (an admin), enrolment.c (a laptop). */
#include "invitation.h"

#include <stdlib.h>
#include <string.h>

#include "registry.h"
#include "sallyport/clock.h"
#include "sallyport/own.h"
#include "sallyport/str.h"

static const char *const state_names[] = {"open", "pending", "approved", "used", "withdrawn"};

const char *invitation_state_name(enum invitation_state state)
{
	return state_names[state];
}

bool invitation_is_live(const struct invitation *invitation, uint64_t now_ms)
{
	return invitation->state <= INVITATION_APPROVED && now_ms < invitation->expires_at_ms;
}

bool invitation_is_renewal(const struct invitation *invitation)
{
	return strncmp(invitation->id, INVITATION_RENEWAL, strlen(INVITATION_RENEWAL)) == 0;
}

struct invitation *invitation_find(const struct invitations *invitations, const char *id)
{
	return MAP_FIND(&invitations->ids, view_string(id), struct invitation, by_id);
}

struct invitation *invitation_for(const struct invitations *invitations, const char *device_name, uint64_t now_ms)
{
	struct invitation *invitation;
	LIST_FOREACH(invitation, &invitations->all, all)
		if (invitation_is_live(invitation, now_ms) && strcmp(invitation->device_name, device_name) == 0)
			return invitation;
	return NULL;
}

void invitations_withdraw_device(struct invitations *invitations, const char *device_id)
{
	struct invitation *invitation;
	LIST_FOREACH(invitation, &invitations->all, all)
		if (invitation->state <= INVITATION_APPROVED && strcmp(invitation->device_id, device_id) == 0)
			invitation->state = INVITATION_WITHDRAWN;
}

void invitations_rename_device(struct invitations *invitations, const char *device_id, const char *name)
{
	struct invitation *invitation;
	LIST_FOREACH(invitation, &invitations->all, all)
		if (invitation->state <= INVITATION_APPROVED && strcmp(invitation->device_id, device_id) == 0)
			str_copy(invitation->device_name, sizeof(invitation->device_name), name);
}

void invitation_code_of(const struct invitation *invitation, struct view public_key, char *out_code)
{
	uint8_t hash[HASH_BYTES];
	OWN_BUF struct buf text = BUF_INIT(2 * INVITATION_KEY_MAX);
	/* A laptop knows the id of its invitation, and not the one that its late renewal got here. */
	const char *salt = invitation_is_renewal(invitation) ? INVITATION_RENEWAL : invitation->id;
	out_code[0] = 0;
	if (!public_key.size || buf_add_string(&text, salt) < 0 || buf_add(&text, public_key) < 0)
		return;
	hash_sha256(buf_view(&text), hash);
	str_confirmation_code(hash, out_code);
}

void invitation_confirmation(const struct invitation *invitation, char *out_code)
{
	invitation_code_of(invitation, buf_view(&invitation->public_key), out_code);
}

/* ---- memory ---- */

void invitation_free(struct invitation *invitation)
{
	if (!invitation)
		return;
	free(invitation->users);
	free(invitation->tags);
	buf_fini(&invitation->public_key);
	free(invitation);
}

struct invitation *invitation_new(const char *id, const char *device_name, const char *users, const char *tags)
{
	struct invitation *invitation = calloc(1, sizeof(*invitation));
	if (!invitation)
		return NULL;
	invitation->users = strdup(users);
	invitation->tags = strdup(tags);
	invitation->public_key = BUF_INIT(INVITATION_KEY_MAX);
	if (invitation->users && invitation->tags && str_copy(invitation->id, sizeof(invitation->id), id) &&
	    str_copy(invitation->device_name, sizeof(invitation->device_name), device_name))
		return invitation;
	invitation_free(invitation);
	return NULL;
}

void invitation_attach(struct invitations *invitations, struct invitation *invitation)
{
	LIST_INSERT_HEAD(&invitations->all, invitation, all);
	map_add(&invitations->ids, &invitation->by_id, view_string(invitation->id));
}

void invitation_detach(struct invitations *invitations, struct invitation *invitation)
{
	map_remove(&invitations->ids, &invitation->by_id);
	LIST_REMOVE(invitation, all);
	invitation_free(invitation);
}

int invitation_set_key(struct invitation *invitation, struct view public_key)
{
	buf_fini(&invitation->public_key);
	invitation->public_key = BUF_INIT(INVITATION_KEY_MAX);
	return buf_add(&invitation->public_key, public_key);
}

void invitations_prune(struct invitations *invitations, uint64_t now_ms)
{
	struct invitation *invitation, *next;
	for (invitation = LIST_FIRST(&invitations->all); invitation; invitation = next) {
		next = LIST_NEXT(invitation, all);
		if (invitation->busy || now_ms < invitation->expires_at_ms)
			continue;
		invitation_detach(invitations, invitation);
	}
}

/* ---- loading ---- */

static int take_key(struct invitation *invitation, const char *hex)
{
	uint8_t key[INVITATION_KEY_MAX];
	size_t size = strlen(hex) / 2;
	if (size > sizeof(key) || str_from_hex(view_string(hex), key, size) < 0)
		return ERR_BAD_INPUT;
	return invitation_set_key(invitation, view_of(key, size));
}

static void fill(struct invitation *invitation, const struct store_row *row)
{
	str_copy(invitation->device_id, sizeof(invitation->device_id), store_row_text(row, 3));
	for (invitation->state = INVITATION_OPEN; invitation->state < INVITATION_WITHDRAWN; invitation->state++)
		if (strcmp(state_names[invitation->state], store_row_text(row, 6)) == 0)
			break;
	invitation->attempts = (unsigned)store_row_number(row, 7);
	invitation->created_at_ms = (uint64_t)store_row_number(row, 8);
	invitation->expires_at_ms = (uint64_t)store_row_number(row, 9);
	str_copy(invitation->key_kind, sizeof(invitation->key_kind), store_row_text(row, 11));
	str_copy(invitation->key_store, sizeof(invitation->key_store), store_row_text(row, 12));
	str_copy(invitation->address, sizeof(invitation->address), store_row_text(row, 13));
	invitation->is_host = strcmp(store_row_text(row, 14), registry_kind_name(true)) == 0;
}

static int take_invitation(void *self, const struct store_row *row, struct diag *diag)
{
	struct invitation *invitation = invitation_new(store_row_text(row, 0), store_row_text(row, 2), store_row_text(row, 4),
						       store_row_text(row, 5));
	if (!invitation)
		return diag_system(diag, "memory");
	fill(invitation, row);
	if (str_from_hex(view_string(store_row_text(row, 1)), invitation->secret_hash, HASH_BYTES) < 0 ||
	    take_key(invitation, store_row_text(row, 10)) < 0) {
		invitation_free(invitation);
		return diag_set(diag, ERR_SYSTEM, "the invitation %s is damaged in the store", store_row_text(row, 0));
	}
	invitation_attach(self, invitation);
	return 0;
}

static int load(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	return STORE_QUERY(db, diag, invitation_all, take_invitation, operation->context, NUMBER(clock_wall_ms()));
}

int invitations_load(struct invitations *invitations, struct store *store, struct diag *diag)
{
	*invitations = (struct invitations){.ids = {0}};
	if (map_init(&invitations->ids) < 0)
		return diag_system(diag, "memory");
	struct store_operation operation = {.work = load, .context = invitations};
	return store_now(store, &operation, diag);
}

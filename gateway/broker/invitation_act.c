/* invitation_act.c: what an admin does with invitations: makes, withdraws, approves. Committed before it shows. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "broker.h"
#include "issuance.h"
#include "sallyport/clock.h"
#include "sallyport/conf.h"
#include "sallyport/own.h"
#include "sallyport/str.h"

struct inviting {
	struct store_operation operation;
	struct broker *broker;
	struct invitation *invitation; /* owned while it is new; else only named */
	bool is_new;
	enum invitation_state state; /* that it shall have */
	struct audit_entry entry;
	act_done done;
	void *context;
	struct act_result result;
	char line[2048];
	char code[INVITATION_CODE_CHARACTERS + 1]; /* of the key that came */
};

static void answer(struct inviting *inviting)
{
	inviting->done(inviting->context, &inviting->result);
	if (inviting->is_new)
		invitation_free(inviting->invitation);
	wipe(inviting->line, sizeof(inviting->line));
	free(inviting);
}

static void on_refused(struct store_operation *operation, int result, const struct diag *diag)
{
	(void)result, (void)diag;
	answer(operation->context);
}

static struct inviting *inviting_new(struct broker *broker, act_done done, void *context)
{
	struct inviting *inviting = calloc(1, sizeof(*inviting));
	if (inviting) {
		*inviting = (struct inviting){.broker = broker, .done = done, .context = context};
		return inviting;
	}
	struct act_result failed = {.result = 0};
	failed.result = diag_system(&failed.diag, "memory");
	done(context, &failed);
	return NULL;
}

static void submit(struct inviting *inviting, const char *event, const char *name, const struct act_by *by, store_work work,
		   store_done done)
{
	bool refused = inviting->result.result < 0;
	str_copy(inviting->entry.device, sizeof(inviting->entry.device), name);
	str_copy(inviting->entry.address, sizeof(inviting->entry.address), "admin");
	audit_fill(&inviting->entry, event, "by %s; invitation %s%s%s", by->admin, refused ? "" : inviting->invitation->id,
		   *inviting->code ? ", confirmation code " : "", inviting->code);
	inviting->operation = (struct store_operation){
		.work = refused ? NULL : work, .done = refused ? on_refused : done, .context = inviting};
	store_submit(inviting->broker->store, &inviting->operation);
}

/* ---- making ---- */

static int record_new(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	struct inviting *inviting = operation->context;
	const struct invitation *invitation = inviting->invitation;
	char hash[2 * HASH_BYTES + 1];
	str_hex(view_of(invitation->secret_hash, HASH_BYTES), hash);
	int result = STORE_RUN(db, diag, invitation_insert, TEXT(invitation->id), TEXT(hash), TEXT(invitation->device_name),
			       TEXT(*invitation->device_id ? invitation->device_id : NULL), TEXT(invitation->users),
			       TEXT(invitation->tags), NUMBER(invitation->created_at_ms), NUMBER(invitation->expires_at_ms),
			       TEXT(registry_kind_name(invitation->is_host)));
	return result < 0 ? result : audit_append(db, &inviting->entry, diag);
}

static void on_new(struct store_operation *operation, int result, const struct diag *diag)
{
	struct inviting *inviting = operation->context;
	if (result < 0) {
		inviting->result.result = result;
		inviting->result.diag = *diag;
	} else {
		inviting->is_new = false;
		invitation_attach(&inviting->broker->invitations, inviting->invitation);
		inviting->result.line = inviting->line;
	}
	answer(inviting);
}

static int spell_line(struct inviting *inviting, const char *secret, struct diag *diag)
{
	const struct conf *conf = &inviting->broker->room->conf;
	const struct invitation *invitation = inviting->invitation;
	char main[600], enroll[600];
	if (conf_public_address(conf->name, conf->public_enroll_address, conf->enroll_listen, enroll, sizeof(enroll)) < 0)
		return diag_set(diag, ERR_DENIED, "there is no enrolment listener: set enroll_listen, such as {\"0.0.0.0:8443\"}, "
						  "and restart the gateway");
	if (conf_public_address(conf->name, conf->public_address, conf->listen, main, sizeof(main)) < 0)
		return diag_set(diag, ERR_DENIED, "the address of the main listener cannot be told: set public_address");
	snprintf(inviting->line, sizeof(inviting->line), "sallyport:1/%s/%s/%s/%s/%s/%llu", main, enroll,
		 *inviting->broker->authority_pin ? inviting->broker->authority_pin : "-", invitation->id, secret,
		 (unsigned long long)(invitation->expires_at_ms / 1000));
	return 0;
}

static unsigned invitations_of(const struct invitations *invitations, struct view user, uint64_t now_ms)
{
	const struct invitation *invitation;
	unsigned count = 0;
	LIST_FOREACH(invitation, &invitations->all, all) {
		size_t position = 0;
		struct view item;
		while (invitation_is_live(invitation, now_ms) && conf_list_next(invitation->users, &position, &item))
			count += view_equal(item, user) && !*invitation->device_id;
	}
	return count;
}

int invitation_check_caps(const struct broker *broker, const char *users, struct diag *diag)
{
	size_t position = 0;
	struct view item;
	while (conf_list_next(users, &position, &item)) {
		char user[257];
		if (view_is(item, DEVICE_ANY_USER) || view_to_string(item, user, sizeof(user)) < 0)
			continue;
		unsigned count = registry_devices_of(&broker->registry, user) +
				 invitations_of(&broker->invitations, item, clock_wall_ms());
		if (count >= broker->room->conf.devices_per_user)
			return diag_set(diag, ERR_LIMIT, "%s has %u devices and invitations; devices_per_user allows %llu", user,
					count, (unsigned long long)broker->room->conf.devices_per_user);
	}
	return 0;
}

static int check_new(struct broker *broker, const struct invitation_request *request, struct diag *diag)
{
	const struct registry_request device = {.name = request->name, .users = request->users, .tags = request->tags,
						.is_host = request->is_host};
	int result = registry_check_device(&broker->registry, &device, diag);
	return result < 0 ? result : invitation_check_caps(broker, request->users, diag);
}

static int check_again(const struct device *device, const char *name, struct diag *diag)
{
	if (!device)
		return diag_set(diag, ERR_NOT_FOUND, "there is no device \"%s\"", name);
	if (device->state == DEVICE_REVOKED)
		return diag_set(diag, ERR_DENIED, "the device \"%s\" is revoked, and stays so: invite it under a new name", name);
	return 0;
}

static int make(struct inviting *inviting, const struct invitation_request *request, struct diag *diag)
{
	struct broker *broker = inviting->broker;
	char id[INVITATION_ID_CHARACTERS + 1], secret[INVITATION_SECRET_CHARACTERS + 1];
	const struct device *device = request->again ? registry_device(&broker->registry, request->name) : NULL;
	uint64_t now_ms = clock_wall_ms();
	int result = request->again ? check_again(device, request->name, diag) : check_new(broker, request, diag);
	if (result < 0)
		return result;
	if (invitation_for(&broker->invitations, request->name, now_ms))
		return diag_set(diag, ERR_DENIED, "\"%s\" is invited already: withdraw that invitation first (device withdraw %s)",
				request->name, request->name);
	issuance_random_hex(id, INVITATION_ID_CHARACTERS / 2);
	issuance_random_hex(secret, INVITATION_SECRET_CHARACTERS / 2);
	struct invitation *invitation = inviting->invitation = invitation_new(
		id, request->name, device ? device->users : request->users, device ? device->tags : request->tags);
	if (!invitation)
		return diag_system(diag, "memory");
	inviting->is_new = true;
	invitation->is_host = device ? device->is_host : request->is_host;
	str_copy(invitation->device_id, sizeof(invitation->device_id), device ? device->id : "");
	hash_sha256(view_string(secret), invitation->secret_hash);
	invitation->created_at_ms = now_ms;
	invitation->expires_at_ms = now_ms + (request->life_ms ? request->life_ms : broker->room->conf.invitation_life_ms);
	result = spell_line(inviting, secret, diag);
	wipe(secret, sizeof(secret));
	return result;
}

void invitation_create(struct broker *broker, const struct invitation_request *request, const struct act_by *by,
		       act_done done, void *context)
{
	struct inviting *inviting = inviting_new(broker, done, context);
	if (!inviting)
		return;
	inviting->result.result = make(inviting, request, &inviting->result.diag);
	submit(inviting, request->again ? "device_reinvited" : request->is_host ? "host_invited" : "device_invited", request->name, by, record_new, on_new);
}

/* ---- withdrawing, approving ---- */

static int record_state(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	struct inviting *inviting = operation->context;
	int result = STORE_RUN(db, diag, invitation_set_state, TEXT(invitation_state_name(inviting->state)),
			       TEXT(inviting->invitation->id));
	if (result == 0 && store_changed(db) == 0)
		return diag_set(diag, ERR_DENIED, "the invitation was withdrawn at this moment");
	return result < 0 ? result : audit_append(db, &inviting->entry, diag);
}

static void on_state(struct store_operation *operation, int result, const struct diag *diag)
{
	struct inviting *inviting = operation->context;
	if (result < 0) {
		inviting->result.result = result;
		inviting->result.diag = *diag;
	} else {
		inviting->invitation->state = inviting->state;
		inviting->result.line = inviting->code;
	}
	inviting->invitation->busy = false;
	answer(inviting);
}

static int check_state(const struct invitation *invitation, enum invitation_state wanted, const char *name, struct diag *diag)
{
	if (!invitation)
		return diag_set(diag, ERR_NOT_FOUND, "there is no open invitation for \"%s\"", name);
	if (invitation->busy)
		return diag_set(diag, ERR_DENIED, "\"%s\" is being enrolled at this moment", name);
	if (wanted == INVITATION_APPROVED && invitation->state != INVITATION_PENDING)
		return diag_set(diag, ERR_DENIED, "no laptop waits for approval as \"%s\" (its invitation is %s)", name,
				invitation_state_name(invitation->state));
	return 0;
}

/* Under the same name there may be another key by now than the one that the admin has seen in the list. */
static int check_which(const struct invitation *invitation, const char *which, const char *code, struct diag *diag)
{
	const char *name = invitation->device_name;
	if (!*which && invitation_is_renewal(invitation))
		return diag_set(diag, ERR_BAD_INPUT, "a late renewal waits as \"%s\": compare its code (device invitations) with the one "
						     "that the laptop shows, and say it: device approve %s CODE", name, name);
	if (*which && strcasecmp(which, code) != 0 && strcmp(which, invitation->id) != 0)
		return diag_set(diag, ERR_DENIED, "what waits as \"%s\" is not %s: see device invitations", name, which);
	return 0;
}

static void change_state(struct broker *broker, const char *name, const char *which, enum invitation_state state,
			 const struct act_by *by, act_done done, void *context)
{
	struct inviting *inviting = inviting_new(broker, done, context);
	if (!inviting)
		return;
	struct invitation *invitation = inviting->invitation = invitation_for(&broker->invitations, name, clock_wall_ms());
	inviting->state = state;
	inviting->result.result = check_state(invitation, state, name, &inviting->result.diag);
	if (inviting->result.result == 0)
		invitation_confirmation(invitation, inviting->code);
	if (inviting->result.result == 0 && state == INVITATION_APPROVED)
		inviting->result.result = check_which(invitation, which, inviting->code, &inviting->result.diag);
	/* Nobody enrols with it while its new state is on the way to the disk. */
	if (inviting->result.result == 0)
		invitation->busy = true;
	bool late = invitation && invitation_is_renewal(invitation);
	submit(inviting, state == INVITATION_WITHDRAWN ? "invitation_withdrawn" : late ? "renewal_approved" : "enrolment_approved", name,
	       by, record_state, on_state);
}

void invitation_withdraw(struct broker *broker, const char *name, const struct act_by *by, act_done done, void *context)
{
	change_state(broker, name, "", INVITATION_WITHDRAWN, by, done, context);
}

void invitation_approve(struct broker *broker, const char *name, const char *which, const struct act_by *by, act_done done,
			void *context)
{
	change_state(broker, name, which, INVITATION_APPROVED, by, done, context);
}

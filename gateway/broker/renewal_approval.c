/* renewal_approval.c: a late renewal waits for an admin.
 *
 * It stands among the invitations, so that it is listed, approved and withdrawn like an enrolment that waits; nobody knows
 * its secret, so no laptop can enrol with it. The laptop asks again with the same key when it is approved. The wish belongs
 * to the key that came first until it is withdrawn or too old, and is approved by the code that key and laptop show, not by
 * the device's name alone: an admin approves what he has looked at.
 */
#include "renewal_approval.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker.h"
#include "sallyport/clock.h"
#include "sallyport/fd.h"
#include "sallyport/str.h"
#include "worker.h"

enum { ASK_AGAIN_S = 60 };

struct wish {
	struct store_operation operation;
	struct worker *worker; /* held */
	uint32_t request;
	struct invitation *invitation;
	struct buf key;
	char key_kind[17], key_store[17];
	struct audit_entry entry;
};

static struct invitation *find(const struct invitations *invitations, const struct device *device, uint64_t now_ms)
{
	struct invitation *invitation;
	LIST_FOREACH(invitation, &invitations->all, all)
		if (invitation_is_renewal(invitation) && invitation_is_live(invitation, now_ms) &&
		    strcmp(invitation->device_id, device->id) == 0)
			return invitation;
	return NULL;
}

static void tell_pending(struct worker *worker, uint32_t request)
{
	WORKER_SEND(worker, pending, -1, .request = request, .retry_after_s = ASK_AGAIN_S);
}

/* ---- the record ---- */

static int record_new(struct store_db *db, const struct invitation *invitation, struct diag *diag)
{
	char hash[2 * HASH_BYTES + 1];
	str_hex(view_of(invitation->secret_hash, HASH_BYTES), hash);
	return STORE_RUN(db, diag, invitation_insert, TEXT(invitation->id), TEXT(hash), TEXT(invitation->device_name),
			 TEXT(invitation->device_id), TEXT(invitation->users), TEXT(invitation->tags),
			 NUMBER(invitation->created_at_ms), NUMBER(invitation->expires_at_ms),
			 TEXT(registry_kind_name(invitation->is_host)));
}

static int record(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	const struct wish *wish = operation->context;
	const struct invitation *invitation = wish->invitation;
	char key[2 * INVITATION_KEY_MAX + 1];
	str_hex(buf_view(&wish->key), key);
	int result = record_new(db, invitation, diag);
	if (result == 0)
		result = STORE_RUN(db, diag, invitation_claim, TEXT(invitation_state_name(INVITATION_PENDING)),
				   TEXT(invitation->device_id), TEXT(key), TEXT(wish->key_kind), TEXT(wish->key_store),
				   TEXT(wish->worker->address), TEXT(invitation->id));
	return result < 0 ? result : audit_append(db, &wish->entry, diag);
}

static void take_in(struct wish *wish)
{
	struct invitation *invitation = wish->invitation;
	invitation->state = INVITATION_PENDING;
	str_copy(invitation->key_kind, sizeof(invitation->key_kind), wish->key_kind);
	str_copy(invitation->key_store, sizeof(invitation->key_store), wish->key_store);
	str_copy(invitation->address, sizeof(invitation->address), wish->worker->address);
	(void)!invitation_set_key(invitation, buf_view(&wish->key));
}

static void on_recorded(struct store_operation *operation, int result, const struct diag *diag)
{
	struct wish *wish = operation->context;
	struct worker *worker = wish->worker;
	(void)diag;
	wish->invitation->busy = false;
	if (result == 0) {
		take_in(wish);
		tell_pending(worker, wish->request);
	} else {
		worker_unavailable(worker, wish->request);
		invitation_detach(&worker->broker->invitations, wish->invitation);
	}
	buf_fini(&wish->key);
	worker_release(worker);
	free(wish);
}

/* ---- the wish ---- */

static struct invitation *make(struct broker *broker, const struct device *device, uint64_t now_ms)
{
	char id[INVITATION_ID_CHARACTERS + 1] = INVITATION_RENEWAL;
	issuance_random_hex(id + strlen(id), (INVITATION_ID_CHARACTERS - strlen(id)) / 2);
	struct invitation *invitation = invitation_new(id, device->name, device->users, device->tags);
	if (!invitation)
		return NULL;
	/* Of no secret. */
	fd_random(invitation->secret_hash, sizeof(invitation->secret_hash));
	str_copy(invitation->device_id, sizeof(invitation->device_id), device->id);
	invitation->is_host = device->is_host;
	invitation->created_at_ms = now_ms;
	invitation->expires_at_ms = now_ms + broker->room->conf.invitation_life_ms;
	invitation_attach(&broker->invitations, invitation);
	return invitation;
}

static struct wish *wish_new(struct worker *worker, uint32_t request, const struct issuance_key *key)
{
	struct wish *wish = calloc(1, sizeof(*wish));
	if (!wish)
		return NULL;
	wish->key = BUF_INIT(INVITATION_KEY_MAX);
	wish->invitation = buf_add(&wish->key, key->public_key) == 0 ? make(worker->broker, worker->device, clock_wall_ms()) : NULL;
	if (!wish->invitation) {
		buf_fini(&wish->key);
		free(wish);
		return NULL;
	}
	wish->worker = worker;
	wish->request = request;
	str_copy(wish->key_kind, sizeof(wish->key_kind), key->kind);
	str_copy(wish->key_store, sizeof(wish->key_store), key->store);
	worker_hold(worker);
	return wish;
}

static void begin(struct worker *worker, uint32_t request, const struct issuance_key *key)
{
	struct wish *wish = wish_new(worker, request, key);
	if (!wish) {
		worker_unavailable(worker, request);
		return;
	}
	char code[INVITATION_CODE_CHARACTERS + 1];
	wish->invitation->busy = true;
	invitation_code_of(wish->invitation, buf_view(&wish->key), code);
	worker_fill_audit(worker, request, &wish->entry);
	audit_fill(&wish->entry, "renewal_pending",
		   "the certificate of %s has expired: its renewal waits for an approval; its confirmation code is %s",
		   worker->device->name, code);
	wish->operation = (struct store_operation){.work = record, .done = on_recorded, .context = wish};
	store_submit(worker->broker->store, &wish->operation);
}

static void refuse_other_key(struct worker *worker, uint32_t request, const struct invitation *invitation)
{
	struct refusal refusal = {.event = "renewal", .status = 409, .code = "not_issued",
				  .sentence = "The renewal of this device waits already, for another key that may not be yours: it must "
					      "be withdrawn first."};
	snprintf(refusal.detail, sizeof(refusal.detail), "the late renewal of %s belongs to the key that came first, from %s",
		 invitation->device_name, invitation->address);
	worker_refuse(worker, request, &refusal);
}

struct invitation *renewal_approval(struct worker *worker, uint32_t request, const struct issuance_key *key)
{
	struct invitation *found = find(&worker->broker->invitations, worker->device, clock_wall_ms());
	bool same = found && view_equal(buf_view(&found->public_key), key->public_key);
	if (!found)
		begin(worker, request, key);
	/* It has no key yet while it is on the way to the disk. */
	else if (!same && found->public_key.size)
		refuse_other_key(worker, request, found);
	else if (same && found->state == INVITATION_APPROVED && !found->busy)
		return found;
	else
		tell_pending(worker, request);
	return NULL;
}

/* enrolment.c: an invitation becomes a device.
 *
 *     enroll{invitation, secret, key} -> known, in time, right secret? -> (approved?) -> certificate issued
 *       -> device, binding, certificate and the used invitation committed together -> certificate
 *
 * An answer that is lost is given again to the same key: so kill -9 at any moment leaves a laptop that can go on. Who
 * does not know the secret is told one sentence only, whatever is wrong. Counterpart: gateway/worker/enrolment.c.
 */
#include "enrolment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker.h"
#include "ending.h"
#include "issuance.h"
#include "judge.h"
#include "registry_memory.h"
#include "sallyport/clock.h"
#include "sallyport/own.h"
#include "sallyport/str.h"
#include "worker.h"

enum { ASK_AGAIN_S = 5 };
/* Why what a device has open ends when its next certificate is a new laptop's. */
#define REINVITED "reinvited"

struct enrolment {
	struct issuance issuance;
	struct store_operation operation; /* of what needs no certificate */
	struct ending ending;             /* of what the lost disk has open */
	struct view certificate;          /* the new one, attached */
	struct worker *worker;            /* held */
	uint32_t request;
	struct invitation *invitation;
	struct device *device; /* the new one; owned until it is attached. NULL: a reinvitation */
	char device_id[33];
	struct buf public_key;
	const struct device *foreign; /* whose name the request asks for; NULL: nobody else's */
	char key_kind[17], key_store[17];
	enum invitation_state state; /* that the invitation gets */
	unsigned attempts;
	struct audit_entry entry;
};

static void enrolment_free(struct enrolment *enrolment)
{
	device_free(enrolment->device);
	issuance_fini(&enrolment->issuance);
	buf_fini(&enrolment->public_key);
	worker_release(enrolment->worker);
	free(enrolment);
}

static struct enrolment *enrolment_new(struct worker *worker, const struct worker_broker_enroll *message,
				       struct invitation *invitation)
{
	struct enrolment *enrolment = calloc(1, sizeof(*enrolment));
	if (!enrolment)
		return NULL;
	enrolment->worker = worker;
	enrolment->request = message->request;
	enrolment->invitation = invitation;
	enrolment->public_key = BUF_INIT(INVITATION_KEY_MAX);
	worker_hold(worker);
	if (buf_add(&enrolment->public_key, message->public_key) < 0 ||
	    view_to_string(message->key_kind, enrolment->key_kind, sizeof(enrolment->key_kind)) < 0 ||
	    view_to_string(message->key_store, enrolment->key_store, sizeof(enrolment->key_store)) < 0) {
		enrolment_free(enrolment);
		return NULL;
	}
	str_make_printable(enrolment->key_kind);
	str_make_printable(enrolment->key_store);
	worker_fill_audit(worker, message->request, &enrolment->entry);
	str_copy(enrolment->entry.device, sizeof(enrolment->entry.device), invitation->device_name);
	return enrolment;
}

static void unavailable(struct enrolment *enrolment)
{
	worker_unavailable(enrolment->worker, enrolment->request);
	enrolment->invitation->busy = false;
	enrolment_free(enrolment);
}

/* ---- refusals ---- */

static void refuse(struct worker *worker, uint32_t request, const struct refusal *refusal)
{
	worker_refuse(worker, request, refusal);
}

static void refuse_stranger(struct worker *worker, uint32_t request, const char *reason)
{
	struct refusal refusal = {.event = "enrolment", .status = 401, .code = "invitation_invalid",
				  .sentence = "That invitation is not known, its time is over, or its secret is wrong. "
					      "Ask the administrator for a new one."};
	snprintf(refusal.detail, sizeof(refusal.detail), "%s", reason);
	refuse(worker, request, &refusal);
}

static void refuse_used(struct worker *worker, uint32_t request, const struct invitation *invitation)
{
	struct refusal refusal = {.event = "enrolment", .status = 403, .code = "invitation_used",
				  .sentence = "That invitation has been used already, by another key. If that was not you, tell the "
					      "administrator now."};
	snprintf(refusal.detail, sizeof(refusal.detail), "the invitation %s of %s belongs to the key that came first, from %s",
		 invitation->id, invitation->device_name, invitation->address);
	refuse(worker, request, &refusal);
}

/* ---- a wrong secret ---- */

static int record_attempt(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	const struct enrolment *enrolment = operation->context;
	return STORE_RUN(db, diag, invitation_attempt, NUMBER(enrolment->attempts),
			 TEXT(invitation_state_name(enrolment->state)), TEXT(enrolment->invitation->id));
}

static void on_attempt(struct store_operation *operation, int result, const struct diag *diag)
{
	struct enrolment *enrolment = operation->context;
	(void)result, (void)diag;
	refuse_stranger(enrolment->worker, enrolment->request,
			enrolment->state == INVITATION_WITHDRAWN ? "wrong secret, once too often: the invitation is withdrawn"
								 : "wrong secret");
	enrolment_free(enrolment);
}

static void count_attempt(struct enrolment *enrolment)
{
	struct invitation *invitation = enrolment->invitation;
	struct broker *broker = enrolment->worker->broker;
	/* Counted at once: a hundred guesses at the same instant are a hundred. */
	invitation->attempts++;
	bool over = invitation->attempts >= broker->room->conf.invitation_attempts && !invitation->busy &&
		    invitation->state < INVITATION_USED;
	if (over)
		invitation->state = INVITATION_WITHDRAWN;
	enrolment->attempts = invitation->attempts;
	enrolment->state = invitation->state;
	enrolment->operation = (struct store_operation){.work = record_attempt, .done = on_attempt, .context = enrolment};
	store_submit(broker->store, &enrolment->operation);
}

/* ---- waiting for approval ---- */

static int record_claim(struct store_db *db, const struct enrolment *enrolment, struct diag *diag)
{
	char key[2 * INVITATION_KEY_MAX + 1];
	str_hex(buf_view(&enrolment->public_key), key);
	int result = STORE_RUN(db, diag, invitation_claim, TEXT(invitation_state_name(enrolment->state)),
			       TEXT(*enrolment->device_id ? enrolment->device_id : NULL), TEXT(key), TEXT(enrolment->key_kind),
			       TEXT(enrolment->key_store), TEXT(enrolment->worker->address), TEXT(enrolment->invitation->id));
	if (result == 0 && store_changed(db) == 0)
		return diag_set(diag, ERR_DENIED, "the invitation was withdrawn meanwhile");
	return result;
}

/* The invitation is this key's from now on. */
static int claim(struct enrolment *enrolment)
{
	struct invitation *invitation = enrolment->invitation;
	str_copy(invitation->key_kind, sizeof(invitation->key_kind), enrolment->key_kind);
	str_copy(invitation->key_store, sizeof(invitation->key_store), enrolment->key_store);
	str_copy(invitation->address, sizeof(invitation->address), enrolment->worker->address);
	return invitation_set_key(invitation, buf_view(&enrolment->public_key));
}

static int record_pending(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	struct enrolment *enrolment = operation->context;
	int result = record_claim(db, enrolment, diag);
	return result < 0 ? result : audit_append(db, &enrolment->entry, diag);
}

static void tell_pending(struct worker *worker, uint32_t request)
{
	WORKER_SEND(worker, pending, -1, .request = request, .retry_after_s = ASK_AGAIN_S);
}

static void on_pending(struct store_operation *operation, int result, const struct diag *diag)
{
	struct enrolment *enrolment = operation->context;
	(void)diag;
	if (result < 0) {
		unavailable(enrolment);
		return;
	}
	enrolment->invitation->state = INVITATION_PENDING;
	enrolment->invitation->busy = false;
	tell_pending(enrolment->worker, enrolment->request);
	enrolment_free(enrolment);
}

static void wait_for_approval(struct enrolment *enrolment)
{
	char code[INVITATION_CODE_CHARACTERS + 1];
	enrolment->invitation->busy = true;
	enrolment->state = INVITATION_PENDING;
	str_copy(enrolment->device_id, sizeof(enrolment->device_id), enrolment->invitation->device_id);
	if (claim(enrolment) < 0) {
		unavailable(enrolment);
		return;
	}
	invitation_confirmation(enrolment->invitation, code);
	audit_fill(&enrolment->entry, "enrolment_pending", "its confirmation code is %s", code);
	enrolment->operation = (struct store_operation){.work = record_pending, .done = on_pending, .context = enrolment};
	store_submit(enrolment->worker->broker->store, &enrolment->operation);
}

/* ---- the certificate ---- */

/* A reinvitation: what the lost disk held is no longer good. */
static int record_again(struct store_db *db, const struct issuance *issuance, struct diag *diag)
{
	int result = STORE_RUN(db, diag, device_set_generation, NUMBER(issuance->certificate->generation), TEXT(issuance->device_id));
	/* Revoked in the moment that the signer needed. */
	if (result == 0 && store_changed(db) == 0)
		return diag_set(diag, ERR_DENIED, "the device is revoked");
	if (result == 0)
		result = STORE_RUN(db, diag, certificate_revoke, TEXT(issuance->device_id));
	return result < 0 ? result : registry_record_ends(db, issuance->device_id, REINVITED, diag);
}

static int record(struct store_db *db, struct issuance *issuance, struct diag *diag)
{
	struct enrolment *enrolment = issuance->owner;
	int result = enrolment->device ? registry_record_device(db, enrolment->device, diag) : record_again(db, issuance, diag);
	if (result == 0)
		result = record_claim(db, enrolment, diag);
	return result < 0 ? result : audit_append(db, &enrolment->entry, diag);
}

static void tell_certificate(struct enrolment *enrolment)
{
	WORKER_SEND(enrolment->worker, certificate, -1, .request = enrolment->request, .certificate = enrolment->certificate);
	enrolment_free(enrolment);
}

static void on_old_ended(struct ending *ending)
{
	tell_certificate(ending->context);
}

/* The device is in the registry; of one that was there, all that lives ends, and then the laptop is told. */
static void take_place(struct enrolment *enrolment, struct device *device)
{
	struct broker *broker = enrolment->worker->broker;
	struct certificate *certificate = take_pointer(&enrolment->issuance.certificate);
	bool again = device != enrolment->device;
	if (again)
		registry_revoke_certificates(broker, device);
	else
		registry_attach(&broker->registry, take_pointer(&enrolment->device));
	device->generation = certificate->generation;
	registry_attach_certificate(&broker->registry, device, certificate);
	enrolment->certificate = buf_view(&certificate->der);
	if (!again) {
		tell_certificate(enrolment);
		return;
	}
	enrolment->ending.context = enrolment;
	ending_begin(&enrolment->ending, broker, REINVITED, on_old_ended);
	(void)registry_end_device(&enrolment->ending, device);
	ending_commit(&enrolment->ending);
}

static void refuse_issue(struct enrolment *enrolment, const struct diag *diag)
{
	struct refusal refusal = {.event = "enrolment", .status = 409, .code = "not_issued",
				  .sentence = "The certificate could not be issued; the administrator finds the reason in the record."};
	snprintf(refusal.detail, sizeof(refusal.detail), "%.500s", diag->text);
	refuse(enrolment->worker, enrolment->request, &refusal);
}

static void on_issued(struct issuance *issuance, int result, const struct diag *diag)
{
	struct enrolment *enrolment = issuance->owner;
	struct invitation *invitation = enrolment->invitation;
	invitation->busy = false;
	if (result < 0) {
		if (result == ERR_DENIED)
			refuse_issue(enrolment, diag);
		else
			worker_unavailable(enrolment->worker, enrolment->request);
		enrolment_free(enrolment);
		return;
	}
	invitation->state = INVITATION_USED;
	str_copy(invitation->device_id, sizeof(invitation->device_id), enrolment->device_id);
	(void)!claim(enrolment);
	take_place(enrolment, enrolment->device ? enrolment->device
						: registry_device_by_id(&issuance->broker->registry, enrolment->device_id));
}

static int prepare(struct enrolment *enrolment)
{
	struct issuance *issuance = &enrolment->issuance;
	struct broker *broker = enrolment->worker->broker;
	const struct invitation *invitation = enrolment->invitation;
	const struct issuance_key key = {buf_view(&enrolment->public_key), enrolment->key_kind, enrolment->key_store};
	const struct device *device = registry_device_by_id(&broker->registry, invitation->device_id);
	*issuance = (struct issuance){.broker = broker, .record = record, .done = on_issued, .owner = enrolment};
	if (!device)
		device = enrolment->device = registry_new_device(invitation->device_name, invitation->users, invitation->tags);
	if (enrolment->device)
		enrolment->device->is_host = invitation->is_host;
	issuance->certificate = device ? issuance_certificate(broker, &key, enrolment->device ? 1 : device->generation + 1) : NULL;
	if (!issuance->certificate)
		return ERR_SYSTEM;
	str_copy(enrolment->device_id, sizeof(enrolment->device_id), device->id);
	issuance->device_id = enrolment->device_id;
	issuance->device_name = device->name;
	return 0;
}

static void issue(struct enrolment *enrolment)
{
	enrolment->invitation->busy = true;
	enrolment->state = INVITATION_USED;
	if (prepare(enrolment) < 0) {
		unavailable(enrolment);
		return;
	}
	audit_fill(&enrolment->entry, "device_enrolled", "by invitation %s; certificate %s", enrolment->invitation->id,
		   enrolment->issuance.certificate->serial);
	issuance_begin(&enrolment->issuance);
}

/* ---- the question ---- */

/* The same key again: its answer was lost. */
static bool give_again(struct worker *worker, uint32_t request, const struct invitation *invitation)
{
	const struct device *device = registry_device_by_id(&worker->broker->registry, invitation->device_id);
	const struct certificate *certificate;
	if (!device || device->state != DEVICE_ACTIVE)
		return false;
	LIST_FOREACH(certificate, &device->certificates, of_device)
		if (certificate->state == CERTIFICATE_ACTIVE && certificate->der.size &&
		    view_equal(buf_view(&certificate->public_key), buf_view(&invitation->public_key))) {
			WORKER_SEND(worker, certificate, -1, .request = request, .certificate = buf_view(&certificate->der));
			return true;
		}
	return false;
}

static void refuse_key(struct worker *worker, uint32_t request)
{
	const struct refusal refusal = {.event = "enrolment", .status = 409, .code = "key_in_use",
					.sentence = "This key is registered already: a key belongs to one device. Make a new one."};
	refuse(worker, request, &refusal);
}

static void refuse_name(struct worker *worker, uint32_t request, const struct device *foreign)
{
	struct refusal refusal = {.event = "enrolment", .status = 403, .code = "wrong_name", .sentence = REGISTRY_FOREIGN_NAME};
	snprintf(refusal.detail, sizeof(refusal.detail), "the request asks for the name of %s", foreign->name);
	refuse(worker, request, &refusal);
}

static bool is_same_key(const struct invitation *invitation, struct view key)
{
	return view_equal(buf_view(&invitation->public_key), key);
}

/* It is for a device that was there, and is so no more. */
static bool is_orphan(const struct registry *registry, const struct invitation *invitation)
{
	const struct device *device = registry_device_by_id(registry, invitation->device_id);
	return *invitation->device_id && invitation->state != INVITATION_USED && (!device || device->state == DEVICE_REVOKED);
}

/* The secret is right. */
static void judge_enrolment(struct enrolment *enrolment)
{
	struct worker *worker = enrolment->worker;
	struct invitation *invitation = enrolment->invitation;
	uint32_t request = enrolment->request;
	struct view key = buf_view(&enrolment->public_key);
	bool claimed = invitation->public_key.size > 0;
	if (is_orphan(&worker->broker->registry, invitation)) {
		refuse_stranger(worker, request, "the device is revoked or forgotten");
	} else if (invitation->busy || (claimed && !is_same_key(invitation, key))) {
		refuse_used(worker, request, invitation);
	} else if (invitation->state == INVITATION_USED) {
		if (!give_again(worker, request, invitation))
			refuse_used(worker, request, invitation);
	} else if (invitation->state == INVITATION_PENDING) {
		tell_pending(worker, request);
	} else if (enrolment->foreign) {
		refuse_name(worker, request, enrolment->foreign);
	} else if (registry_key_owner(&worker->broker->registry, key)) {
		refuse_key(worker, request);
	} else if (invitation->state == INVITATION_OPEN && worker->broker->room->conf.enroll_needs_approval) {
		wait_for_approval(enrolment);
		return;
	} else {
		issue(enrolment);
		return;
	}
	enrolment_free(enrolment);
}

int enrolment_asked(struct worker *worker, const struct worker_broker_enroll *message)
{
	char id[33];
	uint8_t hash[HASH_BYTES];
	if (message->public_key.size == 0 || view_to_string(message->invitation, id, sizeof(id)) < 0)
		return ERR_BAD_PEER;
	hash_sha256(message->secret, hash);
	struct invitation *invitation = invitation_find(&worker->broker->invitations, id);
	if (!invitation || (uint64_t)judge_furthest_ms(worker->broker) >= invitation->expires_at_ms || invitation->state == INVITATION_WITHDRAWN) {
		refuse_stranger(worker, message->request,
				!invitation ? "no such invitation"
				: invitation->state == INVITATION_WITHDRAWN ? "the invitation is withdrawn" : "the invitation has expired");
		return 0;
	}
	struct enrolment *enrolment = enrolment_new(worker, message, invitation);
	if (!enrolment) {
		worker_unavailable(worker, message->request);
		return 0;
	}
	const struct registry *registry = &worker->broker->registry;
	enrolment->foreign =
		registry_foreign_name(registry, message->names, registry_device_by_id(registry, invitation->device_id));
	if (!hash_equal(hash, invitation->secret_hash, sizeof(hash)))
		count_attempt(enrolment);
	else
		judge_enrolment(enrolment);
	return 0;
}

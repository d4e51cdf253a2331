/* renewal.c: the next generation of a device's certificate.
 *
 * The former one stays good until its successor is used for the first time (door_one.c): an answer that is lost costs
 * nothing, and is given again to the same key. Whoever renews must hold a certificate that is good now (C2), or, within
 * renew_grace after its end, a login of one of the device's users from a moment ago.
 */
#include "renewal.h"

#include <stdio.h>
#include <stdlib.h>

#include "broker.h"
#include "issuance.h"
#include "registry_memory.h"
#include "renewal_approval.h"
#include "sallyport/clock.h"
#include "sallyport/own.h"
#include "sallyport/str.h"
#include "worker.h"

/* A laptop that renews in a circle must not fill the registry. */
enum { PER_DAY_MAX = 32, DAY_MS = 86400000 };
/* How fresh the login of a returning device must be. */
enum { LOGIN_MS = 15 * 60 * 1000 };

struct renewal {
	struct issuance issuance;
	struct worker *worker; /* held */
	uint32_t request;
	struct device *device;
	struct invitation *approval; /* of a late one, where that is wanted; else NULL */
	char device_id[33];
	struct audit_entry entry;
};

static void renewal_free(struct renewal *renewal)
{
	issuance_fini(&renewal->issuance);
	worker_release(renewal->worker);
	free(renewal);
}

static int record(struct store_db *db, struct issuance *issuance, struct diag *diag)
{
	struct renewal *renewal = issuance->owner;
	int result = STORE_RUN(db, diag, device_set_generation, NUMBER(issuance->certificate->generation),
			       TEXT(renewal->device_id));
	/* Revoked in the moment that the signer needed. */
	if (result == 0 && store_changed(db) == 0)
		result = diag_set(diag, ERR_DENIED, "the device is revoked");
	if (result == 0 && renewal->approval)
		result = STORE_RUN(db, diag, invitation_set_state, TEXT(invitation_state_name(INVITATION_USED)),
				   TEXT(renewal->approval->id));
	return result < 0 ? result : audit_append(db, &renewal->entry, diag);
}

static void refuse_issue(const struct renewal *renewal, const struct diag *diag)
{
	struct refusal refusal = {.event = "renewal", .status = 403, .code = "not_issued",
				  .sentence = "The certificate could not be renewed; the administrator finds the reason in the record."};
	snprintf(refusal.detail, sizeof(refusal.detail), "%.500s", diag->text);
	worker_refuse(renewal->worker, renewal->request, &refusal);
}

static void on_issued(struct issuance *issuance, int result, const struct diag *diag)
{
	struct renewal *renewal = issuance->owner;
	if (renewal->approval)
		renewal->approval->busy = false;
	if (renewal->approval && result == 0)
		renewal->approval->state = INVITATION_USED;
	if (result == ERR_DENIED) {
		refuse_issue(renewal, diag);
	} else if (result < 0) {
		worker_unavailable(renewal->worker, renewal->request);
	} else {
		struct certificate *certificate = take_pointer(&issuance->certificate);
		if (renewal->device->state == DEVICE_REVOKED)
			certificate->state = CERTIFICATE_REVOKED;
		registry_attach_certificate(&issuance->broker->registry, renewal->device, certificate);
		WORKER_SEND(renewal->worker, certificate, -1, .request = renewal->request,
			    .certificate = buf_view(&certificate->der));
	}
	renewal_free(renewal);
}

static void issue(struct worker *worker, const struct worker_broker_renew *message, const struct issuance_key *key,
		  struct invitation *approval)
{
	struct renewal *renewal = calloc(1, sizeof(*renewal));
	struct device *device = worker->device;
	if (!renewal) {
		worker_unavailable(worker, message->request);
		return;
	}
	*renewal = (struct renewal){.worker = worker, .request = message->request, .device = device};
	renewal->issuance = (struct issuance){.broker = worker->broker, .record = record, .done = on_issued, .owner = renewal};
	worker_hold(worker);
	str_copy(renewal->device_id, sizeof(renewal->device_id), device->id);
	renewal->issuance.device_id = renewal->device_id;
	renewal->issuance.device_name = device->name;
	renewal->issuance.certificate = issuance_certificate(worker->broker, key, device->generation + 1);
	if (!renewal->issuance.certificate) {
		worker_unavailable(worker, message->request);
		renewal_free(renewal);
		return;
	}
	renewal->approval = approval;
	if (approval)
		approval->busy = true;
	/* Two renewals at the same instant are two generations. One that fails leaves a gap, and no more. */
	device->generation++;
	worker_fill_audit(worker, message->request, &renewal->entry);
	audit_fill(&renewal->entry, "device_renewed", "generation %u, certificate %s%s", device->generation,
		   renewal->issuance.certificate->serial, worker->returning ? "; the former one had expired" : "");
	issuance_begin(&renewal->issuance);
}

/* ---- the question ---- */

static unsigned issued_today(const struct device *device, uint64_t now_ms)
{
	const struct certificate *certificate;
	unsigned count = 0;
	LIST_FOREACH(certificate, &device->certificates, of_device)
		count += now_ms - certificate->issued_at_ms < DAY_MS;
	return count;
}

static bool has_fresh_login(const struct device *device, uint64_t now_ms)
{
	const struct session *session;
	LIST_FOREACH(session, &device->sessions, of_device)
		if (now_ms - session->created_at_ms < LOGIN_MS)
			return true;
	return false;
}

/* NULL when it may. */
static const struct refusal *find_refusal(const struct worker *worker, const struct worker_broker_renew *message)
{
	static const struct refusal foreign = {
		.event = "renewal", .status = 403, .code = "wrong_name", .sentence = REGISTRY_FOREIGN_NAME};
	struct view key = message->public_key;
	static const struct refusal no_login = {
		.event = "renewal", .status = 403, .code = "fresh_login_required",
		.sentence = "The certificate has expired: log in first, then renew it (sallyport login, sallyport renew)."};
	static const struct refusal too_many = {.event = "renewal", .status = 429, .code = "rate_limited", .retry_after_s = 3600,
						.sentence = "This device has renewed its certificate too often today."};
	static const struct refusal in_use = {
		.event = "renewal", .status = 409, .code = "key_in_use",
		.sentence = "This key is registered for another certificate already. Make a new one."};
	static const struct refusal not_ours = {
		.event = "renewal", .status = 403, .code = "not_issued_here",
		.sentence = "This device's certificate comes from another authority: renew it there; your administrator registers the new one."};
	static const struct refusal not_active = {.event = "renewal", .status = 403, .code = "certificate_superseded",
						  .sentence = "This certificate was replaced; only the newest one can be renewed."};
	const struct certificate *own =
		registry_certificate(&worker->broker->registry, view_of(worker->fingerprint, sizeof(worker->fingerprint)));
	uint64_t now_ms = clock_wall_ms();
	bool is_own_key = own && view_equal(buf_view(&own->public_key), key);
	if (!own || own->state != CERTIFICATE_ACTIVE || worker->device->state != DEVICE_ACTIVE)
		return &not_active;
	/* Else a device could leave the lists of those who issue and revoke for it. */
	if (!*own->authority)
		return &not_ours;
	if (registry_foreign_name(&worker->broker->registry, message->names, worker->device))
		return &foreign;
	if (worker->returning && !has_fresh_login(worker->device, now_ms))
		return &no_login;
	if (issued_today(worker->device, now_ms) >= PER_DAY_MAX)
		return &too_many;
	/* A key that lives in hardware stays; any other key is new each time. */
	if (!is_own_key && registry_key_owner(&worker->broker->registry, key))
		return &in_use;
	return NULL;
}

/* The answer was lost: the same key asks again. */
static const struct certificate *find_unused(const struct device *device, struct view key)
{
	const struct certificate *certificate;
	LIST_FOREACH(certificate, &device->certificates, of_device)
		if (certificate->state == CERTIFICATE_ACTIVE && certificate->der.size &&
		    view_equal(buf_view(&certificate->public_key), key))
			return certificate;
	return NULL;
}

/* Late, and enrolments want an approval: then so does this. */
static void issue_approved(struct worker *worker, const struct worker_broker_renew *message, const struct issuance_key *key)
{
	bool waits = worker->returning && worker->broker->room->conf.enroll_needs_approval;
	struct invitation *approval = waits ? renewal_approval(worker, message->request, key) : NULL;
	if (!waits || approval)
		issue(worker, message, key, approval);
}

int renewal_asked(struct worker *worker, const struct worker_broker_renew *message)
{
	char kind[17], store[17];
	if (message->public_key.size == 0 || view_to_string(message->key_kind, kind, sizeof(kind)) < 0 ||
	    view_to_string(message->key_store, store, sizeof(store)) < 0)
		return ERR_BAD_PEER;
	str_make_printable(kind);
	str_make_printable(store);
	const struct certificate *again = find_unused(worker->device, message->public_key);
	/* The key in the proof: has this very connection been made with it, the certificate is in use. */
	const struct refusal *refusal = again ? NULL : find_refusal(worker, message);
	if (refusal)
		worker_refuse(worker, message->request, refusal);
	else if (again)
		WORKER_SEND(worker, certificate, -1, .request = message->request, .certificate = buf_view(&again->der));
	else
		issue_approved(worker, message, &(struct issuance_key){message->public_key, kind, store});
	return 0;
}

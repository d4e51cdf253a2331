/* door_one.c: the decision about a device.
 *
 *     peer{fingerprint} -> registry: known, active, valid now? -> signer: proven with the REGISTERED key?
 *       -> record ("door_one", last seen) -> still active? -> accepted, and the monitor knows
 *
 * Whatever is missing ends in door_one_reject.
 */
#include "door_one.h"

#include <stdlib.h>
#include <string.h>

#include "broker.h"
#include "monitor_edge.h"
#include "sallyport/clock.h"
#include "sallyport/log.h"
#include "sallyport/own.h"
#include "sallyport/str.h"
#include "signer_edge.h"
#include "worker.h"

struct passage {
	struct store_operation operation;
	struct worker *worker;
	struct audit_entry entry;
	char code[33]; /* of a refusal */
	char device_id[33];
	uint64_t at_ms;
};

/* Only for a moment: the worker is told, whatever the record says, and has nothing to lose. */
static struct passage *passage_new(struct worker *worker)
{
	struct passage *passage = calloc(1, sizeof(*passage));
	if (!passage) {
		worker_kill(worker, "worker_lost");
		return NULL;
	}
	passage->worker = worker;
	passage->at_ms = clock_wall_ms();
	passage->operation.context = passage;
	worker_hold(worker);
	worker_fill_audit(worker, 0, &passage->entry);
	return passage;
}

/* ---- shut ---- */

static int record_refusal(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	struct passage *passage = operation->context;
	return audit_append(db, &passage->entry, diag);
}

static void on_refusal(struct store_operation *operation, int result, const struct diag *diag)
{
	OWN_MEMORY struct passage *passage = operation->context;
	struct worker *worker = passage->worker;
	(void)diag;
	/* Also where the worker has refused the client by itself: its alert waits for the record. */
	WORKER_SEND(worker, rejected, -1, .code = view_string(result < 0 ? "store_unavailable" : passage->code));
	worker_release(worker);
}

static void name_fingerprint(const struct worker *worker, struct passage *passage, const char *detail)
{
	char fingerprint[2 * FINGERPRINT_BYTES + 1];
	str_hex(view_of(worker->fingerprint, sizeof(worker->fingerprint)), fingerprint);
	audit_fill(&passage->entry, "door_one", "%s (certificate %s, client's port %u)", detail, fingerprint, worker->port);
}

void door_one_reject(struct worker *worker, const char *code, const char *detail)
{
	struct passage *passage = passage_new(worker);
	if (!passage)
		return;
	name_fingerprint(worker, passage, detail);
	str_copy(passage->code, sizeof(passage->code), code);
	str_copy(passage->entry.code, sizeof(passage->entry.code), code);
	worker->state = WORKER_BROKER_ENDING;
	worker->verifying = false;
	passage->operation.work = record_refusal;
	passage->operation.done = on_refusal;
	store_submit(worker->broker->store, &passage->operation);
}

int door_one_peer_refused(struct worker *worker, const struct worker_broker_peer_refused *message)
{
	struct passage *passage = passage_new(worker);
	if (!passage)
		return 0;
	char detail[513];
	if (view_to_string(message->detail, detail, sizeof(detail)) < 0 ||
	    view_to_string(message->code, passage->entry.code, sizeof(passage->entry.code)) < 0)
		detail[0] = 0;
	str_make_printable(passage->entry.code);
	str_copy(passage->code, sizeof(passage->code), passage->entry.code);
	if (message->fingerprint.size == FINGERPRINT_BYTES) {
		memcpy(worker->fingerprint, message->fingerprint.data, FINGERPRINT_BYTES);
		const struct certificate *certificate =
			registry_certificate(&worker->broker->registry, message->fingerprint);
		if (certificate)
			str_copy(passage->entry.device, sizeof(passage->entry.device), certificate->device->name);
		name_fingerprint(worker, passage, detail);
	} else {
		audit_fill(&passage->entry, "door_one", "%s", detail);
	}
	worker->state = WORKER_BROKER_ENDING;
	passage->operation.work = record_refusal;
	passage->operation.done = on_refusal;
	store_submit(worker->broker->store, &passage->operation);
	return 0;
}

/* ---- open ---- */

static int record_passage(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	struct passage *passage = operation->context;
	int result = STORE_RUN(db, diag, device_seen, NUMBER(passage->at_ms), TEXT(passage->entry.address),
			       TEXT(passage->device_id));
	return result < 0 ? result : audit_append(db, &passage->entry, diag);
}

static void let_in(struct worker *worker, const struct passage *passage)
{
	worker->state = WORKER_BROKER_ACCEPTED;
	worker->broker->workers->accepted++;
	worker->device->last_seen_at_ms = passage->at_ms;
	str_copy(worker->device->last_seen_from, sizeof(worker->device->last_seen_from), worker->address);
	monitor_door_one(worker->broker, worker->number);
	WORKER_SEND(worker, accepted, -1, .connection = view_string(worker->connection),
		    .device = view_string(worker->device->name));
}

static void on_passage(struct store_operation *operation, int result, const struct diag *diag)
{
	OWN_MEMORY struct passage *passage = operation->context;
	struct worker *worker = passage->worker;
	(void)diag;
	const char *code = NULL;
	const struct certificate *certificate = registry_certificate(
		&worker->broker->registry, view_of(worker->fingerprint, sizeof(worker->fingerprint)));
	if (worker->gone || worker->state != WORKER_BROKER_PROVING)
		;
	else if (result < 0)
		door_one_reject(worker, "store_unavailable", "the record could not be written");
	else if (certificate_check(certificate, clock_wall_ms(), &code) < 0)
		door_one_reject(worker, code, "it changed while the device was being let in");
	else
		let_in(worker, passage);
	worker_release(worker);
}

void door_one_verified(struct broker *broker, uint64_t number, bool good, const char *reason)
{
	struct worker *worker = worker_find(broker, number);
	if (!worker || worker->state != WORKER_BROKER_PROVING || !worker->verifying)
		return;
	worker->verifying = false;
	if (!good) {
		door_one_reject(worker, "proof_failed", reason);
		return;
	}
	struct passage *passage = passage_new(worker);
	if (!passage)
		return;
	name_fingerprint(worker, passage, worker->suite);
	str_copy(passage->device_id, sizeof(passage->device_id), worker->device->id);
	passage->operation.work = record_passage;
	passage->operation.done = on_passage;
	store_submit(broker->store, &passage->operation);
}

void door_one_lost_signer(struct broker *broker)
{
	struct worker *worker, *next;
	if (!broker->workers)
		return;
	for (worker = LIST_FIRST(&broker->workers->all); worker; worker = next) {
		next = LIST_NEXT(worker, all);
		if (worker->state == WORKER_BROKER_PROVING && worker->verifying)
			door_one_reject(worker, "store_unavailable", "the signer was lost before it could verify the proof");
	}
}

/* ---- the question ---- */

static void attach_device(struct worker *worker, struct device *device)
{
	worker->device = device;
	LIST_INSERT_HEAD(&device->workers, worker, of_device);
}

static void judge(struct worker *worker, const struct certificate *certificate)
{
	const char *code = NULL;
	if (!certificate) {
		door_one_reject(worker, "device_unknown", "the certificate is not in the registry");
		return;
	}
	attach_device(worker, certificate->device);
	if (certificate_check(certificate, clock_wall_ms(), &code) < 0)
		door_one_reject(worker, code, "the registry says no");
	else if (!signer_verify(worker->broker, worker->number, buf_view(&certificate->public_key)))
		door_one_reject(worker, "store_unavailable", "there is no signer that could verify the proof");
	else
		worker->verifying = true;
}

int door_one_peer(struct worker *worker, const struct worker_broker_peer *message)
{
	char protocol[17];
	if (message->fingerprint.size != FINGERPRINT_BYTES || !worker->address[0])
		return ERR_BAD_PEER;
	memcpy(worker->fingerprint, message->fingerprint.data, FINGERPRINT_BYTES);
	if (view_to_string(message->protocol, protocol, sizeof(protocol)) < 0 ||
	    view_to_string(message->suite, worker->suite, sizeof(worker->suite)) < 0)
		return ERR_BAD_PEER;
	str_make_printable(worker->suite);
	worker->state = WORKER_BROKER_PROVING;
	judge(worker, registry_certificate(&worker->broker->registry, message->fingerprint));
	return 0;
}

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
#include "judge.h"
#include "login_rate.h"
#include "metrics.h"
#include "monitor_edge.h"
#include "ocsp.h"
#include "networks.h"
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
	/* The first use of a certificate supersedes those before it. */
	bool is_first_use;
	uint32_t generation;
	char fingerprint[2 * FINGERPRINT_BYTES + 1];
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
	const char *code = result < 0 ? "store_unavailable" : passage->code;
	metrics_handshake(code);
	/* Also where the worker has refused the client by itself: its alert waits for the record. */
	WORKER_SEND(worker, rejected, -1, .code = view_string(code));
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
		if (message->undecided)
			monitor_undecided(worker->broker, worker->number);
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
	if (result == 0 && passage->is_first_use)
		result = STORE_RUN(db, diag, certificate_first_used, NUMBER(passage->at_ms), TEXT(passage->fingerprint));
	if (result == 0 && passage->is_first_use)
		result = STORE_RUN(db, diag, certificate_supersede, NUMBER(passage->at_ms), TEXT(passage->device_id),
				   NUMBER(passage->generation));
	return result < 0 ? result : audit_append(db, &passage->entry, diag);
}

static void supersede_older(struct broker *broker, struct certificate *used, uint64_t at_ms)
{
	revocations_changed(broker);
	struct certificate *certificate;
	used->first_used_at_ms = at_ms;
	buf_fini(&used->der);
	LIST_FOREACH(certificate, &used->device->certificates, of_device)
		if (certificate->generation < used->generation && certificate->state == CERTIFICATE_ACTIVE) {
			certificate->state = CERTIFICATE_SUPERSEDED;
			certificate->superseded_at_ms = at_ms;
		}
}

static void let_in(struct worker *worker, const struct passage *passage)
{
	bool is_host = worker->device->is_host;
	worker->state = is_host ? WORKER_BROKER_HOST : worker->returning ? WORKER_BROKER_RETURNING : WORKER_BROKER_ACCEPTED;
	worker->counted = true;
	worker->broker->workers->accepted++;
	worker->device->last_seen_at_ms = passage->at_ms;
	str_copy(worker->device->last_seen_from, sizeof(worker->device->last_seen_from), worker->address);
	metrics_handshake("");
	monitor_door_one(worker->broker, worker->number);
	networks_note(worker);
	WORKER_SEND(worker, accepted, -1, .connection = view_string(worker->connection),
		    .device = view_string(worker->device->name), .returning = worker->returning, .host = is_host);
}

/* What the registry says of a certificate here. One that has expired within renew_grace may come in to be renewed. */
static int check_certificate(struct worker *worker, const struct certificate *certificate, const char **out_code,
			     const char **out_sentence)
{
	uint64_t now_ms = (uint64_t)judge_furthest_ms(worker->broker);
	int result = certificate_check(certificate, clock_wall_ms(), now_ms, out_code);
	*out_sentence = "the registry says no";
	worker->returning = result < 0 && strcmp(*out_code, "certificate_expired") == 0 &&
			    now_ms - certificate->not_after_ms < worker->broker->room->conf.renew_grace_ms;
	if (result < 0 && !worker->returning)
		return result;
	return issuers_judge(&worker->broker->issuers, certificate, now_ms, out_code, out_sentence);
}

static void on_passage(struct store_operation *operation, int result, const struct diag *diag)
{
	OWN_MEMORY struct passage *passage = operation->context;
	struct worker *worker = passage->worker;
	(void)diag;
	const char *code = NULL, *sentence = NULL;
	struct certificate *certificate = registry_certificate(&worker->broker->registry,
							       view_of(worker->fingerprint, sizeof(worker->fingerprint)));
	if (result == 0 && certificate && passage->is_first_use)
		supersede_older(worker->broker, certificate, passage->at_ms);
	if (worker->gone || worker->state != WORKER_BROKER_PROVING)
		;
	else if (result < 0)
		door_one_reject(worker, "store_unavailable", "the record could not be written");
	else if (!certificate || check_certificate(worker, certificate, &code, &sentence) < 0)
		door_one_reject(worker, certificate ? code : "device_unknown", "it changed while the device was being let in");
	else
		let_in(worker, passage);
	worker_release(worker);
}

static void note_first_use(struct passage *passage, const struct certificate *certificate)
{
	if (!certificate || certificate->first_used_at_ms)
		return;
	passage->is_first_use = true;
	passage->generation = certificate->generation;
	str_hex(view_of(certificate->fingerprint, FINGERPRINT_BYTES), passage->fingerprint);
}

/* Its successor was used, so the laptop has no more use for it: whoever proves this key now has a copy (F5). For a
 * moment programs of the laptop may still run that have read the old files. */
static void refuse_superseded(struct worker *worker, const struct certificate *certificate)
{
	const struct conf *conf = &worker->broker->room->conf;
	struct device *device = certificate->device;
	bool alarm = (uint64_t)judge_furthest_ms(worker->broker) - certificate->superseded_at_ms >= conf->renew_overlap_ms;
	if (alarm)
		registry_alarm_copied(worker->broker, device, worker->address);
	door_one_reject(worker, "certificate_superseded",
			alarm ? "its successor is in use: this key was copied" : "its successor has just come into use");
	if (alarm)
		registry_lock_copied(worker->broker, device);
}

/* Counted when the key is proven: nobody uses up another's. NULL: it may come in. */
static const char *too_many_of(const struct worker *worker)
{
	const struct worker *other;
	uint64_t connections = 0;
	LIST_FOREACH(other, &worker->device->workers, of_device)
		connections += other->counted;
	if (connections >= worker->broker->room->conf.device_connections)
		return "the device has as many connections as it may have (device_connections)";
	return login_rate_take_connection(worker->broker, worker->device)
		       ? NULL : "the device connects too often (connections_per_device)";
}

static void admit(struct worker *worker, const struct certificate *certificate)
{
	const char *too_many = too_many_of(worker);
	if (too_many) {
		door_one_reject(worker, "too_many", too_many);
		return;
	}
	struct passage *passage = passage_new(worker);
	if (!passage)
		return;
	name_fingerprint(worker, passage, worker->suite);
	str_copy(passage->device_id, sizeof(passage->device_id), worker->device->id);
	note_first_use(passage, certificate);
	passage->operation.work = record_passage;
	passage->operation.done = on_passage;
	store_submit(worker->broker->store, &passage->operation);
}

void door_one_checked(struct worker *worker)
{
	const char *code = NULL, *sentence = NULL;
	const struct certificate *certificate =
		registry_certificate(&worker->broker->registry, view_of(worker->fingerprint, sizeof(worker->fingerprint)));
	if (worker->gone || worker->state != WORKER_BROKER_PROVING)
		return;
	if (certificate && ocsp_judge(worker->broker, certificate, clock_wall_ms(), &code, &sentence) < 0)
		door_one_reject(worker, code, sentence);
	else
		admit(worker, certificate);
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
	const struct certificate *certificate =
		registry_certificate(&broker->registry, view_of(worker->fingerprint, sizeof(worker->fingerprint)));
	if (certificate && certificate->state == CERTIFICATE_SUPERSEDED) {
		refuse_superseded(worker, certificate);
		return;
	}
	if (!certificate || !ocsp_is_due(broker, certificate) || ocsp_ask(broker, certificate, worker) < 0)
		door_one_checked(worker);
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

static void judge_certificate(struct worker *worker, const struct certificate *certificate)
{
	const char *code = NULL, *sentence = NULL;
	if (!certificate) {
		door_one_reject(worker, "device_unknown", "the certificate is not in the registry");
		return;
	}
	attach_device(worker, certificate->device);
	/* A superseded one is refused all the same, but first it must prove its key: only then it is a copy. */
	int result = check_certificate(worker, certificate, &code, &sentence);
	if (result < 0 && strcmp(code, "certificate_superseded") != 0)
		door_one_reject(worker, code, sentence);
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
	const struct certificate *certificate = registry_certificate(&worker->broker->registry, message->fingerprint);
	if (!certificate && worker->broker->room->conf.adopt_unknown && message->leaf.size)
		registry_note_stranger(worker->broker, message->leaf, worker->address);
	judge_certificate(worker, certificate);
	return 0;
}

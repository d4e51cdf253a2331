/* registry_adopt.c: devices whose certificate another, trusted authority has issued: kept for a while when they come
 * unknown, and taken into the registry by an admin.
 *
 * The broker parses no certificate: what an adopted one says (serial, dates, key) comes from the admin's program, which
 * root or an admin_user runs; the fingerprint is computed here, and the key is what the device must prove.
 */
#include <stdlib.h>
#include <string.h>

#include "broker.h"
#include "hash.h"
#include "issuance.h"
#include "registry.h"
#include "registry_memory.h"
#include "sallyport/clock.h"
#include "sallyport/own.h"
#include "sallyport/str.h"

/* ---- who came unknown ---- */

void registry_note_stranger(struct registry *registry, struct view leaf, const char *address)
{
	uint8_t fingerprint[HASH_BYTES];
	struct stranger *oldest = &registry->strangers[0];
	hash_sha256(leaf, fingerprint);
	for (size_t i = 0; i < STRANGERS_MAX; i++) {
		struct stranger *stranger = &registry->strangers[i];
		if (stranger->at_ms && memcmp(stranger->fingerprint, fingerprint, HASH_BYTES) == 0) {
			oldest = stranger;
			break;
		}
		if (stranger->at_ms < oldest->at_ms)
			oldest = stranger;
	}
	buf_fini(&oldest->leaf);
	oldest->leaf = BUF_INIT(ISSUANCE_DER_MAX);
	oldest->at_ms = buf_add(&oldest->leaf, leaf) < 0 ? 0 : clock_wall_ms();
	memcpy(oldest->fingerprint, fingerprint, HASH_BYTES);
	str_copy(oldest->address, sizeof(oldest->address), address);
}

static void forget_stranger(struct registry *registry, const uint8_t *fingerprint)
{
	for (size_t i = 0; i < STRANGERS_MAX; i++)
		if (memcmp(registry->strangers[i].fingerprint, fingerprint, HASH_BYTES) == 0)
			registry->strangers[i].at_ms = 0;
}

/* ---- taken in ---- */

struct adoption {
	struct store_operation operation;
	struct broker *broker;
	struct device *device;
	struct certificate *certificate;
	struct audit_entry entry;
	act_done done;
	void *context;
	struct act_result result;
};

static void answer(struct adoption *adoption)
{
	adoption->done(adoption->context, &adoption->result);
	device_free(adoption->device);
	certificate_free(adoption->certificate);
	free(adoption);
}

static int record(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	struct adoption *adoption = operation->context;
	int result = registry_record_device(db, adoption->device, diag);
	if (result == 0)
		result = registry_record_certificate(db, adoption->device->id, adoption->certificate, diag);
	if (result == ERR_DENIED)
		return diag_set(diag, result, "there is a device \"%s\", or a certificate with this serial number, already",
				adoption->device->name);
	return result < 0 ? result : audit_append(db, &adoption->entry, diag);
}

static void on_recorded(struct store_operation *operation, int result, const struct diag *diag)
{
	struct adoption *adoption = operation->context;
	struct registry *registry = &adoption->broker->registry;
	if (result < 0) {
		adoption->result.result = result;
		adoption->result.diag = *diag;
	} else {
		forget_stranger(registry, adoption->certificate->fingerprint);
		struct device *device = take_pointer(&adoption->device);
		registry_attach(registry, device);
		registry_attach_certificate(registry, device, take_pointer(&adoption->certificate));
	}
	answer(adoption);
}

static void on_refused(struct store_operation *operation, int result, const struct diag *diag)
{
	(void)result, (void)diag;
	answer(operation->context);
}

static int make(struct adoption *adoption, const struct registry_adoption *request, struct diag *diag)
{
	const struct issuance_key key = {.public_key = request->device.public_key, .kind = request->device.key_kind};
	int result = registry_check_device(&adoption->broker->registry, &request->device, diag);
	if (result < 0)
		return result;
	if (registry_key_is_in_use(&adoption->broker->registry, request->device.public_key))
		return diag_set(diag, ERR_DENIED, "a device with this key is registered already: a key belongs to one device");
	adoption->device = registry_new_device(request->device.name, request->device.users, request->device.tags);
	struct certificate *certificate = adoption->certificate = issuance_certificate(adoption->broker, &key, 1);
	if (!adoption->device || !certificate)
		return diag_system(diag, "memory");
	if (!str_copy(certificate->serial, sizeof(certificate->serial), request->serial))
		return diag_set(diag, ERR_BAD_INPUT, "a serial number has at most 20 bytes");
	hash_sha256(request->leaf, certificate->fingerprint);
	certificate->not_before_ms = request->not_before_ms;
	certificate->not_after_ms = request->not_after_ms;
	return 0;
}

void registry_adopt(struct broker *broker, const struct registry_adoption *request, const struct act_by *by, act_done done,
		    void *context)
{
	struct adoption *adoption = calloc(1, sizeof(*adoption));
	if (!adoption) {
		struct act_result failed = {.result = 0};
		failed.result = diag_system(&failed.diag, "memory");
		done(context, &failed);
		return;
	}
	adoption->broker = broker;
	adoption->done = done;
	adoption->context = context;
	adoption->result.result = make(adoption, request, &adoption->result.diag);
	bool refused = adoption->result.result < 0;
	str_copy(adoption->entry.device, sizeof(adoption->entry.device), request->device.name);
	str_copy(adoption->entry.address, sizeof(adoption->entry.address), "admin");
	audit_fill(&adoption->entry, "device_adopted", "by %s; certificate %s", by->admin, request->serial);
	adoption->operation = (struct store_operation){
		.work = refused ? NULL : record, .done = refused ? on_refused : on_recorded, .context = adoption};
	store_submit(broker->store, &adoption->operation);
}

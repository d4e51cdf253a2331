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

static void record_stranger(struct broker *broker, const struct stranger *stranger)
{
	char fingerprint[2 * HASH_BYTES + 1];
	struct audit_entry entry = {.code = ""};
	str_hex(view_of(stranger->fingerprint, HASH_BYTES), fingerprint);
	str_copy(entry.address, sizeof(entry.address), stranger->address);
	audit_fill(&entry, "device_pending", "an unknown certificate of a trusted authority: sallyport-admin device adopt NAME --user USER "
		   "--pending %.16s (certificate %s)", fingerprint, fingerprint);
	audit_record(broker, &entry, NULL, NULL);
}

void registry_note_stranger(struct broker *broker, struct view leaf, const char *address)
{
	struct registry *registry = &broker->registry;
	uint8_t fingerprint[HASH_BYTES];
	bool known = false;
	struct stranger *oldest = &registry->strangers[0];
	hash_sha256(leaf, fingerprint);
	for (size_t i = 0; i < STRANGERS_MAX; i++) {
		struct stranger *stranger = &registry->strangers[i];
		if (stranger->at_ms && memcmp(stranger->fingerprint, fingerprint, HASH_BYTES) == 0) {
			oldest = stranger;
			known = true;
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
	if (!known && oldest->at_ms)
		record_stranger(broker, oldest);
}

unsigned registry_strangers(const struct registry *registry)
{
	unsigned count = 0;
	for (size_t i = 0; i < STRANGERS_MAX; i++)
		count += registry->strangers[i].at_ms != 0;
	return count;
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
	struct device *device; /* a new one; owned until it is attached */
	struct device *known;  /* or one that is there: this is its next certificate */
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

static int record_known(struct store_db *db, const struct adoption *adoption, struct diag *diag)
{
	int result = STORE_RUN(db, diag, device_set_generation, NUMBER(adoption->certificate->generation), TEXT(adoption->known->id));
	if (result == 0 && store_changed(db) == 0)
		result = diag_set(diag, ERR_SYSTEM, "the device \"%s\" was revoked at this moment", adoption->known->name);
	return result;
}

static int record(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	struct adoption *adoption = operation->context;
	const struct device *device = adoption->known ? adoption->known : adoption->device;
	int result = adoption->known ? record_known(db, adoption, diag) : registry_record_device(db, device, diag);
	if (result == 0)
		result = registry_record_certificate(db, device->id, adoption->certificate, diag);
	if (result == ERR_DENIED)
		return diag_set(diag, result, "there is a device \"%s\", or a certificate with this serial number, already", device->name);
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
		struct device *device = adoption->known ? adoption->known : take_pointer(&adoption->device);
		if (!adoption->known)
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

/* Without users: the next certificate of a device that is there. */
static int check(struct adoption *adoption, const struct registry_request *request, struct diag *diag)
{
	struct broker *broker = adoption->broker;
	struct device *there = registry_device(&broker->registry, request->name);
	adoption->known = *request->users ? NULL : there;
	if (adoption->known && there->state == DEVICE_REVOKED)
		return diag_set(diag, ERR_DENIED, "the device \"%s\" is revoked, and stays so", request->name);
	int result = adoption->known ? 0 : registry_check_device(&broker->registry, request, diag);
	if (result == 0 && !adoption->known)
		result = invitation_check_caps(broker, request->users, diag);
	struct device *owner = registry_key_owner(&broker->registry, request->public_key);
	if (result == 0 && owner && owner != adoption->known)
		return diag_set(diag, ERR_DENIED, "a device with this key is registered already: a key belongs to one device");
	return result;
}

static int make(struct adoption *adoption, const struct registry_adoption *request, struct diag *diag)
{
	const struct issuance_key key = {.public_key = request->device.public_key, .kind = request->device.key_kind};
	int result = check(adoption, &request->device, diag);
	if (result < 0)
		return result;
	if (!adoption->known)
		adoption->device = registry_new_device(request->device.name, request->device.users, request->device.tags);
	uint32_t generation = adoption->known ? ++adoption->known->generation : 1;
	struct certificate *certificate = adoption->certificate = issuance_certificate(adoption->broker, &key, generation);
	if (!(adoption->known || adoption->device) || !certificate)
		return diag_system(diag, "memory");
	if (request->issuer && !str_copy(certificate->issuer, sizeof(certificate->issuer), request->issuer))
		return diag_set(diag, ERR_BAD_INPUT, "an issuer is 64 hexadecimal digits");
	if (request->responder && *request->responder && !(certificate->responder = strdup(request->responder)))
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

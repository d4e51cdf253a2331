/* registry_add.c: a new device: its certificate is issued, then device, binding and certificate are recorded. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "broker.h"
#include "hash.h"
#include "registry.h"
#include "registry_memory.h"
#include "sallyport/clock.h"
#include "sallyport/conf.h"
#include "sallyport/fd.h"
#include "sallyport/own.h"
#include "sallyport/str.h"
#include "signer_edge.h"

/* Clocks of laptops differ a little. */
enum { BACKDATE_S = 300 };
enum { CERTIFICATE_MAX = 16384, KEY_HEX_MAX = 2 * 4096 + 1 };

struct addition {
	struct store_operation operation;
	struct signer_issue issue;
	struct broker *broker;
	struct device *device;
	struct certificate *certificate;
	struct buf der;
	struct audit_entry entry;
	act_done done;
	void *context;
	struct act_result result;
};

static void answer(struct addition *addition)
{
	addition->result.certificate = buf_view(&addition->der);
	addition->done(addition->context, &addition->result);
	device_free(addition->device);
	certificate_free(addition->certificate);
	buf_fini(&addition->der);
	free(addition);
}

/* ---- the record ---- */

static int record_users(struct store_db *db, const struct device *device, struct diag *diag)
{
	size_t position = 0;
	struct view item;
	while (conf_list_next(device->users, &position, &item)) {
		char user[257];
		int result = view_to_string(item, user, sizeof(user));
		if (result == 0)
			result = STORE_RUN(db, diag, device_user_insert, TEXT(device->id), TEXT(user));
		if (result < 0)
			return result;
	}
	return 0;
}

static int record_certificate(struct store_db *db, const struct device *device, const struct certificate *certificate,
			      struct diag *diag)
{
	char fingerprint[2 * FINGERPRINT_BYTES + 1], key[KEY_HEX_MAX];
	str_hex(view_of(certificate->fingerprint, FINGERPRINT_BYTES), fingerprint);
	str_hex(buf_view(&certificate->public_key), key);
	return STORE_RUN(db, diag, certificate_insert, TEXT(fingerprint), TEXT(certificate->serial), TEXT(device->id),
			 NUMBER(certificate->generation), TEXT(key), TEXT(certificate->key_kind),
			 NUMBER(certificate->not_before_ms), NUMBER(certificate->not_after_ms),
			 NUMBER(certificate->issued_at_ms));
}

static int record(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	const struct addition *addition = operation->context;
	const struct device *device = addition->device;
	int result = STORE_RUN(db, diag, device_insert, TEXT(device->id), TEXT(device->name), TEXT(device->tags),
			       NUMBER(device->generation), NUMBER(device->created_at_ms));
	if (result == ERR_DENIED)
		return diag_set(diag, result, "there is a device \"%s\" already", device->name);
	if (result == 0)
		result = record_users(db, device, diag);
	if (result == 0)
		result = record_certificate(db, device, addition->certificate, diag);
	return result < 0 ? result : audit_append(db, &addition->entry, diag);
}

static void on_recorded(struct store_operation *operation, int result, const struct diag *diag)
{
	struct addition *addition = operation->context;
	if (result < 0) {
		addition->result.result = result;
		addition->result.diag = *diag;
		buf_reset(&addition->der);
	} else {
		struct device *device = take_pointer(&addition->device);
		registry_attach(&addition->broker->registry, device);
		registry_attach_certificate(&addition->broker->registry, device, take_pointer(&addition->certificate));
	}
	answer(addition);
}

static void on_refused(struct store_operation *operation, int result, const struct diag *diag)
{
	(void)result, (void)diag;
	answer(operation->context);
}

/* Answers later, from the loop. */
static void refuse(struct addition *addition)
{
	addition->operation = (struct store_operation){.done = on_refused, .context = addition};
	store_submit(addition->broker->store, &addition->operation);
}

/* ---- the signer ---- */

static void on_issued(struct signer_issue *issue, int result, struct view der, const struct diag *diag)
{
	struct addition *addition = issue->context;
	addition->der = BUF_INIT(CERTIFICATE_MAX);
	if (result == 0 && buf_add(&addition->der, der) < 0)
		result = diag_system(&addition->result.diag, "memory");
	else if (result < 0)
		addition->result.diag = *diag;
	addition->result.result = result;
	if (result < 0) {
		refuse(addition);
		return;
	}
	hash_sha256(der, addition->certificate->fingerprint);
	addition->operation = (struct store_operation){.work = record, .done = on_recorded, .context = addition};
	store_submit(addition->broker->store, &addition->operation);
}

static void ask_signer(struct addition *addition)
{
	struct certificate *certificate = addition->certificate;
	uint8_t serial[SERIAL_BYTES];
	(void)!str_from_hex(view_string(certificate->serial), serial, sizeof(serial));
	struct signer_names names = {
		.public_key = buf_view(&certificate->public_key),
		.serial = view_of(serial, sizeof(serial)),
		.device_id = addition->device->id,
		.device_name = addition->device->name,
		.not_before_s = certificate->not_before_ms / 1000,
		.not_after_s = certificate->not_after_ms / 1000,
	};
	addition->issue = (struct signer_issue){.done = on_issued, .context = addition};
	signer_issue(addition->broker, &addition->issue, &names);
}

/* ---- the request ---- */

static bool is_name(const char *name)
{
	if (!isascii((unsigned char)name[0]) || !isalnum((unsigned char)name[0]) || strlen(name) > DEVICE_NAME_MAX)
		return false;
	for (const char *c = name; *c; c++)
		if (!isascii((unsigned char)*c) || (!isalnum((unsigned char)*c) && !strchr("._-", *c)))
			return false;
	return true;
}

static bool is_list(const char *list, size_t item_max, bool may_be_empty)
{
	size_t position = 0, items = 0;
	struct view item;
	for (; conf_list_next(list, &position, &item); items++)
		if (item.size == 0 || item.size > item_max)
			return false;
	return items > 0 || may_be_empty;
}

static bool key_is_in_use(const struct registry *registry, struct view key)
{
	const struct device *device;
	const struct certificate *certificate;
	LIST_FOREACH(device, &registry->devices, all)
		LIST_FOREACH(certificate, &device->certificates, of_device)
			if (view_equal(buf_view(&certificate->public_key), key))
				return true;
	return false;
}

static int check(const struct registry *registry, const struct registry_request *request, struct diag *diag)
{
	if (!is_name(request->name))
		return diag_set(diag, ERR_BAD_INPUT,
				"\"%s\" is no name for a device: 1 to %d of a-z A-Z 0-9 . _ -, beginning with a letter or digit",
				request->name, DEVICE_NAME_MAX);
	if (!is_list(request->users, 256, false))
		return diag_set(diag, ERR_BAD_INPUT, "a device is bound to at least one user, each of 1 to 256 characters");
	if (!is_list(request->tags, 64, true))
		return diag_set(diag, ERR_BAD_INPUT, "a tag has 1 to 64 characters");
	if (registry_device(registry, request->name))
		return diag_set(diag, ERR_DENIED, "there is a device \"%s\" already", request->name);
	if (key_is_in_use(registry, request->public_key))
		return diag_set(diag, ERR_DENIED, "a device with this key is registered already: a key belongs to one device");
	return 0;
}

static void random_hex(char *out_text, size_t bytes)
{
	uint8_t random[SERIAL_BYTES];
	fd_random(random, bytes);
	random[0] &= 0x7f; /* a serial is a positive number of at most 20 bytes (RFC 5280) */
	random[0] |= 0x40;
	str_hex(view_of(random, bytes), out_text);
}

static int make_objects(struct addition *addition, const struct registry_request *request)
{
	char id[33];
	random_hex(id, 16);
	addition->device = device_new(id, request->name, request->users, request->tags);
	struct certificate *certificate = addition->certificate = calloc(1, sizeof(*addition->certificate));
	if (!addition->device || !certificate || certificate_set_key(certificate, request->public_key) < 0)
		return diag_system(&addition->result.diag, "memory");
	uint64_t now_ms = clock_wall_ms();
	addition->device->created_at_ms = now_ms;
	addition->device->generation = certificate->generation = 1;
	random_hex(certificate->serial, SERIAL_BYTES);
	certificate->issued_at_ms = now_ms;
	certificate->not_before_ms = (now_ms / 1000 - BACKDATE_S) * 1000;
	certificate->not_after_ms = now_ms / 1000 * 1000 + addition->broker->room->conf.certificate_life_ms;
	str_copy(certificate->key_kind, sizeof(certificate->key_kind), request->key_kind ? request->key_kind : "");
	return 0;
}

void registry_add(struct broker *broker, const struct registry_request *request, const struct act_by *by,
		  act_done done, void *context)
{
	struct addition *addition = calloc(1, sizeof(*addition));
	if (!addition) {
		struct act_result failed = {.result = 0};
		failed.result = diag_system(&failed.diag, "memory");
		done(context, &failed);
		return;
	}
	addition->broker = broker;
	addition->done = done;
	addition->context = context;
	addition->result.result = check(&broker->registry, request, &addition->result.diag);
	if (addition->result.result == 0)
		addition->result.result = make_objects(addition, request);
	if (addition->result.result < 0) {
		refuse(addition);
		return;
	}
	str_copy(addition->entry.device, sizeof(addition->entry.device), request->name);
	str_copy(addition->entry.address, sizeof(addition->entry.address), "admin");
	audit_fill(&addition->entry, "device_added", "by %s; certificate %s", by->admin, addition->certificate->serial);
	ask_signer(addition);
}

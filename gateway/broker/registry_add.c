/* registry_add.c: a new device: its certificate is issued, then device, binding and certificate are recorded. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "broker.h"
#include "issuance.h"
#include "registry.h"
#include "registry_memory.h"
#include "sallyport/clock.h"
#include "sallyport/conf.h"
#include "sallyport/own.h"
#include "sallyport/str.h"

struct addition {
	struct issuance issuance;
	struct store_operation operation; /* of a refusal */
	struct device *device;
	struct audit_entry entry;
	act_done done;
	void *context;
	struct act_result result;
};

static void answer(struct addition *addition)
{
	addition->done(addition->context, &addition->result);
	device_free(addition->device);
	issuance_fini(&addition->issuance);
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

int registry_record_device(struct store_db *db, const struct device *device, struct diag *diag)
{
	int result = STORE_RUN(db, diag, device_insert, TEXT(device->id), TEXT(device->name), TEXT(device->tags),
			       NUMBER(device->generation), NUMBER(device->created_at_ms),
			       TEXT(registry_kind_name(device->is_host)));
	if (result == ERR_DENIED)
		return diag_set(diag, result, "there is a device \"%s\" already", device->name);
	return result < 0 ? result : record_users(db, device, diag);
}

static int record(struct store_db *db, struct issuance *issuance, struct diag *diag)
{
	const struct addition *addition = issuance->owner;
	int result = registry_record_device(db, addition->device, diag);
	return result < 0 ? result : audit_append(db, &addition->entry, diag);
}

static void on_issued(struct issuance *issuance, int result, const struct diag *diag)
{
	struct addition *addition = issuance->owner;
	struct registry *registry = &issuance->broker->registry;
	if (result < 0) {
		addition->result.result = result;
		addition->result.diag = *diag;
	} else {
		struct device *device = take_pointer(&addition->device);
		struct certificate *certificate = take_pointer(&issuance->certificate);
		registry_attach(registry, device);
		registry_attach_certificate(registry, device, certificate);
		addition->result.certificate = buf_view(&certificate->der);
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
	store_submit(addition->issuance.broker->store, &addition->operation);
}

/* ---- the request ---- */

bool registry_name_is_good(const char *name)
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

int registry_check_device(const struct registry *registry, const struct registry_request *request, struct diag *diag)
{
	if (!registry_name_is_good(request->name))
		return diag_set(diag, ERR_BAD_INPUT,
				"\"%s\" is no name for a device: 1 to %d of a-z A-Z 0-9 . _ -, beginning with a letter or digit",
				request->name, DEVICE_NAME_MAX);
	if (request->is_host && *request->users)
		return diag_set(diag, ERR_BAD_INPUT, "a host is bound to nobody: nobody logs in there");
	if (!is_list(request->users, 256, request->is_host))
		return diag_set(diag, ERR_BAD_INPUT, "a device is bound to at least one user, each of 1 to 256 characters");
	if (!is_list(request->tags, 64, true))
		return diag_set(diag, ERR_BAD_INPUT, "a tag has 1 to 64 characters");
	if (registry_device(registry, request->name))
		return diag_set(diag, ERR_DENIED, "there is a device \"%s\" already", request->name);
	return 0;
}

static int check(const struct broker *broker, const struct registry_request *request, struct diag *diag)
{
	int result = registry_check_device(&broker->registry, request, diag);
	if (result == 0)
		result = invitation_check_caps(broker, request->users, diag);
	if (result == 0 && registry_key_owner(&broker->registry, request->public_key))
		return diag_set(diag, ERR_DENIED, "a device with this key is registered already: a key belongs to one device");
	return result;
}

struct device *registry_new_device(const char *name, const char *users, const char *tags)
{
	char id[33];
	issuance_random_hex(id, 16);
	struct device *device = device_new(id, name, users, tags);
	if (!device)
		return NULL;
	device->created_at_ms = clock_wall_ms();
	device->generation = 1;
	return device;
}

static int make_objects(struct addition *addition, const struct registry_request *request)
{
	struct issuance *issuance = &addition->issuance;
	const struct issuance_key key = {.public_key = request->public_key, .kind = request->key_kind};
	addition->device = registry_new_device(request->name, request->users, request->tags);
	issuance->certificate = issuance_certificate(issuance->broker, &key, 1);
	if (!addition->device || !issuance->certificate)
		return diag_system(&addition->result.diag, "memory");
	issuance->device_id = addition->device->id;
	issuance->device_name = addition->device->name;
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
	addition->issuance = (struct issuance){.broker = broker, .record = record, .done = on_issued, .owner = addition};
	addition->done = done;
	addition->context = context;
	addition->result.result = check(broker, request, &addition->result.diag);
	if (addition->result.result == 0)
		addition->result.result = make_objects(addition, request);
	if (addition->result.result < 0) {
		refuse(addition);
		return;
	}
	str_copy(addition->entry.device, sizeof(addition->entry.device), request->name);
	str_copy(addition->entry.address, sizeof(addition->entry.address), "admin");
	audit_fill(&addition->entry, "device_added", "by %s; certificate %s", by->admin, addition->issuance.certificate->serial);
	issuance_begin(&addition->issuance);
}

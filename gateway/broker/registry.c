/* registry.c: the devices in memory. What changes them is in registry_act.c; the record is the store's. */
#include "registry.h"

#include <stdlib.h>
#include <string.h>

#include "registry_memory.h"
#include "sallyport/conf.h"
#include "sallyport/own.h"
#include "sallyport/str.h"

enum { PUBLIC_KEY_MAX = 4096, DER_MAX = 16384 };

static const char *const device_states[] = {"active", "locked", "revoked", NULL};
static const char *const certificate_states[] = {"active", "superseded", "revoked", NULL};

const char *device_state_name(enum device_state state)
{
	return device_states[state];
}

const char *certificate_state_name(enum certificate_state state)
{
	return certificate_states[state];
}

const char *registry_kind_name(bool is_host)
{
	return is_host ? "host" : "device";
}

/* The number of a name; a name that is none means the last state, which lets nobody in. */
static int state_of(const char *const *names, const char *name)
{
	int i = 0;
	while (names[i + 1] && strcmp(names[i], name) != 0)
		i++;
	return i;
}

/* ---- lookup ---- */

struct device *registry_device(const struct registry *registry, const char *name)
{
	return MAP_FIND(&registry->names, view_string(name), struct device, by_name);
}

struct device *registry_device_by_id(const struct registry *registry, const char *id)
{
	return MAP_FIND(&registry->ids, view_string(id), struct device, by_id);
}

struct certificate *registry_certificate(const struct registry *registry, struct view fingerprint)
{
	return MAP_FIND(&registry->fingerprints, fingerprint, struct certificate, by_fingerprint);
}

struct device *registry_key_owner(const struct registry *registry, struct view public_key)
{
	const struct certificate *certificate = MAP_FIND(&registry->keys, public_key, struct certificate, by_key);
	return certificate ? certificate->device : NULL;
}

static const struct device *named(const struct registry *registry, const char *name)
{
	static const char uri[] = "sallyport:device:";
	return strncmp(name, uri, strlen(uri)) == 0 ? registry_device_by_id(registry, name + strlen(uri)) : registry_device(registry, name);
}

const struct device *registry_foreign_name(const struct registry *registry, struct view names, const struct device *own)
{
	while (names.size) {
		char name[128];
		const uint8_t *end = memchr(names.data, '\n', names.size);
		size_t size = end ? (size_t)(end - names.data) : names.size;
		const struct device *device = view_to_string(view_of(names.data, size), name, sizeof(name)) == 0 ? named(registry, name) : NULL;
		if (device && device != own)
			return device;
		size += end != NULL;
		names = view_of(names.data + size, names.size - size);
	}
	return NULL;
}

bool device_is_bound_to(const struct device *device, const char *user)
{
	size_t position = 0;
	struct view item;
	if (!user[0] || device->is_host)
		return false;
	while (conf_list_next(device->users, &position, &item))
		if (view_is(item, user) || view_is(item, DEVICE_ANY_USER))
			return true;
	return false;
}

bool device_is_own(const struct device *device, const char *user)
{
	size_t position = 0;
	struct view item;
	while (!device->is_host && conf_list_next(device->users, &position, &item))
		if (!view_is(item, DEVICE_ANY_USER) && view_is(item, user))
			return true;
	return false;
}

const char *registry_key_kind(const struct device *device)
{
	const struct certificate *certificate;
	LIST_FOREACH(certificate, &device->certificates, of_device)
		if (certificate->state == CERTIFICATE_ACTIVE)
			return certificate->key_kind;
	return NULL;
}

int certificate_check(const struct certificate *certificate, uint64_t now_ms, uint64_t furthest_ms, const char **out_code)
{
	const struct device *device = certificate->device;
	const struct {
		bool applies;
		const char *code;
	} refusals[] = {
		{device->state == DEVICE_REVOKED, "device_revoked"},
		{device->state == DEVICE_LOCKED, "device_locked"},
		{certificate->state == CERTIFICATE_REVOKED, "certificate_revoked"},
		{certificate->state == CERTIFICATE_SUPERSEDED, "certificate_superseded"},
		{now_ms < certificate->not_before_ms, "not_yet_valid"},
		{furthest_ms >= certificate->not_after_ms, "certificate_expired"},
	};
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
		if (refusals[i].applies) {
			*out_code = refusals[i].code;
			return ERR_DENIED;
		}
	return 0;
}

/* ---- memory ---- */

void certificate_free(struct certificate *certificate)
{
	if (!certificate)
		return;
	free(certificate->responder);
	buf_fini(&certificate->public_key);
	buf_fini(&certificate->der);
	free(certificate);
}

void device_free(struct device *device)
{
	if (!device)
		return;
	struct certificate *certificate;
	while ((certificate = LIST_FIRST(&device->certificates))) {
		LIST_REMOVE(certificate, of_device);
		certificate_free(certificate);
	}
	free(device->users);
	free(device->tags);
	free(device);
}

struct device *device_new(const char *id, const char *name, const char *users, const char *tags)
{
	struct device *device = calloc(1, sizeof(*device));
	if (!device)
		return NULL;
	device->users = strdup(users);
	device->tags = strdup(tags);
	if (device->users && device->tags && str_copy(device->id, sizeof(device->id), id) &&
	    str_copy(device->name, sizeof(device->name), name))
		return device;
	device_free(device);
	return NULL;
}

void registry_attach(struct registry *registry, struct device *device)
{
	LIST_INSERT_HEAD(&registry->devices, device, all);
	map_add(&registry->names, &device->by_name, view_string(device->name));
	map_add(&registry->ids, &device->by_id, view_string(device->id));
	registry->device_count++;
}

void registry_attach_certificate(struct registry *registry, struct device *device, struct certificate *certificate)
{
	certificate->device = device;
	LIST_INSERT_HEAD(&device->certificates, certificate, of_device);
	map_add(&registry->fingerprints, &certificate->by_fingerprint,
		view_of(certificate->fingerprint, sizeof(certificate->fingerprint)));
	map_add(&registry->keys, &certificate->by_key, buf_view(&certificate->public_key));
}

/* ---- loading ---- */

static int take_device(void *self, const struct store_row *row, struct diag *diag)
{
	struct registry *registry = self;
	struct device *device = device_new(store_row_text(row, 0), store_row_text(row, 1), "", store_row_text(row, 3));
	if (!device)
		return diag_set(diag, ERR_SYSTEM, "the device %s cannot be loaded", store_row_text(row, 1));
	device->state = (enum device_state)state_of(device_states, store_row_text(row, 2));
	device->generation = (uint32_t)store_row_number(row, 4);
	device->created_at_ms = (uint64_t)store_row_number(row, 5);
	device->last_seen_at_ms = (uint64_t)store_row_number(row, 6);
	str_copy(device->last_seen_from, sizeof(device->last_seen_from), store_row_text(row, 7));
	device->is_host = strcmp(store_row_text(row, 8), registry_kind_name(true)) == 0;
	registry_attach(registry, device);
	return 0;
}

static int find_owner(struct registry *registry, const char *id, struct device **out_device, struct diag *diag)
{
	*out_device = registry_device_by_id(registry, id);
	return *out_device ? 0 : diag_set(diag, ERR_SYSTEM, "the store names a device %s that is not there", id);
}

static int take_user(void *self, const struct store_row *row, struct diag *diag)
{
	struct device *device;
	int result = find_owner(self, store_row_text(row, 0), &device, diag);
	if (result < 0)
		return result;
	char *users = NULL;
	if (asprintf(&users, "%s%s\n", device->users, store_row_text(row, 1)) < 0)
		return diag_system(diag, "memory");
	free(device->users);
	device->users = users;
	return 0;
}

int certificate_set_key(struct certificate *certificate, struct view key)
{
	certificate->public_key = BUF_INIT(PUBLIC_KEY_MAX);
	return buf_add(&certificate->public_key, key);
}

static int take_key(struct certificate *certificate, const char *hex)
{
	uint8_t key[PUBLIC_KEY_MAX];
	struct view text = view_string(hex);
	if (text.size / 2 > sizeof(key) || str_from_hex(text, key, text.size / 2) < 0)
		return ERR_BAD_INPUT;
	return certificate_set_key(certificate, view_of(key, text.size / 2));
}

static void fill_certificate(struct certificate *certificate, const struct store_row *row)
{
	str_copy(certificate->serial, sizeof(certificate->serial), store_row_text(row, 1));
	certificate->generation = (uint32_t)store_row_number(row, 3);
	str_copy(certificate->key_kind, sizeof(certificate->key_kind), store_row_text(row, 5));
	certificate->not_before_ms = (uint64_t)store_row_number(row, 6);
	certificate->not_after_ms = (uint64_t)store_row_number(row, 7);
	certificate->state = (enum certificate_state)state_of(certificate_states, store_row_text(row, 8));
	certificate->issued_at_ms = (uint64_t)store_row_number(row, 9);
	str_copy(certificate->key_store, sizeof(certificate->key_store), store_row_text(row, 10));
	certificate->first_used_at_ms = (uint64_t)store_row_number(row, 11);
	certificate->superseded_at_ms = (uint64_t)store_row_number(row, 12);
	certificate->noticed_at_ms = (uint64_t)store_row_number(row, 13);
	str_copy(certificate->authority, sizeof(certificate->authority), store_row_text(row, 15));
	str_copy(certificate->issuer, sizeof(certificate->issuer), store_row_text(row, 16));
	certificate->responder = *store_row_text(row, 17) ? strdup(store_row_text(row, 17)) : NULL;
}

/* One that waits for its first use. */
static int take_der(struct certificate *certificate, const char *hex)
{
	size_t size = strlen(hex) / 2;
	certificate->der = BUF_INIT(DER_MAX);
	uint8_t *place = size ? buf_reserve(&certificate->der, size) : NULL;
	if (!size || certificate->first_used_at_ms)
		return 0;
	if (!place || str_from_hex(view_string(hex), place, size) < 0)
		return ERR_BAD_INPUT;
	buf_grown(&certificate->der, size);
	return 0;
}

static int take_certificate(void *self, const struct store_row *row, struct diag *diag)
{
	struct device *device;
	int result = find_owner(self, store_row_text(row, 2), &device, diag);
	if (result < 0)
		return result;
	struct certificate *certificate = calloc(1, sizeof(*certificate));
	if (!certificate)
		return diag_system(diag, "memory");
	fill_certificate(certificate, row);
	if (str_from_hex(view_string(store_row_text(row, 0)), certificate->fingerprint, FINGERPRINT_BYTES) < 0 ||
	    take_key(certificate, store_row_text(row, 4)) < 0 || take_der(certificate, store_row_text(row, 14)) < 0) {
		certificate_free(certificate);
		return diag_set(diag, ERR_SYSTEM, "a certificate of %s is damaged in the store", device->name);
	}
	registry_attach_certificate(self, device, certificate);
	return 0;
}

static int load(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	struct registry *registry = operation->context;
	int result = STORE_QUERY_ALL(db, diag, device_all, take_device, registry);
	if (result == 0)
		result = STORE_QUERY_ALL(db, diag, device_user_all, take_user, registry);
	if (result == 0)
		result = STORE_QUERY_ALL(db, diag, certificate_all, take_certificate, registry);
	return result;
}

int registry_load(struct registry *registry, struct store *store, struct diag *diag)
{
	*registry = (struct registry){.device_count = 0};
	if (map_init(&registry->names) < 0 || map_init(&registry->ids) < 0 || map_init(&registry->fingerprints) < 0 ||
	    map_init(&registry->keys) < 0)
		return diag_system(diag, "memory");
	struct store_operation operation = {.work = load, .context = registry};
	return store_now(store, &operation, diag);
}

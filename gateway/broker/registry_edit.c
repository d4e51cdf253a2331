/* registry_edit.c: what changes of a device while it stays what it is: name, tags, users; that it is forgotten; the alarm
 * about a copied key. Lock, unlock, revoke: registry_act.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker.h"
#include "ending.h"
#include "registry.h"
#include "registry_memory.h"
#include "sallyport/clock.h"
#include "sallyport/conf.h"
#include "sallyport/log.h"
#include "sallyport/own.h"
#include "sallyport/str.h"
#include "session_memory.h"
#include "tunnel_review.h"

struct edit {
	struct store_operation operation;
	struct ending ending;
	struct broker *broker;
	struct device *device;
	enum registry_change change;
	char *value; /* owned */
	struct audit_entry entry;
	act_done done;
	void *context;
	struct act_result result;
};

static void answer(struct edit *edit)
{
	edit->done(edit->context, &edit->result);
	free(edit->value);
	free(edit);
}

/* ---- lists of lines ---- */

static bool list_has(const char *list, const char *word)
{
	size_t position = 0;
	struct view item;
	while (conf_list_next(list, &position, &item))
		if (view_is(item, word))
			return true;
	return false;
}

static char *list_with(const char *list, const char *word)
{
	char *text = NULL;
	return asprintf(&text, "%s%s\n", list, word) < 0 ? NULL : text;
}

static char *list_without(const char *list, const char *word)
{
	char *text = calloc(1, strlen(list) + 1);
	size_t position = 0, used = 0;
	struct view item;
	while (text && conf_list_next(list, &position, &item))
		if (!view_is(item, word)) {
			memcpy(text + used, item.data, item.size);
			used += item.size;
			text[used++] = '\n';
		}
	return text;
}

/* ---- the record ---- */

/* Forgetting frees the name; the record still finds the device by it. */
static void spell_forgotten(const struct device *device, char *out_name, size_t capacity)
{
	snprintf(out_name, capacity, "%s~%.8s", device->name, device->id);
}

/* A reinvitation that is under way goes on under the new name. */
static int write_name(struct store_db *db, const struct device *device, const char *name, struct diag *diag)
{
	int result = STORE_RUN(db, diag, device_rename, TEXT(name), TEXT(device->id));
	return result < 0 ? result : STORE_RUN(db, diag, invitation_rename_device, TEXT(name), TEXT(device->id));
}

static int write_change(struct store_db *db, const struct edit *edit, struct diag *diag)
{
	const struct device *device = edit->device;
	char name[DEVICE_NAME_MAX + 16];
	switch (edit->change) {
	case REGISTRY_RENAME:
		return write_name(db, device, edit->value, diag);
	case REGISTRY_TAGS:
		return STORE_RUN(db, diag, device_set_tags, TEXT(edit->value), TEXT(device->id));
	case REGISTRY_BIND:
		return STORE_RUN(db, diag, device_user_insert, TEXT(device->id), TEXT(edit->value));
	case REGISTRY_UNBIND:
		return STORE_RUN(db, diag, device_user_delete, TEXT(device->id), TEXT(edit->value));
	case REGISTRY_FORGET:
		break;
	}
	spell_forgotten(device, name, sizeof(name));
	int result = STORE_RUN(db, diag, device_forget, NUMBER(clock_wall_ms()), TEXT(name), TEXT(device->id));
	return result < 0 ? result : STORE_RUN(db, diag, invitation_withdraw_device, TEXT(device->id));
}

static int end_sessions(struct store_db *db, const struct edit *edit, struct diag *diag)
{
	if (edit->change != REGISTRY_UNBIND)
		return 0;
	return STORE_RUN(db, diag, session_end_user_device, NUMBER(clock_wall_ms()), TEXT("unbound"), TEXT(edit->device->id),
			 TEXT(edit->value));
}

static int record(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	const struct edit *edit = operation->context;
	int result = write_change(db, edit, diag);
	if (result == ERR_DENIED)
		return diag_set(diag, result, edit->change == REGISTRY_RENAME ? "there is a device \"%s\" already"
									      : "\"%s\" is bound already", edit->value);
	if (result == 0)
		result = end_sessions(db, edit, diag);
	return result < 0 ? result : audit_append(db, &edit->entry, diag);
}

/* ---- memory follows ---- */

static void replace(char **place, char *value)
{
	if (!value)
		return; /* without memory the old list stays until the next start; the record is right */
	free(*place);
	*place = value;
}

static void rename_in_memory(struct edit *edit)
{
	struct registry *registry = &edit->broker->registry;
	map_remove(&registry->names, &edit->device->by_name);
	str_copy(edit->device->name, sizeof(edit->device->name), edit->value);
	map_add(&registry->names, &edit->device->by_name, view_string(edit->device->name));
	invitations_rename_device(&edit->broker->invitations, edit->device->id, edit->value);
}

/* The object stays: sessions and tunnels of the past may point to it. It is found no more. */
static void forget_in_memory(struct edit *edit)
{
	struct registry *registry = &edit->broker->registry;
	struct certificate *certificate;
	LIST_FOREACH(certificate, &edit->device->certificates, of_device) {
		map_remove(&registry->fingerprints, &certificate->by_fingerprint);
		map_remove(&registry->keys, &certificate->by_key);
	}
	map_remove(&registry->names, &edit->device->by_name);
	map_remove(&registry->ids, &edit->device->by_id);
	invitations_withdraw_device(&edit->broker->invitations, edit->device->id);
	LIST_REMOVE(edit->device, all);
	registry->device_count--;
}

static void on_tunnels_ended(struct ending *ending)
{
	struct edit *edit = ending->context;
	edit->result.tunnels_closed = ending->tunnels;
	answer(edit);
}

/* The sessions of one user on this device. */
static void end_user(struct edit *edit)
{
	struct session *session, *next;
	edit->ending.context = edit;
	ending_begin(&edit->ending, edit->broker, "unbound", on_tunnels_ended);
	for (session = LIST_FIRST(&edit->device->sessions); session; session = next) {
		next = LIST_NEXT(session, of_device);
		if (strcmp(session->user, edit->value) != 0)
			continue;
		session_mark_ended(&edit->broker->sessions, session, "unbound");
		ending_add_session(&edit->ending, session);
		edit->result.sessions_ended++;
	}
	ending_commit(&edit->ending);
}

static void on_recorded(struct store_operation *operation, int result, const struct diag *diag)
{
	struct edit *edit = operation->context;
	struct device *device = edit->device;
	if (result < 0) {
		edit->result.result = result;
		edit->result.diag = *diag;
		answer(edit);
		return;
	}
	switch (edit->change) {
	case REGISTRY_RENAME:
		rename_in_memory(edit);
		break;
	case REGISTRY_TAGS:
		replace(&device->tags, strdup(edit->value));
		tunnels_judge_all(edit->broker);
		break;
	case REGISTRY_BIND:
		replace(&device->users, list_with(device->users, edit->value));
		break;
	case REGISTRY_UNBIND:
		replace(&device->users, list_without(device->users, edit->value));
		end_user(edit);
		return;
	case REGISTRY_FORGET:
		forget_in_memory(edit);
		break;
	}
	answer(edit);
}

static void on_refused(struct store_operation *operation, int result, const struct diag *diag)
{
	(void)result, (void)diag;
	answer(operation->context);
}

/* ---- the request ---- */

static int check_word(const struct edit *edit, struct diag *diag)
{
	size_t length = strlen(edit->value);
	if (length == 0 || length > 256 || strchr(edit->value, '\n'))
		return diag_set(diag, ERR_BAD_INPUT, "a user has 1 to 256 characters");
	if (edit->device->is_host)
		return diag_set(diag, ERR_DENIED, "a host is bound to nobody: nobody logs in there");
	bool bound = list_has(edit->device->users, edit->value);
	if (edit->change == REGISTRY_BIND)
		return bound ? diag_set(diag, ERR_DENIED, "%s is bound to it already", edit->value)
			     : invitation_check_caps(edit->broker, edit->value, diag);
	if (!bound)
		return diag_set(diag, ERR_NOT_FOUND, "%s is not bound to it", edit->value);
	OWN_MEMORY char *rest = list_without(edit->device->users, edit->value);
	if (rest && !*rest)
		return diag_set(diag, ERR_DENIED, "%s is its only user; lock or revoke the device instead", edit->value);
	return 0;
}

static int check_tags(const char *tags, struct diag *diag)
{
	size_t position = 0;
	struct view item;
	while (conf_list_next(tags, &position, &item))
		if (item.size == 0 || item.size > 64)
			return diag_set(diag, ERR_BAD_INPUT, "a tag has 1 to 64 characters");
	return 0;
}

static int check(const struct edit *edit, const char *name, struct diag *diag)
{
	if (!edit->device)
		return diag_set(diag, ERR_NOT_FOUND, "there is no device \"%s\"", name);
	if (edit->change == REGISTRY_FORGET)
		return edit->device->state == DEVICE_REVOKED
			       ? 0
			       : diag_set(diag, ERR_DENIED, "only a revoked device is forgotten: device revoke %s comes first", name);
	if (edit->change == REGISTRY_TAGS)
		return check_tags(edit->value, diag);
	if (edit->change != REGISTRY_RENAME)
		return check_word(edit, diag);
	if (!registry_name_is_good(edit->value))
		return diag_set(diag, ERR_BAD_INPUT, "\"%s\" is no name for a device: 1 to %d of a-z A-Z 0-9 . _ -, beginning with a "
						     "letter or digit", edit->value, DEVICE_NAME_MAX);
	if (registry_device(&edit->broker->registry, edit->value))
		return diag_set(diag, ERR_DENIED, "there is a device \"%s\" already", edit->value);
	return invitation_for(&edit->broker->invitations, edit->value, clock_wall_ms())
		       ? diag_set(diag, ERR_DENIED, "\"%s\" is invited already", edit->value)
		       : 0;
}

static void describe(struct edit *edit, const char *name, const char *by)
{
	static const char *const events[] = {[REGISTRY_RENAME] = "device_renamed", [REGISTRY_TAGS] = "device_tagged",
					     [REGISTRY_BIND] = "device_bound", [REGISTRY_UNBIND] = "device_unbound",
					     [REGISTRY_FORGET] = "device_forgotten"};
	char value[512];
	str_copy(value, sizeof(value), edit->value);
	for (char *c = value; *c; c++)
		*c = *c == '\n' ? ' ' : *c;
	str_make_printable(value);
	str_copy(edit->entry.device, sizeof(edit->entry.device), name);
	str_copy(edit->entry.address, sizeof(edit->entry.address), "admin");
	audit_fill(&edit->entry, events[edit->change], "by %s%s%s", by, *value ? ": " : "", value);
}

void registry_edit(struct broker *broker, const struct registry_edit *change, const struct act_by *by, act_done done,
		   void *context)
{
	struct edit *edit = calloc(1, sizeof(*edit));
	if (!edit || !(edit->value = strdup(change->value ? change->value : ""))) {
		struct act_result failed = {.result = 0};
		free(edit);
		failed.result = diag_system(&failed.diag, "memory");
		done(context, &failed);
		return;
	}
	edit->broker = broker;
	edit->device = registry_device(&broker->registry, change->name);
	edit->change = change->change;
	edit->done = done;
	edit->context = context;
	edit->result.result = check(edit, change->name, &edit->result.diag);
	describe(edit, change->name, by->admin);
	bool refused = edit->result.result < 0;
	edit->operation = (struct store_operation){
		.work = refused ? NULL : record, .done = refused ? on_refused : on_recorded, .context = edit};
	store_submit(broker->store, &edit->operation);
}

/* ---- a copied key ---- */

static void on_locked(void *context, const struct act_result *result)
{
	(void)context;
	if (result->result < 0)
		log_error("a device whose key was copied cannot be locked: %s", result->diag.text);
}

void registry_alarm_copied(struct broker *broker, struct device *device, const char *address)
{
	struct audit_entry entry = {.code = "copied_key"};
	bool locks = broker->room->conf.copied_key_locks && device->state == DEVICE_ACTIVE;
	str_copy(entry.device, sizeof(entry.device), device->name);
	str_copy(entry.address, sizeof(entry.address), address);
	audit_fill(&entry, "alarm", "a superseded certificate of %s was used, and its key proven, from %s: somebody has a copy%s",
		   device->name, address, locks ? "; the device is locked" : "");
	log_warning("%s", entry.detail);
	audit_record(broker, &entry, NULL, NULL);
}

void registry_lock_copied(struct broker *broker, const struct device *device)
{
	if (broker->room->conf.copied_key_locks && device->state == DEVICE_ACTIVE)
		registry_lock(broker, device->name, &(struct act_by){.admin = "the copied-key alarm"}, on_locked, NULL);
}

unsigned registry_devices_of(const struct registry *registry, const char *user)
{
	const struct device *device;
	unsigned count = 0;
	LIST_FOREACH(device, &registry->devices, all)
		count += device->state != DEVICE_REVOKED && list_has(device->users, user);
	return count;
}

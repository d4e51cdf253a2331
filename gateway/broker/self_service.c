/* self_service.c: a user's own devices: which there are, where they were, and that one of them is lost.
 *
 * His are those that are bound to him by name; a device of everybody's is nobody's own. Of one that he shares with others he
 * sees his own sessions only, and each of its users may declare it lost: whoever is robbed must not have to ask first.
 * To unlock it is an administrator's.
 */
#include "self_service.h"

#include <stdlib.h>
#include <string.h>

#include "broker.h"
#include "sallyport/clock.h"
#include "sallyport/own.h"
#include "sallyport/str.h"
#include "session_request.h"
#include "worker.h"

enum { DEVICES_TOLD = 128, PLACES_TOLD = 8 };

struct session *self_service_session(struct worker *worker, uint32_t request, struct view token)
{
	struct session *session = session_of_request(worker, request, token, 401, SELF_SERVICE_EVENT);
	if (!session || worker->broker->room->conf.self_service)
		return session;
	worker_refuse(worker, request,
		      &(struct refusal){.event = SELF_SERVICE_EVENT, .status = 403, .code = "self_service_off", .user = session->user,
					.sentence = "Here only an administrator may do that. Ask one."});
	return NULL;
}

/* ---- which there are ---- */

struct own_device {
	char id[33];
	char places[1024]; /* as the edge has them */
	size_t places_used;
};

struct listing {
	struct store_operation operation;
	struct worker *worker; /* held */
	uint32_t request;
	char user[257];
	size_t count;
	struct own_device devices[];
};

static int take_place(void *self, const struct store_row *row, struct diag *diag)
{
	struct own_device *device = self;
	size_t room = sizeof(device->places) - device->places_used;
	int length = snprintf(device->places + device->places_used, room, "%lld %s\n", (long long)store_row_number(row, 1),
			      store_row_text(row, 0));
	(void)diag;
	if (length > 0 && (size_t)length < room)
		device->places_used += (size_t)length;
	return 0;
}

static int read_places(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	struct listing *listing = operation->context;
	int result = 0;
	for (size_t i = 0; result == 0 && i < listing->count; i++)
		result = STORE_QUERY(db, diag, session_places, take_place, &listing->devices[i], TEXT(listing->devices[i].id),
				     TEXT(listing->user), NUMBER(PLACES_TOLD));
	return result;
}

static uint64_t expires_at_ms(const struct device *device)
{
	const struct certificate *certificate;
	LIST_FOREACH(certificate, &device->certificates, of_device)
		if (certificate->state == CERTIFICATE_ACTIVE)
			return certificate->not_after_ms;
	return 0;
}

static uint32_t count_sessions(const struct device *device, const char *user)
{
	const struct session *session;
	uint32_t count = 0;
	LIST_FOREACH(session, &device->sessions, of_device)
		count += strcmp(session->user, user) == 0;
	return count;
}

static void send_device(const struct listing *listing, const struct own_device *own)
{
	struct worker *worker = listing->worker;
	const struct device *device = registry_device_by_id(&worker->broker->registry, own->id);
	/* It may have become another's while the places were looked up. */
	if (!device || !device_is_own(device, listing->user))
		return;
	WORKER_SEND(worker, device_item, -1, .request = listing->request, .name = view_string(device->name),
		    .state = view_string(device_state_name(device->state)), .is_this = device == worker->device,
		    .enrolled_at_ms = device->created_at_ms, .expires_at_ms = expires_at_ms(device),
		    .last_seen_at_ms = device->last_seen_at_ms, .last_address = view_string(device->last_seen_from),
		    .places = view_of(own->places, own->places_used), .sessions = count_sessions(device, listing->user));
}

static void on_places(struct store_operation *operation, int result, const struct diag *diag)
{
	OWN_MEMORY struct listing *listing = operation->context;
	struct worker *worker = listing->worker;
	(void)diag;
	for (size_t i = 0; result == 0 && i < listing->count; i++)
		send_device(listing, &listing->devices[i]);
	if (result < 0)
		worker_unavailable(worker, listing->request);
	else
		WORKER_SEND(worker, devices_end, -1, .request = listing->request, .self_service = worker->broker->room->conf.self_service);
	worker_release(worker);
}

int self_service_devices(void *self, const struct worker_broker_devices *message, int *fd)
{
	struct worker *worker = self;
	const struct device *device;
	const struct session *session = session_of_request(worker, message->request, message->token, 401, SELF_SERVICE_EVENT);
	(void)fd;
	if (!session)
		return 0;
	struct listing *listing = calloc(1, sizeof(*listing) + DEVICES_TOLD * sizeof(listing->devices[0]));
	if (!listing) {
		worker_unavailable(worker, message->request);
		return 0;
	}
	LIST_FOREACH(device, &worker->broker->registry.devices, all)
		if (listing->count < DEVICES_TOLD && device_is_own(device, session->user))
			str_copy(listing->devices[listing->count++].id, sizeof(listing->devices[0].id), device->id);
	worker_hold(worker);
	listing->worker = worker;
	listing->request = message->request;
	str_copy(listing->user, sizeof(listing->user), session->user);
	listing->operation = (struct store_operation){.work = read_places, .done = on_places, .context = listing};
	store_submit(worker->broker->store, &listing->operation);
	return 0;
}

/* ---- one is lost ---- */

struct losing {
	struct worker *worker; /* held */
	uint32_t request;
	char user[257], device[DEVICE_NAME_MAX + 1];
};

static void on_lost(void *context, const struct act_result *result)
{
	OWN_MEMORY struct losing *losing = context;
	struct refusal refusal = {.event = SELF_SERVICE_EVENT, .status = 409, .code = "device_revoked", .user = losing->user,
				  .sentence = "That device is revoked: it opens nothing any more."};
	snprintf(refusal.detail, sizeof(refusal.detail), "%s is revoked", losing->device);
	if (result->result == ERR_DENIED)
		worker_refuse(losing->worker, losing->request, &refusal);
	else if (result->result < 0)
		worker_unavailable(losing->worker, losing->request);
	else
		WORKER_SEND(losing->worker, device_locked, -1, .request = losing->request, .sessions = result->sessions_ended,
			    .tunnels = result->tunnels_closed);
	worker_release(losing->worker);
}

/* The same words, whether there is no such device or it is another's. */
static void refuse_unknown(struct worker *worker, uint32_t request, const struct session *session, bool is_there, const char *name)
{
	struct refusal refusal = {.event = SELF_SERVICE_EVENT, .status = 404, .code = "not_found", .user = session->user,
				  .sentence = "You have no device of that name."};
	snprintf(refusal.detail, sizeof(refusal.detail), "%s is to be lost: %s", name,
		 is_there ? "it is not bound to this user by name" : "there is no such device");
	str_make_printable(refusal.detail);
	worker_refuse(worker, request, &refusal);
}

static void lose(struct worker *worker, uint32_t request, const struct session *session, const struct device *device)
{
	struct losing *losing = calloc(1, sizeof(*losing));
	struct audit_entry entry = {.code = ""};
	if (!losing) {
		worker_unavailable(worker, request);
		return;
	}
	losing->worker = worker;
	losing->request = request;
	str_copy(losing->user, sizeof(losing->user), session->user);
	str_copy(losing->device, sizeof(losing->device), device->name);
	worker_hold(worker);
	worker_fill_audit(worker, request, &entry);
	str_copy(entry.user, sizeof(entry.user), session->user);
	audit_fill(&entry, "device_lost", "declared lost by its user %s, on %s, and locked", session->user, worker->device->name);
	registry_lose(worker->broker,
		      &(struct registry_loss){.device = device, .entry = &entry, .answers_first = device == worker->device}, on_lost,
		      losing);
}

int self_service_lost(void *self, const struct worker_broker_device_lost *message, int *fd)
{
	struct worker *worker = self;
	char name[DEVICE_NAME_MAX + 1];
	(void)fd;
	if (view_to_string(message->device, name, sizeof(name)) < 0)
		return ERR_BAD_PEER;
	const struct session *session = self_service_session(worker, message->request, message->token);
	if (!session)
		return 0;
	const struct device *device = registry_device(&worker->broker->registry, name);
	if (!device || !device_is_own(device, session->user))
		refuse_unknown(worker, message->request, session, device != NULL, name);
	else
		lose(worker, message->request, session, device);
	return 0;
}

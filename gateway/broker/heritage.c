/* heritage.c: takes over the live workers of the broker before: those whose edge the monitor has kept, whom the former
 * broker's state names, and for whom registry, sessions and store vouch. All others are killed.
 *
 * Counterpart: handover.c. A worker notices no more than that answers come again.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "broker.h"
#include "handover.h"
#include "map.h"
#include "monitor_edge.h"
#include "pam_session.h"
#include "sallyport/clock.h"
#include "sallyport/edge/handover.h"
#include "sallyport/log.h"
#include "sallyport/own.h"
#include "sallyport/str.h"
#include "tunnel_record.h"
#include "tunnel_review.h"
#include "worker.h"

enum { STATE_BYTES_MAX = 1 << 30 };

/* The row of a tunnel that it has open. */
struct legacy {
	LIST_ENTRY(legacy) of_heir;
	uint64_t id, opened_at_ms;
	uint32_t port, request;
	char *session, *rule, *resource, *host, *address, *way, *form;
};

struct heir {
	LIST_ENTRY(heir) all;
	struct map_entry by_number, by_connection;
	uint64_t number;
	int edge;
	int state; /* 0: the former broker does not name it */
	uint32_t port;
	char connection[WORKER_CONNECTION_CHARACTERS + 1], device[33], suite[65], address[65];
	uint8_t fingerprint[FINGERPRINT_BYTES];
	json_t *feeds; /* borrowed from the state */
	LIST_HEAD(, legacy) tunnels;
};

/* The socket of a tunnel's target; or the edge of a session's PAM session. */
struct copy {
	uint64_t number;
	int fd;
};

struct copies {
	struct copy *list; /* by number */
	size_t count;
};

struct heritage {
	LIST_HEAD(, heir) heirs;
	struct map numbers, connections;
	struct copies targets, pam_sessions;
	json_t *state;
	unsigned count;
};

/* ---- memory ---- */

static void legacy_free(struct legacy *legacy)
{
	if (!legacy)
		return;
	free(legacy->session);
	free(legacy->rule);
	free(legacy->resource);
	free(legacy->host);
	free(legacy->address);
	free(legacy->way);
	free(legacy->form);
	free(legacy);
}

static void heir_free(struct heir *heir)
{
	struct legacy *legacy;
	while ((legacy = LIST_FIRST(&heir->tunnels))) {
		LIST_REMOVE(legacy, of_heir);
		legacy_free(legacy);
	}
	if (heir->edge >= 0)
		close(heir->edge);
	free(heir);
}

static void copies_fini(struct copies *copies)
{
	for (size_t i = 0; i < copies->count; i++)
		if (copies->list[i].fd >= 0)
			close(copies->list[i].fd);
	free(copies->list);
}

static void heritage_free(struct heritage *heritage)
{
	struct heir *heir;
	if (!heritage)
		return;
	while ((heir = LIST_FIRST(&heritage->heirs))) {
		LIST_REMOVE(heir, all);
		heir_free(heir);
	}
	copies_fini(&heritage->targets);
	copies_fini(&heritage->pam_sessions);
	map_fini(&heritage->numbers);
	map_fini(&heritage->connections);
	json_decref(heritage->state);
	free(heritage);
}
DEFINE_OWN(heritage, struct heritage *, heritage_free)

/* ---- what the monitor has ---- */

static int take_edges(struct room *room, struct heritage *heritage)
{
	struct room_descriptor *found;
	size_t position = 0;
	while ((found = room_descriptor(room, MONITOR_ROOM_PURPOSE_KEPT_EDGE, &position))) {
		struct heir *heir = calloc(1, sizeof(*heir));
		if (!heir)
			return ERR_SYSTEM;
		heir->number = strtoull(found->name, NULL, 10);
		heir->edge = take_fd(&found->fd);
		LIST_INSERT_HEAD(&heritage->heirs, heir, all);
		map_add(&heritage->numbers, &heir->by_number, view_of(&heir->number, sizeof(heir->number)));
		heritage->count++;
	}
	return 0;
}

static int compare_copies(const void *one, const void *other)
{
	uint64_t left = ((const struct copy *)one)->number, right = ((const struct copy *)other)->number;
	return left < right ? -1 : left > right;
}

static int take_copies(struct room *room, const char *purpose, struct copies *copies)
{
	struct room_descriptor *found;
	size_t position = 0;
	copies->list = calloc(room->descriptor_count + 1, sizeof(*copies->list));
	if (!copies->list)
		return ERR_SYSTEM;
	while ((found = room_descriptor(room, purpose, &position)))
		copies->list[copies->count++] = (struct copy){.number = strtoull(found->name, NULL, 10), .fd = take_fd(&found->fd)};
	qsort(copies->list, copies->count, sizeof(*copies->list), compare_copies);
	return 0;
}

static int take_copy(struct copies *copies, uint64_t number)
{
	const struct copy wanted = {.number = number};
	struct copy *found = bsearch(&wanted, copies->list, copies->count, sizeof(*copies->list), compare_copies);
	return found ? take_fd(&found->fd) : -1;
}

/* ---- the former broker's word ---- */

static bool read_facts(json_t *item, struct heritage *heritage)
{
	json_int_t number = 0;
	int state = 0, port = 0;
	const char *connection, *device, *fingerprint, *suite, *address;
	json_t *feeds;
	if (json_unpack(item, "{s:I, s:i, s:s, s:s, s:s, s:s, s:s, s:i, s:o}", "number", &number, "state", &state, "connection",
			&connection, "device", &device, "fingerprint", &fingerprint, "suite", &suite, "address", &address, "port",
			&port, "feeds", &feeds) < 0)
		return false;
	uint64_t key = (uint64_t)number;
	struct heir *heir = MAP_FIND(&heritage->numbers, view_of(&key, sizeof(key)), struct heir, by_number);
	if (!heir || heir->state)
		return true;
	if (!(state & (WORKER_BROKER_DEVICE | WORKER_BROKER_HOST)) ||
	    !str_copy(heir->connection, sizeof(heir->connection), connection) ||
	    !str_copy(heir->device, sizeof(heir->device), device) || !str_copy(heir->suite, sizeof(heir->suite), suite) ||
	    !str_copy(heir->address, sizeof(heir->address), address) ||
	    str_from_hex(view_string(fingerprint), heir->fingerprint, sizeof(heir->fingerprint)) < 0)
		return false;
	heir->state = state;
	heir->port = (uint32_t)port;
	heir->feeds = feeds;
	map_add(&heritage->connections, &heir->by_connection, view_string(heir->connection));
	return true;
}

static int read_state(struct room *room, struct heritage *heritage, struct diag *diag)
{
	OWN_BUF struct buf text = BUF_INIT(STATE_BYTES_MAX);
	json_int_t protocol = 0;
	int result = room_read_descriptor(room, MONITOR_ROOM_PURPOSE_KEPT_STATE, &text, NULL, diag);
	if (result < 0)
		return result;
	heritage->state = json_loadb((const char *)text.data, text.size, 0, NULL);
	if (!heritage->state || json_unpack(heritage->state, "{s:I}", "protocol", &protocol) < 0)
		return diag_set(diag, ERR_BAD_INPUT, "what the former broker has left cannot be read");
	if (protocol != handover_protocol())
		return diag_set(diag, ERR_BAD_INPUT, "live connections are of another hand-over protocol than this version");
	json_t *workers = json_object_get(heritage->state, "workers");
	for (size_t i = 0; i < json_array_size(workers); i++)
		if (!read_facts(json_array_get(workers, i), heritage))
			return diag_set(diag, ERR_BAD_INPUT, "what the former broker has left makes no sense");
	return 0;
}

static bool has_any(struct room *room)
{
	size_t state = 0, edge = 0;
	return room_descriptor(room, MONITOR_ROOM_PURPOSE_KEPT_STATE, &state) ||
	       room_descriptor(room, MONITOR_ROOM_PURPOSE_KEPT_EDGE, &edge);
}

int heritage_take(struct broker *broker, struct heritage **out_heritage, struct diag *diag)
{
	struct room *room = broker->room;
	if (!has_any(room))
		return 0;
	OWN(own_heritage) struct heritage *heritage = calloc(1, sizeof(*heritage));
	if (!heritage || map_init(&heritage->numbers) < 0 || map_init(&heritage->connections) < 0 ||
	    take_edges(room, heritage) < 0 || take_copies(room, MONITOR_ROOM_PURPOSE_KEPT_TARGET, &heritage->targets) < 0 ||
	    take_copies(room, MONITOR_ROOM_PURPOSE_KEPT_PAM_SESSION, &heritage->pam_sessions) < 0)
		return diag_system(diag, "memory");
	/* Without a word that is understood, they are known by their numbers only: enough to end them. */
	if (read_state(room, heritage, diag) < 0) {
		struct heir *heir;
		log_error("%s; they are closed", diag->text);
		LIST_FOREACH(heir, &heritage->heirs, all) {
			if (heir->state)
				map_remove(&heritage->connections, &heir->by_connection);
			heir->state = 0;
		}
	}
	*out_heritage = take_pointer(&heritage);
	return 0;
}

/* ---- the store's word ---- */

struct sieve {
	struct heritage *heritage;
	uint64_t *lost;
	size_t lost_count, capacity;
};

static int note_lost(struct sieve *sieve, uint64_t id, struct diag *diag)
{
	if (sieve->lost_count == sieve->capacity) {
		size_t capacity = sieve->capacity ? 2 * sieve->capacity : 64;
		uint64_t *grown = reallocarray(sieve->lost, capacity, sizeof(*grown));
		if (!grown)
			return diag_system(diag, "memory");
		sieve->lost = grown;
		sieve->capacity = capacity;
	}
	sieve->lost[sieve->lost_count++] = id;
	return 0;
}

/* "CONNECTION-REQUEST" */
static uint32_t request_of(const char *request_id)
{
	const char *dash = strrchr(request_id, '-');
	return dash ? (uint32_t)strtoul(dash + 1, NULL, 10) : 0;
}

static int note_kept(struct heir *heir, const struct store_row *row, struct diag *diag)
{
	struct legacy *legacy = calloc(1, sizeof(*legacy));
	if (!legacy)
		return diag_system(diag, "memory");
	*legacy = (struct legacy){.id = (uint64_t)store_row_number(row, 0), .session = strdup(store_row_text(row, 1)),
				  .rule = strdup(store_row_text(row, 3)), .resource = strdup(store_row_text(row, 4)),
				  .host = strdup(store_row_text(row, 5)), .port = (uint32_t)store_row_number(row, 6),
				  .address = strdup(store_row_text(row, 7)), .opened_at_ms = (uint64_t)store_row_number(row, 8),
				  .request = request_of(store_row_text(row, 10)), .way = strdup(store_row_text(row, 11)),
				  .form = strdup(store_row_text(row, 12))};
	LIST_INSERT_HEAD(&heir->tunnels, legacy, of_heir);
	if (!legacy->session || !legacy->rule || !legacy->resource || !legacy->host || !legacy->address || !legacy->way || !legacy->form)
		return diag_system(diag, "memory");
	return 0;
}

static int sift_row(void *self, const struct store_row *row, struct diag *diag)
{
	struct sieve *sieve = self;
	struct heir *heir = sieve->heritage ? MAP_FIND(&sieve->heritage->connections, view_string(store_row_text(row, 9)),
						       struct heir, by_connection)
					    : NULL;
	if (!heir || strcmp(heir->device, store_row_text(row, 2)) != 0)
		return note_lost(sieve, (uint64_t)store_row_number(row, 0), diag);
	return note_kept(heir, row, diag);
}

int heritage_sift(struct heritage *heritage, struct store_db *db, uint64_t *out_closed, struct diag *diag)
{
	struct sieve sieve = {.heritage = heritage};
	int result = STORE_QUERY_ALL(db, diag, tunnel_open_all, sift_row, &sieve);
	for (size_t i = 0; result == 0 && i < sieve.lost_count; i++)
		result = STORE_RUN(db, diag, tunnel_close_lost, NUMBER(clock_wall_ms()), TEXT("gateway_restarted"),
				   NUMBER(sieve.lost[i]));
	free(sieve.lost);
	*out_closed = sieve.lost_count;
	return result;
}

/* ---- entering ---- */

/* A session that has ended meanwhile has ended its tunnels. */
static void close_row(struct broker *broker, const struct heir *heir, const struct legacy *legacy)
{
	struct tunnel_end end = {.id = legacy->id, .reason = "gateway_restarted"};
	snprintf(end.entry.request_id, sizeof(end.entry.request_id), "%s-%u", heir->connection, legacy->request);
	audit_fill(&end.entry, "tunnel_closed", "tunnel %" PRIu64 " to %s:%u: its connection was not taken over", legacy->id,
		   legacy->host, legacy->port);
	tunnel_record_end(broker, &end);
}

static void refuse(struct broker *broker, const struct heir *heir)
{
	const struct legacy *legacy;
	LIST_FOREACH(legacy, &heir->tunnels, of_heir)
		close_row(broker, heir, legacy);
	log_warning("worker %" PRIu64 " is not taken over: killed", heir->number);
	monitor_kill_worker(broker, heir->number);
}

/* Door one was passed before; what was revoked since, while nobody was there, counts now. */
static struct device *device_of(const struct broker *broker, const struct heir *heir)
{
	const struct certificate *certificate =
		registry_certificate(&broker->registry, view_of(heir->fingerprint, sizeof(heir->fingerprint)));
	struct device *device = registry_device_by_id(&broker->registry, heir->device);
	const char *code, *sentence;
	bool is_good = device && device->state == DEVICE_ACTIVE && certificate && certificate->device == device &&
		       certificate->state != CERTIFICATE_REVOKED && device->is_host == (heir->state == WORKER_BROKER_HOST) &&
		       issuers_judge(&broker->issuers, certificate, clock_wall_ms(), &code, &sentence) == 0;
	return is_good ? device : NULL;
}

static bool sessions_live(const struct broker *broker, const struct heir *heir, const struct device *device)
{
	const struct legacy *legacy;
	LIST_FOREACH(legacy, &heir->tunnels, of_heir) {
		const struct session *session = session_find(&broker->sessions, legacy->session);
		if (!session || session->ended_at_ms || session->device != device)
			return false;
	}
	return true;
}

static void inherit_feeds(struct worker *worker, const struct heir *heir)
{
	for (size_t i = 0; i < json_array_size(heir->feeds); i++) {
		json_int_t request = 0;
		const char *id = "";
		(void)json_unpack(json_array_get(heir->feeds, i), "{s:I, s:s}", "request", &request, "session", &id);
		struct session *session = session_find(&worker->broker->sessions, id);
		if (session && !session->ended_at_ms && session->device == worker->device)
			events_inherit(worker, session, (uint32_t)request);
	}
}

static bool inherit_tunnels(struct worker *worker, struct heritage *heritage, struct heir *heir)
{
	struct legacy *legacy;
	while ((legacy = LIST_FIRST(&heir->tunnels))) {
		const struct tunnel_row row = {.id = legacy->id, .opened_at_ms = legacy->opened_at_ms, .port = legacy->port,
					       .rule = legacy->rule, .resource = legacy->resource, .host = legacy->host,
					       .address = legacy->address, .way = legacy->way, .form = legacy->form};
		if (!tunnel_inherit(worker, session_find(&worker->broker->sessions, legacy->session), legacy->request, &row,
				    take_copy(&heritage->targets, legacy->id)))
			return false;
		LIST_REMOVE(legacy, of_heir);
		legacy_free(legacy);
	}
	return true;
}

static struct worker *make_worker(struct broker *broker, struct heir *heir, struct device *device)
{
	struct worker *worker = worker_connect(broker, heir->number, take_fd(&heir->edge));
	if (!worker)
		return NULL;
	str_copy(worker->connection, sizeof(worker->connection), heir->connection);
	str_copy(worker->address, sizeof(worker->address), heir->address);
	str_copy(worker->suite, sizeof(worker->suite), heir->suite);
	memcpy(worker->fingerprint, heir->fingerprint, sizeof(worker->fingerprint));
	worker->port = heir->port;
	worker->state = (enum worker_broker_state)heir->state;
	worker->returning = worker->state == WORKER_BROKER_RETURNING;
	worker->device = device;
	LIST_INSERT_HEAD(&device->workers, worker, of_device);
	worker->counted = true;
	broker->workers->accepted++;
	return worker;
}

static bool adopt(struct broker *broker, struct heritage *heritage, struct heir *heir)
{
	struct device *device = heir->state ? device_of(broker, heir) : NULL;
	struct worker *worker = device && sessions_live(broker, heir, device) ? make_worker(broker, heir, device) : NULL;
	if (!worker)
		return false;
	if (!inherit_tunnels(worker, heritage, heir)) {
		worker_kill(worker, "gateway_restarted");
		return false;
	}
	inherit_feeds(worker, heir);
	WORKER_SEND(worker, adopted, -1);
	return true;
}

/* Those of sessions that have ended meanwhile close with their edges. */
static void inherit_pam_sessions(struct broker *broker, struct heritage *heritage)
{
	struct session *session;
	LIST_FOREACH(session, &broker->sessions.live, all) {
		int fd = take_copy(&heritage->pam_sessions, session->number);
		if (fd >= 0)
			pam_session_inherit(broker, session, fd);
	}
}

void heritage_enter(struct broker *broker)
{
	OWN(own_heritage) struct heritage *heritage = take_pointer(&broker->heritage);
	struct audit_entry entry = {.code = ""};
	struct heir *heir;
	unsigned adopted = 0;
	if (!heritage)
		return;
	inherit_pam_sessions(broker, heritage);
	LIST_FOREACH(heir, &heritage->heirs, all)
		if (adopt(broker, heritage, heir))
			adopted++;
		else
			refuse(broker, heir);
	log_notice("%u of %u live connections are taken over, with %u tunnels", adopted, heritage->count,
		   broker->tunnels.live_count);
	audit_fill(&entry, "connections_kept", "%u of %u live connections are taken over, with %u tunnels", adopted,
		   heritage->count, broker->tunnels.live_count);
	audit_record(broker, &entry, NULL, NULL);
	/* What was tightened meanwhile counts now. */
	tunnels_judge_all(broker);
}

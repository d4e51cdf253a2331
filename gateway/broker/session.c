/* session.c: sessions in memory, their leases, and the acts of an admin on them. */
#include "session.h"

#include <stdlib.h>
#include <string.h>

#include "broker.h"
#include "ending.h"
#include "hash.h"
#include "pam_session.h"
#include "sallyport/clock.h"
#include "sallyport/log.h"
#include "sallyport/own.h"
#include "sallyport/realm.h"
#include "sallyport/str.h"
#include "session_memory.h"

/* How long an ended session is remembered, so that its token is told apart. */
enum { REMEMBER_MS = 60 * 60 * 1000 };
/* The wall clock may jump: leases are looked at this often at least. */
enum { LOOK_MS = 500 };

/* ---- memory ---- */

void session_free(struct session *session)
{
	if (!session)
		return;
	pam_session_close(session);
	free(session->user);
	free(session);
}

void session_attach(struct sessions *sessions, struct session *session)
{
	LIST_INSERT_HEAD(&sessions->live, session, all);
	LIST_INSERT_HEAD(&session->device->sessions, session, of_device);
	map_add(&sessions->tokens, &session->by_token, view_of(session->token_hash, sizeof(session->token_hash)));
	map_add(&sessions->ids, &session->by_id, view_string(session->id));
	if (session->has_browser_token)
		map_add(&sessions->browser_tokens, &session->by_browser_token,
			view_of(session->browser_token_hash, sizeof(session->browser_token_hash)));
	sessions->live_count++;
	if (sessions->last_number < session->number)
		sessions->last_number = session->number;
}

static void drop_browser_token(struct sessions *sessions, struct session *session)
{
	if (session->has_browser_token)
		map_remove(&sessions->browser_tokens, &session->by_browser_token);
	session->has_browser_token = false;
}

void session_set_browser_token(struct sessions *sessions, struct session *session, const uint8_t *hash)
{
	drop_browser_token(sessions, session);
	memcpy(session->browser_token_hash, hash, sizeof(session->browser_token_hash));
	session->has_browser_token = true;
	map_add(&sessions->browser_tokens, &session->by_browser_token,
		view_of(session->browser_token_hash, sizeof(session->browser_token_hash)));
}

void session_mark_ended(struct sessions *sessions, struct session *session, const char *reason)
{
	if (session->ended_at_ms)
		return;
	session->ended_at_ms = clock_wall_ms();
	session->end_reason = reason;
	events_session_ended(session, reason);
	pam_session_close(session);
	LIST_REMOVE(session, all);
	LIST_REMOVE(session, of_device);
	LIST_INSERT_HEAD(&sessions->ended, session, all);
	sessions->live_count--;
}

static void forget(struct sessions *sessions, struct session *session)
{
	LIST_REMOVE(session, all);
	map_remove(&sessions->tokens, &session->by_token);
	map_remove(&sessions->ids, &session->by_id);
	drop_browser_token(sessions, session);
	session_free(session);
}

struct session *session_find(const struct sessions *sessions, const char *id)
{
	return MAP_FIND(&sessions->ids, view_string(id), struct session, by_id);
}

bool session_is_live(const struct session *session, uint64_t now_ms)
{
	/* A clock that is set back extends nothing. */
	return !session->ended_at_ms && now_ms < session->expires_at_ms &&
	       (int64_t)clock_monotonic_ms() < session->lease_end_ms;
}

struct session *session_of_token(const struct sessions *sessions, struct view token)
{
	uint8_t hash[HASH_BYTES];
	if (token.size != SESSION_TOKEN_CHARACTERS)
		return NULL;
	hash_sha256(token, hash);
	return MAP_FIND(&sessions->tokens, view_of(hash, sizeof(hash)), struct session, by_token);
}

/* ---- loading ---- */

static int64_t newest_row_ms; /* while loading */

/* The wall clock of the start, or the newest row of the record, whichever is later: a clock that was set back while
 * the gateway stood still makes no session younger. */
static void set_ages(struct session *session)
{
	int64_t wall_ms = (int64_t)clock_wall_ms(), last_ms = newest_row_ms;
	int64_t behind_ms = (int64_t)clock_monotonic_ms() - (wall_ms > last_ms ? wall_ms : last_ms);
	session->began_at_ms = session->login_at_ms = (int64_t)session->created_at_ms + behind_ms;
	session->lease_end_ms = (int64_t)session->expires_at_ms + behind_ms;
}

static void fill(struct session *session, const struct store_row *row)
{
	str_copy(session->id, sizeof(session->id), store_row_text(row, 0));
	session->number = (uint64_t)store_row_number(row, 1);
	session->created_at_ms = (uint64_t)store_row_number(row, 5);
	session->expires_at_ms = (uint64_t)store_row_number(row, 6);
	str_copy(session->address, sizeof(session->address), store_row_text(row, 7));
	str_copy(session->connection, sizeof(session->connection), store_row_text(row, 8));
	str_copy(session->realm, sizeof(session->realm), store_row_text(row, 9));
	session->portal = store_row_number(row, 10) != 0;
	set_ages(session);
}

/* A hash that the store keeps in hexadecimal. */
static bool take_hash(const struct store_row *row, int column, uint8_t *out_hash)
{
	return str_from_hex(view_string(store_row_text(row, column)), out_hash, HASH_BYTES) == 0;
}

static int take_session(void *self, const struct store_row *row, struct diag *diag)
{
	struct sessions *sessions = self;
	struct session *session = calloc(1, sizeof(*session));
	if (!session)
		return diag_system(diag, "memory");
	fill(session, row);
	session->user = strdup(store_row_text(row, 4));
	session->device = registry_device_by_id(&sessions->broker->registry, store_row_text(row, 3));
	session->has_browser_token = *store_row_text(row, 11) != 0;
	if (!session->user || !session->device || !take_hash(row, 2, session->token_hash) ||
	    (session->has_browser_token && !take_hash(row, 11, session->browser_token_hash))) {
		session_free(session);
		return diag_set(diag, ERR_SYSTEM, "the session %s is damaged in the store", store_row_text(row, 0));
	}
	session_attach(sessions, session);
	return 0;
}

static int take_number(void *self, const struct store_row *row, struct diag *diag)
{
	(void)diag;
	*(uint64_t *)self = (uint64_t)store_row_number(row, 0);
	return 0;
}

static int load(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	struct sessions *sessions = operation->context;
	uint64_t newest_ms = 0;
	int result = STORE_QUERY_ALL(db, diag, session_newest_row, take_number, &newest_ms);
	newest_row_ms = (int64_t)newest_ms;
	if (result == 0)
		result = STORE_QUERY_ALL(db, diag, session_live, take_session, sessions);
	return result < 0 ? result : STORE_QUERY_ALL(db, diag, session_last_number, take_number, &sessions->last_number);
}

int sessions_load(struct sessions *sessions, struct broker *broker, struct diag *diag)
{
	*sessions = (struct sessions){.broker = broker};
	if (map_init(&sessions->tokens) < 0 || map_init(&sessions->ids) < 0 || map_init(&sessions->browser_tokens) < 0)
		return diag_system(diag, "memory");
	struct store_operation operation = {.work = load, .context = sessions};
	return store_now(broker->store, &operation, diag);
}

bool session_breaks_glass(const struct broker *broker, const struct session *session)
{
	struct realm realm;
	return realm_find(broker->room->conf.realm, view_string(session->realm), &realm) && realm.break_glass;
}

/* ---- ending one ---- */

struct session_end {
	struct store_operation operation;
	struct ending ending;
	struct session *session;
	const char *reason;
	struct audit_entry entry;
	session_end_done done;
	void *context;
};

static void on_tunnels_ended(struct ending *ending)
{
	OWN_MEMORY struct session_end *end = ending->context;
	end->session->holds--;
	end->session->is_ending = false;
	if (end->done)
		end->done(end->context, 0, NULL, ending->tunnels);
}

static int record_end(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	struct session_end *end = operation->context;
	int result = STORE_RUN(db, diag, session_end, NUMBER(clock_wall_ms()), TEXT(end->reason), TEXT(end->session->id));
	return result < 0 ? result : audit_append(db, &end->entry, diag);
}

static void end_tunnels(struct session_end *end)
{
	struct broker *broker = end->ending.broker;
	end->ending.context = end;
	ending_begin(&end->ending, broker, end->reason, on_tunnels_ended);
	ending_add_session(&end->ending, end->session);
	ending_commit(&end->ending);
}

static void give_up(struct session_end *end, int result, const struct diag *diag)
{
	end->session->holds--;
	end->session->is_ending = false;
	if (end->done)
		end->done(end->context, result, diag, 0);
	free(end);
}

/* A lease that is over is over, also when the record cannot be written: its tunnels close now, and the row is tried again. Whoever
 * waits for an answer is told that it was not done. */
static void on_end_recorded(struct store_operation *operation, int result, const struct diag *diag)
{
	struct session_end *end = operation->context;
	if (result < 0 && (end->done || session_is_live(end->session, clock_wall_ms()))) {
		give_up(end, result, diag);
		return;
	}
	if (result == 0)
		session_mark_ended(&end->ending.broker->sessions, end->session, end->reason);
	end_tunnels(end);
}

void session_finish(struct broker *broker, struct session *session, const char *reason, const struct audit_entry *entry,
		    session_end_done done, void *context)
{
	struct session_end *end = calloc(1, sizeof(*end));
	if (!end) {
		struct diag diag;
		if (done)
			done(context, diag_system(&diag, "memory"), &diag, 0);
		return;
	}
	*end = (struct session_end){.operation = {.work = record_end, .done = on_end_recorded, .context = end},
				    .ending = {.broker = broker}, .session = session, .reason = reason, .entry = *entry,
				    .done = done, .context = context};
	session->holds++;
	session->is_ending = true;
	store_submit(broker->store, &end->operation);
}

void session_fill_audit(const struct session *session, struct audit_entry *entry)
{
	str_copy(entry->device, sizeof(entry->device), session->device->name);
	str_copy(entry->user, sizeof(entry->user), session->user);
	str_copy(entry->address, sizeof(entry->address), session->address);
}

/* ---- leases ---- */

static void expire(struct broker *broker, struct session *session)
{
	struct audit_entry entry = {.code = "lease_expired"};
	int64_t now_ms = (int64_t)clock_monotonic_ms();
	/* It stays over, also when the clock goes back before that stands in the record. */
	if (session->lease_end_ms > now_ms)
		session->lease_end_ms = now_ms;
	session_fill_audit(session, &entry);
	audit_fill(&entry, "session_ended", "the lease of session %s has ended", session->id);
	session_finish(broker, session, "lease_expired", &entry, NULL, NULL);
}

static void on_lease_timer(uv_timer_t *timer)
{
	struct sessions *sessions = timer->data;
	uint64_t now_ms = clock_wall_ms();
	struct session *session, *next;
	for (session = LIST_FIRST(&sessions->live); session; session = next) {
		next = LIST_NEXT(session, all);
		if (!session_is_live(session, now_ms) && !session->is_ending)
			expire(sessions->broker, session);
	}
	for (session = LIST_FIRST(&sessions->ended); session; session = next) {
		next = LIST_NEXT(session, all);
		if (session->ended_at_ms + REMEMBER_MS < now_ms && session->holds == 0 && session->tunnel_count == 0)
			forget(sessions, session);
	}
}

int sessions_start(struct sessions *sessions, uv_loop_t *loop)
{
	if (uv_timer_init(loop, &sessions->lease_timer) < 0)
		return ERR_SYSTEM;
	sessions->lease_timer.data = sessions;
	return uv_timer_start(&sessions->lease_timer, on_lease_timer, 0, LOOK_MS) < 0 ? ERR_SYSTEM : 0;
}

/* ---- an admin's act ---- */

struct end_act {
	struct store_operation operation; /* only to answer later when there is nothing to end */
	act_done done;
	void *context;
	struct act_result result;
};

static void answer(struct end_act *act)
{
	act->done(act->context, &act->result);
	free(act);
}

static void on_nothing(struct store_operation *operation, int result, const struct diag *diag)
{
	(void)result, (void)diag;
	answer(operation->context);
}

static void on_ended_by_admin(void *context, int result, const struct diag *diag, unsigned tunnels)
{
	struct end_act *act = context;
	act->result.result = result;
	if (diag)
		act->result.diag = *diag;
	act->result.sessions_ended = result == 0;
	act->result.tunnels_closed = tunnels;
	answer(act);
}

void session_end_by_admin(struct broker *broker, const char *id, const struct act_by *by, act_done done, void *context)
{
	struct session *session = session_find(&broker->sessions, id);
	struct end_act *act = calloc(1, sizeof(*act));
	if (!act) {
		struct act_result result;
		result.result = diag_system(&result.diag, "memory");
		done(context, &result);
		return;
	}
	act->done = done;
	act->context = context;
	if (!session || session->ended_at_ms) {
		act->operation = (struct store_operation){.done = on_nothing, .context = act};
		act->result.result = diag_set(&act->result.diag, ERR_NOT_FOUND, "there is no live session \"%s\"", id);
		store_submit(broker->store, &act->operation);
		return;
	}
	struct audit_entry entry = {.code = ""};
	session_fill_audit(session, &entry);
	str_copy(entry.address, sizeof(entry.address), "admin");
	audit_fill(&entry, "session_ended", "session %s was ended by %s", session->id, by->admin);
	session_finish(broker, session, "ended_by_admin", &entry, on_ended_by_admin, act);
}

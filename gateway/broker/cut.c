/* cut.c: ending many sessions or tunnels by one word of an admin. */
#include "cut.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "broker.h"
#include "ending.h"
#include "sallyport/str.h"
#include "session_memory.h"

#define REASON "ended_by_admin"

struct cutting {
	struct broker *broker;
	struct store_operation flush;
	struct ending ending;
	unsigned waiting; /* sessions whose end is not over */
	uint64_t *tunnels; /* ids: some may be gone when the record is written */
	size_t tunnel_count;
	act_done done;
	void *context;
	struct act_result result;
};

static struct cutting *cutting_new(struct broker *broker, act_done done, void *context)
{
	struct cutting *cutting = calloc(1, sizeof(*cutting));
	if (!cutting) {
		struct act_result failed = {.result = 0};
		failed.result = diag_system(&failed.diag, "memory");
		done(context, &failed);
		return NULL;
	}
	cutting->broker = broker;
	cutting->done = done;
	cutting->context = context;
	return cutting;
}

static void on_flushed(struct store_operation *operation, int result, const struct diag *diag)
{
	struct cutting *cutting = operation->context;
	(void)result, (void)diag;
	cutting->done(cutting->context, &cutting->result);
	free(cutting->tunnels);
	free(cutting);
}

/* Later, never from inside: also when there was nothing to do. */
static void finish(struct cutting *cutting)
{
	cutting->flush = (struct store_operation){.done = on_flushed, .context = cutting};
	store_submit(cutting->broker->store, &cutting->flush);
}

/* ---- what fits ---- */

static bool fits(const char *wanted, const char *name)
{
	return !wanted || strcmp(wanted, name) == 0;
}

static bool fits_tunnel(const struct cut *cut, const struct tunnel *tunnel)
{
	return (!cut->tunnel || cut->tunnel == tunnel->id) && fits(cut->session, tunnel->session->id) &&
	       fits(cut->user, tunnel->session->user) && fits(cut->device, tunnel->session->device->name) &&
	       fits(cut->resource, tunnel->resource ? tunnel->resource : "") && !tunnel->end_reason;
}

static bool reaches(const struct session *session, const char *resource)
{
	const struct tunnel *tunnel;
	LIST_FOREACH(tunnel, &session->tunnels, of_session)
		if (tunnel->resource && strcmp(tunnel->resource, resource) == 0)
			return true;
	return false;
}

static bool fits_session(const struct cut *cut, const struct session *session)
{
	return fits(cut->user, session->user) && fits(cut->device, session->device->name) &&
	       (!cut->resource || reaches(session, cut->resource)) && !session->is_ending;
}

/* ---- sessions ---- */

static void leave(struct cutting *cutting)
{
	if (--cutting->waiting == 0)
		finish(cutting);
}

static void on_session_ended(void *context, int result, const struct diag *diag, unsigned tunnels)
{
	struct cutting *cutting = context;
	if (result < 0) {
		cutting->result.result = result;
		cutting->result.diag = *diag;
	} else {
		cutting->result.sessions_ended++;
		cutting->result.tunnels_closed += tunnels;
	}
	leave(cutting);
}

static void end_session(struct cutting *cutting, struct session *session, const struct act_by *by)
{
	struct audit_entry entry = {.code = ""};
	session_fill_audit(session, &entry);
	str_copy(entry.address, sizeof(entry.address), "admin");
	audit_fill(&entry, "session_ended", "session %s was ended by %s", session->id, by->admin);
	cutting->waiting++;
	session_finish(cutting->broker, session, REASON, &entry, on_session_ended, cutting);
}

void cut_sessions(struct broker *broker, const struct cut *cut, const struct act_by *by, act_done done, void *context)
{
	struct cutting *cutting = cutting_new(broker, done, context);
	struct session *session, *next;
	if (!cutting)
		return;
	cutting->waiting = 1;
	for (session = LIST_FIRST(&broker->sessions.live); session; session = next) {
		next = LIST_NEXT(session, all);
		if (fits_session(cut, session))
			end_session(cutting, session, by);
	}
	leave(cutting);
}

/* ---- tunnels ---- */

static int choose_tunnels(struct cutting *cutting, const struct cut *cut)
{
	const struct tunnel *tunnel;
	cutting->tunnels = calloc(cutting->broker->tunnels.live_count + 1, sizeof(*cutting->tunnels));
	if (!cutting->tunnels)
		return diag_system(&cutting->result.diag, "memory");
	LIST_FOREACH(tunnel, &cutting->broker->tunnels.live, all)
		if (fits_tunnel(cut, tunnel))
			cutting->tunnels[cutting->tunnel_count++] = tunnel->id;
	if (cut->tunnel && !cutting->tunnel_count)
		return diag_set(&cutting->result.diag, ERR_NOT_FOUND, "there is no live tunnel %" PRIu64, cut->tunnel);
	return 0;
}

static void on_tunnels_ended(struct ending *ending)
{
	struct cutting *cutting = ending->context;
	cutting->result.tunnels_closed = ending->tunnels;
	finish(cutting);
}

static void on_recorded(void *context, int result, const struct diag *diag)
{
	struct cutting *cutting = context;
	if (result < 0) {
		cutting->result.result = result;
		cutting->result.diag = *diag;
		finish(cutting);
		return;
	}
	cutting->ending.context = cutting;
	ending_begin(&cutting->ending, cutting->broker, REASON, on_tunnels_ended);
	for (size_t i = 0; i < cutting->tunnel_count; i++) {
		struct tunnel *tunnel = tunnel_find(&cutting->broker->tunnels, cutting->tunnels[i]);
		if (tunnel && !tunnel->end_reason)
			ending_add_tunnel(&cutting->ending, tunnel);
	}
	ending_commit(&cutting->ending);
}

static const char *shown(const char *wanted)
{
	return wanted ? wanted : "any";
}

void cut_tunnels(struct broker *broker, const struct cut *cut, const struct act_by *by, act_done done, void *context)
{
	struct cutting *cutting = cutting_new(broker, done, context);
	if (!cutting)
		return;
	cutting->result.result = choose_tunnels(cutting, cut);
	if (cutting->result.result < 0 || cutting->tunnel_count == 0) {
		finish(cutting);
		return;
	}
	struct audit_entry entry = {.code = ""};
	str_copy(entry.user, sizeof(entry.user), cut->user ? cut->user : "");
	str_copy(entry.device, sizeof(entry.device), cut->device ? cut->device : "");
	str_copy(entry.address, sizeof(entry.address), "admin");
	audit_fill(&entry, "tunnels_ended", "%zu tunnels were ended by %s (session %s, resource %s, the first is %" PRIu64 ")",
		   cutting->tunnel_count, by->admin, shown(cut->session), shown(cut->resource), cutting->tunnels[0]);
	str_make_printable(entry.user);
	str_make_printable(entry.device);
	str_make_printable(entry.detail);
	audit_record(broker, &entry, on_recorded, cutting);
}

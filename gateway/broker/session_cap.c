/* session_cap.c: caps on concurrent sessions. A session whose end is on its way to the disk counts no more. */
#include "session_cap.h"

#include <string.h>

#include "broker.h"
#include "session_memory.h"

/* Sessions of one user, or of one device. */
struct scope {
	const char *user, *realm;    /* of one person; NULL: any */
	const struct device *device; /* NULL: any */
	uint64_t most;
};

static bool has(const struct scope *scope, const struct session *session)
{
	return !session->is_ending && (!scope->user || (strcmp(scope->user, session->user) == 0 && strcmp(scope->realm, session->realm) == 0)) &&
	       (!scope->device || scope->device == session->device);
}

static uint64_t count(const struct broker *broker, const struct scope *scope, const struct session *except)
{
	const struct session *session;
	uint64_t found = 0;
	LIST_FOREACH(session, &broker->sessions.live, all)
		found += session != except && has(scope, session);
	return found;
}

bool session_cap_refuses(const struct broker *broker, const struct session *wanted)
{
	const struct conf *conf = &broker->room->conf;
	const struct scope of_user = {.user = wanted->user, .realm = wanted->realm, .most = conf->sessions_per_user};
	const struct scope of_device = {.device = wanted->device, .most = conf->sessions_per_device};
	/* The door for emergencies has no queue. */
	return strcmp(conf->sessions_full, "refuse") == 0 && !session_breaks_glass(broker, wanted) &&
	       (count(broker, &of_user, wanted) >= of_user.most || count(broker, &of_device, wanted) >= of_device.most);
}

/* Who works keeps his session as long as another one can go. */
static bool goes_before(const struct session *session, const struct session *other)
{
	if (!other || !session->tunnel_count != !other->tunnel_count)
		return !other || !session->tunnel_count;
	return session->number < other->number;
}

static struct session *oldest(const struct broker *broker, const struct scope *scope, const struct session *newest)
{
	struct session *session, *found = NULL;
	LIST_FOREACH(session, &broker->sessions.live, all)
		if (session != newest && has(scope, session) && goes_before(session, found))
			found = session;
	return found;
}

static void make_room(struct broker *broker, const struct scope *scope, const struct session *newest)
{
	struct session *victim;
	while (count(broker, scope, NULL) > scope->most && (victim = oldest(broker, scope, newest))) {
		struct audit_entry entry = {.code = "replaced"};
		session_fill_audit(victim, &entry);
		audit_fill(&entry, "session_ended", "session %s made room for session %s: at most %llu of one %s", victim->id,
			   newest->id, (unsigned long long)scope->most, scope->user ? "user" : "device");
		session_finish(broker, victim, "replaced", &entry, NULL, NULL);
		/* Without memory it is not ending; then it stays. */
		if (!victim->is_ending)
			return;
	}
}

void session_cap_make_room(struct broker *broker, const struct session *newest)
{
	const struct conf *conf = &broker->room->conf;
	const struct scope of_user = {.user = newest->user, .realm = newest->realm, .most = conf->sessions_per_user};
	const struct scope of_device = {.device = newest->device, .most = conf->sessions_per_device};
	if (strcmp(conf->sessions_full, "end-oldest") != 0)
		return;
	make_room(broker, &of_user, newest);
	make_room(broker, &of_device, newest);
}

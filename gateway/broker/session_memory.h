/* session_memory.h: making, finding and ending sessions. Between the files of the room that answer for them. */
#ifndef SALLYPORT_BROKER_SESSION_MEMORY_H
#define SALLYPORT_BROKER_SESSION_MEMORY_H

#include "audit.h"
#include "session.h"

/* NULL-safe; not while it is attached. */
void session_free(struct session *session);
/* From now on it is found and live. */
void session_attach(struct sessions *sessions, struct session *session);
/* From now on it is no longer live; its tunnels are the caller's next step (ending.h). `reason` is a literal. */
void session_mark_ended(struct sessions *sessions, struct session *session, const char *reason);
/* From now on that is its browser token, and no other. */
void session_set_browser_token(struct sessions *sessions, struct session *session, const uint8_t *hash);
/* Live or lately ended, by its token; NULL. */
struct session *session_of_token(const struct sessions *sessions, struct view token);
/* Device, user and address of an audit row about it. */
void session_fill_audit(const struct session *session, struct audit_entry *entry);

/* Records the end (with that audit row), then ends it and its tunnels; `done` (may be NULL) when all are
 * closed, with their number. On an error nothing has changed. */
typedef void (*session_end_done)(void *context, int result, const struct diag *diag, unsigned tunnels);
void session_finish(struct broker *broker, struct session *session, const char *reason, const struct audit_entry *entry,
		    session_end_done done, void *context);

#endif

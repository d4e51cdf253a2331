/* pam_session.h: the PAM session of a session of ours: a process that waits until it is over.
 *
 * It was opened before ours was granted (login.c), and is closed when ours has ended, whatever ended it: the edge ends, and
 * the process calls pam_close_session(3). When the broker itself ends, so do all edges; a restart hands
 * them to the next one.
 */
#ifndef SALLYPORT_BROKER_PAM_SESSION_H
#define SALLYPORT_BROKER_PAM_SESSION_H

struct broker;
struct link;
struct session;

/* The session's from now on; NULL: it has none. */
void pam_session_adopt(struct session *session, struct link *link);
/* The same with the edge (taken over) that the broker before had; without memory it ends. */
void pam_session_inherit(struct broker *broker, struct session *session, int fd);
/* Has it closed. Idempotent. */
void pam_session_close(struct session *session);
/* The same for one that no session has adopted; NULL-safe. */
void pam_session_drop(struct link *link);

#endif

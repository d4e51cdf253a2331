/* pam_session.c: keeps the edge to the process of an open PAM session. See pam_session.h. */
#include "pam_session.h"

#include <stdlib.h>

#include "broker.h"
#include "sallyport/edge/broker_conversation.h"
#include "sallyport/link.h"
#include "sallyport/log.h"
#include "sallyport/own.h"
#include "session.h"

/* It is told nothing. */
enum { PENDING_BYTES_MAX = 4096 };

static void on_closed(struct link *link)
{
	free(link);
}

void pam_session_drop(struct link *link)
{
	if (link)
		link_close(link, on_closed);
}

void pam_session_close(struct session *session)
{
	pam_session_drop(take_pointer(&session->pam_session));
}

/* It has nothing to say any more. */
static void on_frame(struct link *link, struct edge_frame *frame)
{
	edge_frame_release(&broker_conversation_edge, frame);
	log_error("the process of a PAM session broke the protocol");
	pam_session_close(link->owner);
}

/* A module has crashed, or somebody has killed it. Our session stands: it was granted. */
static void on_end(struct link *link, int reason)
{
	struct session *session = link->owner;
	(void)reason;
	log_warning("the PAM session of session %s (%s) ended by itself", session->id, session->user);
	pam_session_close(session);
}

void pam_session_adopt(struct session *session, struct link *link)
{
	session->pam_session = link;
	if (!link)
		return;
	link->owner = session;
	link->on_frame = on_frame;
	link->on_end = on_end;
}

void pam_session_inherit(struct broker *broker, struct session *session, int fd)
{
	OWN_FD int owned = fd;
	OWN_MEMORY struct link *link = calloc(1, sizeof(*link));
	if (!link || link_init(link, broker->loop, owned, PENDING_BYTES_MAX) < 0)
		return;
	take_fd(&owned);
	pam_session_adopt(session, take_pointer(&link));
}

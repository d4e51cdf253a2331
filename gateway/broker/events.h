/* events.h: who is told at once what ended, what will end, and why: `GET /v1/events` of a session.
 *
 * A feed is one such request; it belongs to a session and to the connection that asked, and ends with either. Nobody waits
 * for a feed: what a client does not read is bounded in its worker.
 */
#ifndef SALLYPORT_BROKER_EVENTS_H
#define SALLYPORT_BROKER_EVENTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct broker;
struct session;
struct tunnel;
struct worker;
struct worker_broker_events;
struct worker_broker_events_stop;

/* One for each connection is what a client needs. */
#define EVENTS_PER_WORKER 4

struct feed {
	LIST_ENTRY(feed) of_session, of_worker, all;
	struct worker *worker;
	struct session *session;
	uint32_t request;
};
LIST_HEAD(feed_list, feed);

/* ---- from a worker ---- */
void events_on_begin(struct worker *worker, const struct worker_broker_events *message);
void events_on_stop(struct worker *worker, const struct worker_broker_events_stop *message);
void events_worker_gone(struct worker *worker);
/* One that the broker before has begun. */
void events_inherit(struct worker *worker, struct session *session, uint32_t request);

/* ---- what happens ---- */
/* The last event of its feeds. */
void events_session_ended(struct session *session, const char *reason);
void events_session_extended(struct session *session);
/* By order, not by either end of the tunnel. */
void events_tunnel_ended(const struct tunnel *tunnel, const char *reason);
/* Often: warns of what ends within warn_before. */
void events_look(struct broker *broker);

/* When the tunnel ends if no byte moves and nobody logs in (wall clock; 0: not within a day); why: a literal, or "". */
uint64_t tunnel_ends_at_ms(const struct tunnel *tunnel, const char **out_reason);

#endif

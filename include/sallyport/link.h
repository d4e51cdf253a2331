/* link.h: an edge on a libuv loop: frames in, frames out, with a bounded queue.
 *
 * Used by the rooms that have a loop (worker, broker). The memory of a struct link is the caller's and
 * must stay until link_close's callback has run.
 */
#ifndef SALLYPORT_LINK_H
#define SALLYPORT_LINK_H

#include <uv.h>

#include "sallyport/wire.h"

struct link;

/* A frame arrived. The handler dispatches it (edge dispatch releases the frame). It may call
 * link_close on its own link. */
typedef void (*link_frame_handler)(struct link *link, struct edge_frame *frame);
/* The other end is gone (ERR_CLOSED), broke the framing (ERR_BAD_PEER), does not drain its queue
 * (ERR_LIMIT) or the system refused. Called once, never after link_close. */
typedef void (*link_end_handler)(struct link *link, int reason);
typedef void (*link_closed_handler)(struct link *link);

struct link_pending;

struct link {
	void *owner; /* the caller's, untouched */
	link_frame_handler on_frame;
	link_end_handler on_end;
	link_closed_handler on_closed;
	uv_poll_t poll;
	int fd;
	bool ended;
	bool closing;
	bool paused;
	struct link_pending *first, *last; /* frames that wait for room in the socket */
	size_t pending_bytes, pending_limit;
	uint64_t sent, received; /* frames: taken over by link_send; told to on_frame */
};

/* Takes over `fd` (made non-blocking). On error the descriptor stays the caller's. */
[[nodiscard]] int link_init(struct link *link, uv_loop_t *loop, int fd, size_t pending_limit_bytes);
/* Sends or queues. The descriptor stays the caller's (it is duplicated when queued). An error has
 * been, or will be, told to on_end too, so that callers may ignore it with (void). */
int link_send(struct link *link, struct view frame, int fd);
int link_send_message(struct link *link, const struct edge *edge, unsigned type, const void *message, int fd);
/* LINK_SEND(link, worker_broker, opened, fd, .request = 3, .tunnel = 77) */
#define LINK_SEND(link, edge_, name_, fd, ...)                                                          \
	link_send_message(link, &edge_##_edge, edge_##_##name_##_type, &(struct edge_##_##name_){__VA_ARGS__}, fd)
/* Reads no more; what is to be sent goes out all the same. */
void link_pause(struct link *link);
/* Sends what waits, and waits until it is gone. For the end of a process, or an error is dropped. */
void link_drain(struct link *link);
/* Closes descriptor and handle; on_closed (may be NULL) runs later on the loop. Idempotent. */
void link_close(struct link *link, link_closed_handler on_closed);

#endif

/* pump.h: moves bytes between descriptors and one stream of a carrier, both ways, on a libuv loop.
 *
 * The near side is a socket (the tunnel's target, or an accepted local connection) or a pair such as
 * standard input and output. The far side, the carrier, is an HTTP/2 stream or the TLS connection after an
 * HTTP/1.1 CONNECT; the pump knows it by four functions only. Used alike by the worker and the client.
 *
 * Answers for: backpressure from end to end, half-close in both directions, FIN told apart from RST, byte
 * counts, and why it ended. Owns no buffer but what a short write to the near side left over (and for a moment a part
 * of the batch, which is one for all pumps); that is bounded by the carrier's window, since bytes are reported consumed
 * only when they have left.
 *
 *      near fd --read--> pump_read  <--asks-- carrier (h2 on_read / the TLS writer, when it has room)
 *      near fd <--write-- pump_write <-gives- carrier (h2 on_data / tls_read)
 *
 * Life: pump_start, then events; on_ended once; then (or at any time) pump_close, and the memory is the
 * caller's again when on_closed runs.
 */
#ifndef SALLYPORT_PUMP_H
#define SALLYPORT_PUMP_H

#include <uv.h>

#include "sallyport/buf.h"
#include "sallyport/err.h"

struct pump;

/* Why a pump ended; names (pump_end_name) are what tunnel_closed.reason and the record hold. A good end
 * is named after the side that finished first. */
enum pump_end {
	PUMP_RUNNING,
	PUMP_CLIENT_FIN,      /* "client_fin": both directions finished, the carrier's side first */
	PUMP_TARGET_FIN,      /* "target_fin": the same, the near side first */
	PUMP_CLIENT_RESET,    /* "client_reset": the carrier's stream was reset */
	PUMP_TARGET_RESET,    /* "target_reset": the near side sent RST or failed */
	PUMP_CONNECTION_LOST, /* "connection_lost": the carrier's connection is gone */
	PUMP_ENDED,           /* "ended": by order (pump_abort) */
};

struct pump_carrier {
	/* The near side has bytes, FIN or RST: arrange that pump_read is called when the carrier has room
	 * (h2_resume and a flush at the end of the loop's turn). Never calls back into the pump itself. */
	void (*ready)(struct pump *pump);
	/* That many bytes of pump_write have left for the near side (h2_consume). Called from pump_write
	 * itself for what could be written at once. */
	void (*consumed)(struct pump *pump, size_t size);
	/* The near side was reset: reset the carrier's stream (h2_reset CONNECT_ERROR). Not called when the
	 * carrier itself ended the pump. */
	void (*reset)(struct pump *pump);
	/* The pump is over; pump->end says why. Called once; the descriptors are still open. Call pump_close,
	 * at once or later. */
	void (*ended)(struct pump *pump);
};

typedef void (*pump_closed_handler)(struct pump *pump);

struct pump {
	void *owner; /* the caller's, untouched: its tunnel */
	const struct pump_carrier *carrier;
	uint64_t bytes_from_near; /* target -> client */
	uint64_t bytes_to_near;   /* client -> target */
	enum pump_end end;
	/* the pump's own */
	int in_fd, out_fd;
	unsigned flags;
	struct buf pending; /* what a short write left over; no memory when empty */
	size_t pending_start;
	uint16_t held_first, held_last; /* its pieces in the batch (pump_batch.c); 0: none */
	uint32_t held_bytes;
	pump_closed_handler on_closed;
	uv_poll_t *out_poll; /* of a pair whose ends are two descriptors; else NULL */
	union {
		uv_poll_t poll;
		uv_idle_t idle; /* instead, when in_fd cannot be polled; never started */
	};
};

/* Takes over in_fd and out_fd (made non-blocking; one socket for both: give it twice, TCP_NODELAY is set).
 * Descriptors that cannot be polled (files) are read and written directly. On error they stay the
 * caller's. The pump is watching when this returns. A program that pumps to pipes ignores SIGPIPE. */
[[nodiscard]] int pump_start(struct pump *pump, uv_loop_t *loop, int in_fd, int out_fd,
			     const struct pump_carrier *carrier, void *owner);

/* ---- called by the carrier ---- */

/* Near side's bytes for the carrier: their number; 0 for the near side's end (send END_STREAM or
 * close_notify; told once); ERR_AGAIN: none now, `ready` follows; ERR_BAD_PEER: reset (`reset` and `ended`
 * follow or came). Same meaning as h2's on_read. */
[[nodiscard]] int pump_read(struct pump *pump, uint8_t *into, size_t capacity);
/* The carrier's bytes for the near side. What cannot be written now is kept. Ignored after the end. */
void pump_write(struct pump *pump, struct view bytes);
/* Around a batch of pump_writes: what one pump is given leaves with few system calls, at pump_release at the latest;
 * `consumed` comes then. Not nested; holding again while holding is no change. */
void pump_hold(void);
void pump_release(void);
/* Gives back the memory in which a batch waited: for a carrier that has become idle. */
void pump_trim(void);
/* Bytes kept at the moment. A carrier without windows of its own (TLS after an HTTP/1.1 CONNECT) stops
 * reading while this is not 0, until `consumed`. */
size_t pump_pending(const struct pump *pump);
/* The carrier's direction has ended in good order: FIN to the near side, after what is kept. */
void pump_finish(struct pump *pump);
/* The carrier's stream was reset, or its connection is lost: the near side gets an RST. */
void pump_carrier_reset(struct pump *pump);
void pump_carrier_lost(struct pump *pump);
/* The carrier has all that it wanted to know: the pump ends as if the near side had finished first. What is unread or
 * unsent is dropped. */
void pump_settle(struct pump *pump);
/* A near side that takes no more (it has answered already, perhaps) is read to its end all the same: what is written to it
 * then counts as consumed. To be said before the first pump_write. */
void pump_read_to_the_end(struct pump *pump);
/* By order: the near side gets an RST; pump->end becomes PUMP_ENDED. `ended` is called (as always once). */
void pump_abort(struct pump *pump);

/* Closes descriptors and handles; on_closed (may be NULL) runs later on the loop. Idempotent. */
void pump_close(struct pump *pump, pump_closed_handler on_closed);

/* "target_fin" */
const char *pump_end_name(enum pump_end end);

#endif

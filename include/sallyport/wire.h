/* wire.h: one frame on a SOCK_SEQPACKET socketpair, with at most one descriptor (unix(7)).
 *
 * Works on blocking and on non-blocking sockets. link.h puts it on a libuv loop.
 */
#ifndef SALLYPORT_WIRE_H
#define SALLYPORT_WIRE_H

#include "sallyport/edge.h"

/* Makes the two ends of an edge: SOCK_SEQPACKET, close-on-exec, blocking. */
[[nodiscard]] int wire_pair(int out_ends[2]);

/* Sends one frame and, unless fd is -1, a copy of that descriptor (which stays the caller's).
 * ERR_AGAIN when a non-blocking socket is full, ERR_CLOSED when the other end is gone. */
[[nodiscard]] int wire_send(int socket, struct view frame, int fd);

/* Receives one frame into `space`. The descriptor, if any, is close-on-exec and the caller's.
 * ERR_AGAIN when none waits, ERR_CLOSED at the end, ERR_BAD_PEER for a frame that is larger than
 * `capacity` or carries more than one descriptor. */
[[nodiscard]] int wire_receive(int socket, void *space, size_t capacity, struct edge_frame *out_frame);

/* Encodes, sends and wipes one message:
 * WIRE_SEND(socket, worker_signer, sign, -1, .hash = 4, .transcript = view) */
#define WIRE_SEND(socket, edge_, name_, fd, ...)                                                        \
	wire_send_message(socket, &edge_##_edge, edge_##_##name_##_type,                                 \
			  &(struct edge_##_##name_){__VA_ARGS__}, fd)
[[nodiscard]] int wire_send_message(int socket, const struct edge *edge, unsigned type, const void *message, int fd);

#endif

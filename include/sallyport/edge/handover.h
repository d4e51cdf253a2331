/* handover.h: what a gateway that is restarted leaves to its successor, so that live tunnels go on.
 *
 * First end: the monitor that goes; second end: the one that comes. Nobody waits at the other end: frames and descriptors lie
 * in socketpairs whose reading ends outlive the monitor, in systemd's descriptor store or across execve(2). Each socketpair
 * begins with `begin`, and is followed by another when it is full. Counterparts: gateway/monitor/handover.c and heritage.c.
 */
#ifndef SALLYPORT_EDGE_HANDOVER_H
#define SALLYPORT_EDGE_HANDOVER_H

#include "sallyport/edge.h"

/* Grows with any change of this table, and of the broker's state (gateway/broker/handover.c). */
#define HANDOVER_VERSION 2

/* HANDOVER_VERSION and all that a live worker may say and be told, as one number. Who has another one inherits nothing. */
uint32_t handover_protocol(void);

enum handover_kind {
	HANDOVER_PROCESS = 1, /* a worker's pidfd */
	HANDOVER_WORKER,      /* the monitor's end of a worker's edge */
	HANDOVER_EDGE,        /* the broker's end of a worker's edge */
	HANDOVER_TARGET,      /* the broker's copy of a tunnel's socket */
	HANDOVER_STATE,       /* what the broker knew of its workers (a memfd) */
	HANDOVER_PAM_SESSION, /* the broker's end of the edge to a PAM session's process */
	HANDOVER_CONVERSATION,         /* the monitor's end of the same process's edge */
	HANDOVER_CONVERSATION_PROCESS, /* its pidfd */
};

#define handover_MESSAGES(M)                                                                                  \
	M(handover, begin, EDGE_FROM_FIRST, EDGE_ANY, EDGE_NO_FD)                                             \
	/* one descriptor; number: of its worker, tunnel, session */                                              \
	M(handover, keep, EDGE_FROM_FIRST, EDGE_ANY, EDGE_WITH_FD)

#define handover_begin_FIELDS(F) F(u32, protocol, 0)
#define handover_keep_FIELDS(F) F(u8, kind, 0) F(u64, number, 0)
EDGE_DECLARE(handover)

#endif

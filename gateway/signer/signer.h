/* signer.h: what the signer's own files share. */
#ifndef SALLYPORT_SIGNER_SIGNER_H
#define SALLYPORT_SIGNER_SIGNER_H

#include "checkpoint.h"
#include "keyring.h"
#include "room.h"
#include "workers.h"

struct signer {
	struct room room;
	struct keyring *keyring;
	struct workers workers;
	struct checkpoint_memory checkpoints;
	struct watched monitor, broker;
	int epoll;
	uint8_t *space; /* EDGE_FRAME_MAX bytes for the frame that is being handled */
	struct diag diag; /* of the handler that failed */
	bool stopped;
};

/* Watches an edge for frames. ERR_SYSTEM. */
[[nodiscard]] int signer_watch(struct signer *signer, struct watched *watched);
/* Each takes one frame from its edge. An error means: that edge is over; the diag says why. */
[[nodiscard]] int monitor_edge_take(struct signer *signer, struct edge_frame *frame);
[[nodiscard]] int broker_edge_take(struct signer *signer, struct edge_frame *frame);
[[nodiscard]] int worker_edge_take(struct signer *signer, struct worker *worker, struct edge_frame *frame);

#endif

/* workers.h: the workers that this signer has an edge to, by their id. */
#ifndef SALLYPORT_SIGNER_WORKERS_H
#define SALLYPORT_SIGNER_WORKERS_H

#include "sign.h"

/* What an epoll event belongs to. */
enum watched_kind { WATCHED_MONITOR, WATCHED_BROKER, WATCHED_WORKER };
struct watched {
	enum watched_kind kind;
	int fd; /* -1: closed, its event is stale */
};

struct worker {
	struct watched edge; /* first: an event's pointer is this worker */
	uint64_t id;
	struct proof proof;
	struct worker *next; /* in its bucket, or among the departed */
};

#define WORKERS_BUCKETS 4096
struct workers {
	struct worker *buckets[WORKERS_BUCKETS];
	struct worker *departed; /* closed; memory is kept until no event can point to it */
	size_t count;
};

/* NULL when there is none. */
struct worker *workers_find(const struct workers *workers, uint64_t id);
/* Takes over `fd`. NULL without memory (the descriptor stays the caller's). */
struct worker *workers_add(struct workers *workers, uint64_t id, int fd);
/* Closes its edge and forgets it; its memory goes with workers_bury. */
void workers_remove(struct workers *workers, struct worker *worker);
/* Frees the departed: between two rounds of events. */
void workers_bury(struct workers *workers);

#endif

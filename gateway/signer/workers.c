/* workers.c: a table of workers by id. */
#include "workers.h"

#include <stdlib.h>
#include <unistd.h>

static struct worker **bucket_of(struct workers *workers, uint64_t id)
{
	return &workers->buckets[id % WORKERS_BUCKETS];
}

struct worker *workers_find(const struct workers *workers, uint64_t id)
{
	struct worker *worker = workers->buckets[id % WORKERS_BUCKETS];
	while (worker && worker->id != id)
		worker = worker->next;
	return worker;
}

struct worker *workers_add(struct workers *workers, uint64_t id, int fd)
{
	struct worker *worker = calloc(1, sizeof(*worker));
	if (!worker)
		return NULL;
	struct worker **bucket = bucket_of(workers, id);
	worker->edge = (struct watched){.kind = WATCHED_WORKER, .fd = fd};
	worker->id = id;
	worker->next = *bucket;
	proof_init(&worker->proof);
	*bucket = worker;
	workers->count++;
	return worker;
}

void workers_remove(struct workers *workers, struct worker *worker)
{
	struct worker **place = bucket_of(workers, worker->id);
	while (*place && *place != worker)
		place = &(*place)->next;
	if (!*place)
		return;
	*place = worker->next;
	worker->next = workers->departed;
	workers->departed = worker;
	workers->count--;
	close(worker->edge.fd); /* epoll forgets it: it is the only copy here */
	worker->edge.fd = -1;
	proof_fini(&worker->proof);
}

void workers_bury(struct workers *workers)
{
	while (workers->departed) {
		struct worker *worker = workers->departed;
		workers->departed = worker->next;
		free(worker);
	}
}

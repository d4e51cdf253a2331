/* store.c: the store's thread: a queue in, groups to the disk, completions out. */
#include "store.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "histogram.h"
#include "sallyport/clock.h"
#include "sallyport/log.h"
#include "sallyport/own.h"
#include "sallyport/str.h"
#include "store_db.h"

/* Latency over throughput: more would only make the first of them wait longer. */
enum { GROUP_MAX = 1024 };

struct queue {
	struct store_operation *first, **end;
};

struct store {
	char *path;
	int lock; /* held as long as the store is open: one gateway per store */
	struct store_db db;
	uv_thread_t thread;
	bool has_thread;
	uv_async_t wake_loop;
	uv_mutex_t mutex; /* guards what follows */
	uv_cond_t wake_thread;
	struct queue waiting, finished;
	bool hurry; /* somebody waits for one of the waiting */
	bool closing;
	struct store_health health;
};

static void queue_init(struct queue *queue)
{
	queue->first = NULL;
	queue->end = &queue->first;
}

static void queue_add(struct queue *queue, struct store_operation *operation)
{
	operation->next = NULL;
	*queue->end = operation;
	queue->end = &operation->next;
}

static void queue_append(struct queue *queue, struct store_operation *first)
{
	*queue->end = first;
	while (*queue->end)
		queue->end = &(*queue->end)->next;
}

/* Takes the first `most` operations as a list. */
static struct store_operation *queue_take(struct queue *queue, unsigned most)
{
	struct store_operation *first = queue->first, **place = &queue->first;
	for (unsigned i = 0; *place && i < most; i++)
		place = &(*place)->next;
	struct store_operation *rest = *place;
	*place = NULL;
	queue_init(queue);
	if (rest)
		queue_append(queue, rest);
	return first == rest ? NULL : first;
}

/* ---- one group ---- */

/* The first failure is logged, and the recovery; not every operation between. */
static void note_health(struct store *store, unsigned operations, uint64_t began_ns, const struct diag *trouble)
{
	uv_mutex_lock(&store->mutex);
	struct store_health *health = &store->health;
	bool was_good = health->good;
	health->good = !trouble && (was_good || store->db.has_written);
	if (trouble && was_good) {
		health->troubles++;
		health->bad_since_ms = clock_wall_ms();
		str_copy(health->first_trouble, sizeof(health->first_trouble), trouble->text);
	}
	health->groups++;
	health->operations += operations;
	histogram_add_since(&health->commit_seconds, began_ns);
	if (trouble || health->good)
		str_copy(health->trouble, sizeof(health->trouble), trouble ? trouble->text : "");
	bool is_good = health->good;
	uv_mutex_unlock(&store->mutex);
	if (trouble && was_good)
		log_error("the record cannot be written: %s; nothing new is granted until it can be", trouble->text);
	if (is_good && !was_good)
		log_notice("the record can be written again");
}

/* A connection that met a broken disk or file is opened anew. The lock file keeps others away meanwhile. */
static int heal(struct store *store, struct diag *diag)
{
	if (!store->db.broken && store->db.sqlite)
		return 0;
	store_db_close(&store->db);
	int result = store_db_open(store->path, &store->db, diag);
	if (result < 0)
		store->db.broken = true;
	return result;
}

static void run_group(struct store *store, struct store_operation *first)
{
	struct diag diag = {""};
	uint64_t began_ns = uv_hrtime();
	store->db.in_trouble = store->db.has_written = false;
	bool healthy = heal(store, &diag) == 0;
	if (healthy)
		store_db_run_group(&store->db, first);
	const struct diag *trouble = healthy ? NULL : &diag;
	unsigned count = 0;
	for (struct store_operation *operation = first; operation; operation = operation->next) {
		count++;
		if (!healthy) {
			operation->result = ERR_SYSTEM;
			operation->diag = diag;
		}
		if (operation->result == ERR_SYSTEM && store->db.in_trouble)
			trouble = &operation->diag;
	}
	note_health(store, count, began_ns, trouble);
}

/* With the mutex held. NULL: the store closes, and nothing is left. */
static struct store_operation *wait_for_group(struct store *store)
{
	while (!store->waiting.first && !store->closing)
		uv_cond_wait(&store->wake_thread, &store->mutex);
	int result = 0;
	while (!store->hurry && !store->closing && result == 0)
		result = uv_cond_timedwait(&store->wake_thread, &store->mutex, STORE_PATIENCE_MS * 1000000ULL);
	struct store_operation *first = queue_take(&store->waiting, GROUP_MAX);
	store->hurry = store->waiting.first;
	return first;
}

static void run_thread(void *argument)
{
	struct store *store = argument;
	struct store_operation *first;
	uv_mutex_lock(&store->mutex);
	while ((first = wait_for_group(store))) {
		uv_mutex_unlock(&store->mutex);
		run_group(store, first);
		uv_mutex_lock(&store->mutex);
		queue_append(&store->finished, first);
		uv_async_send(&store->wake_loop);
	}
	uv_mutex_unlock(&store->mutex);
}

/* ---- the loop's side ---- */

static void complete(struct store_operation *first)
{
	while (first) {
		struct store_operation *operation = first;
		first = operation->next;
		if (operation->done)
			operation->done(operation, operation->result, &operation->diag);
	}
}

static void complete_finished(struct store *store)
{
	uv_mutex_lock(&store->mutex);
	struct store_operation *first = store->finished.first;
	queue_init(&store->finished);
	uv_mutex_unlock(&store->mutex);
	complete(first);
}

static void on_wake_loop(uv_async_t *async)
{
	complete_finished(async->data);
}

void store_submit(struct store *store, struct store_operation *operation)
{
	operation->result = 0;
	operation->diag.text[0] = 0;
	uv_mutex_lock(&store->mutex);
	bool was_empty = !store->waiting.first;
	bool hurried = store->hurry;
	queue_add(&store->waiting, operation);
	store->hurry |= !operation->may_wait;
	if (was_empty || store->hurry != hurried)
		uv_cond_signal(&store->wake_thread);
	uv_mutex_unlock(&store->mutex);
}

int store_now(struct store *store, struct store_operation *operation, struct diag *diag)
{
	operation->next = NULL;
	operation->result = 0;
	operation->diag.text[0] = 0;
	run_group(store, operation);
	return operation->result < 0 ? diag_set(diag, operation->result, "%s", operation->diag.text) : 0;
}

void store_health(const struct store *store, struct store_health *out_health)
{
	struct store *mutable = (struct store *)(uintptr_t)store;
	uv_mutex_lock(&mutable->mutex);
	*out_health = store->health;
	for (const struct store_operation *operation = store->waiting.first; operation; operation = operation->next)
		out_health->waiting++;
	uv_mutex_unlock(&mutable->mutex);
}

/* ---- life ---- */

/* The broker before this one may still be closing its record. */
enum { LOCK_TRIES = 40, LOCK_PAUSE_US = 50000 };

static int lock_file(int fd)
{
	for (int i = 0; i < LOCK_TRIES; i++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return 0;
		usleep(LOCK_PAUSE_US);
	}
	return ERR_DENIED;
}

static int take_lock(const char *path, int *out_lock, struct diag *diag)
{
	OWN_MEMORY char *name = NULL;
	if (asprintf(&name, "%s.lock", path) < 0)
		return diag_system(diag, "memory");
	OWN_FD int fd = open(name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return diag_system(diag, "the store's lock %s cannot be opened", name);
	if (lock_file(fd) < 0)
		return diag_set(diag, ERR_DENIED, "the store %s is in use by another gateway", path);
	*out_lock = take_fd(&fd);
	return 0;
}

static void release(struct store *store)
{
	store_db_close(&store->db);
	if (store->lock >= 0)
		close(store->lock);
	uv_mutex_destroy(&store->mutex);
	uv_cond_destroy(&store->wake_thread);
	free(store->path);
	free(store);
}

int store_open(const char *path, struct store **out_store, struct diag *diag)
{
	struct store *store = calloc(1, sizeof(*store));
	if (!store)
		return diag_system(diag, "memory");
	store->lock = -1;
	store->health.good = true;
	queue_init(&store->waiting);
	queue_init(&store->finished);
	uv_mutex_init(&store->mutex);
	uv_cond_init(&store->wake_thread);
	store->path = strdup(path);
	int result = store->path ? take_lock(path, &store->lock, diag) : diag_system(diag, "memory");
	if (result == 0)
		result = store_db_open(path, &store->db, diag);
	if (result < 0)
		release(store);
	else
		*out_store = store;
	return result;
}

int store_start(struct store *store, uv_loop_t *loop, struct diag *diag)
{
	if (uv_async_init(loop, &store->wake_loop, on_wake_loop) < 0)
		return diag_system(diag, "the store's thread cannot be heard");
	store->wake_loop.data = store;
	uv_unref((uv_handle_t *)&store->wake_loop);
	if (uv_thread_create(&store->thread, run_thread, store) < 0)
		return diag_system(diag, "the store's thread cannot be started");
	store->has_thread = true;
	return 0;
}

/* Completions may submit more: all of it reaches the disk. */
static void drain(struct store *store)
{
	complete_finished(store);
	struct store_operation *first;
	while ((first = queue_take(&store->waiting, GROUP_MAX))) {
		run_group(store, first);
		complete(first);
	}
}

static void on_async_closed(uv_handle_t *handle)
{
	release(handle->data);
}

void store_close(struct store *store)
{
	if (!store)
		return;
	uv_mutex_lock(&store->mutex);
	store->closing = true;
	uv_cond_signal(&store->wake_thread);
	uv_mutex_unlock(&store->mutex);
	if (store->has_thread)
		uv_thread_join(&store->thread);
	drain(store);
	if (!store->has_thread) {
		release(store);
		return;
	}
	store_db_close(&store->db);
	uv_close((uv_handle_t *)&store->wake_loop, on_async_closed);
}

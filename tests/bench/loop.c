/* loop.c: epoll, level-triggered; objects that die within a batch are freed after it. */
#include "loop.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "fail.h"

#define BATCH 64

static int epoll_fd = -1;
static uint64_t deadline_ns;
static void **graves;
static size_t grave_count, grave_space;

uint64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void loop_set_time_limit(unsigned seconds)
{
	deadline_ns = seconds ? now_ns() + (uint64_t)seconds * 1000000000 : 0;
}

static void control(int operation, struct watch *watch)
{
	struct epoll_event event = {.events = watch->events, .data.ptr = watch};
	if (epoll_fd < 0)
		epoll_fd = must(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
	must(epoll_ctl(epoll_fd, operation, watch->fd, &event), "epoll_ctl");
}

void loop_watch(struct watch *watch, int fd, uint32_t events)
{
	watch->fd = fd;
	watch->events = events;
	control(EPOLL_CTL_ADD, watch);
}

void loop_change(struct watch *watch, uint32_t events)
{
	if (watch->fd < 0 || watch->events == events)
		return;
	watch->events = events;
	control(EPOLL_CTL_MOD, watch);
}

void loop_close(struct watch *watch)
{
	if (watch->fd >= 0)
		close(watch->fd);
	watch->fd = -1;
}

void loop_bury(void *memory)
{
	if (grave_count == grave_space) {
		grave_space = grave_space ? 2 * grave_space : BATCH;
		graves = realloc(graves, grave_space * sizeof(*graves));
		if (!graves)
			fail("no memory");
	}
	graves[grave_count++] = memory;
}

static void free_graves(void)
{
	while (grave_count)
		free(graves[--grave_count]);
}

static void serve_batch(void)
{
	struct epoll_event events[BATCH];
	int count = epoll_wait(epoll_fd, events, BATCH, deadline_ns ? 1000 : -1);
	if (count < 0 && errno != EINTR)
		fail_errno("epoll_wait");
	for (int i = 0; i < count; i++) {
		struct watch *watch = events[i].data.ptr;
		if (watch->fd >= 0)
			watch->ready(watch, events[i].events);
	}
	free_graves();
}

void loop_until(bool (*done)(void *self), void *self)
{
	while (!done || !done(self)) {
		if (deadline_ns && now_ns() > deadline_ns)
			fail("the time limit is over, the work is not");
		serve_batch();
	}
}

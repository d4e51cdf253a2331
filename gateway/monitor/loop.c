/* loop.c: epoll, one ready descriptor at a time.
 *
 * Taking one event per call costs a system call more than taking many, and needs no care for watches that an
 * earlier handler of the same round has freed.
 */
#include "loop.h"

#include <sys/epoll.h>
#include <unistd.h>

int loop_init(struct loop *loop, struct diag *diag)
{
	loop->stopping = false;
	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	return loop->epoll < 0 ? diag_system(diag, "cannot make an event loop") : 0;
}

int loop_watch(struct loop *loop, struct watch *watch)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = watch};
	return epoll_ctl(loop->epoll, EPOLL_CTL_ADD, watch->fd, &event) < 0 ? ERR_SYSTEM : 0;
}

void loop_forget(struct loop *loop, struct watch *watch)
{
	if (watch->fd >= 0)
		epoll_ctl(loop->epoll, EPOLL_CTL_DEL, watch->fd, NULL);
}

void loop_turn(struct loop *loop, int wait_ms, void *monitor)
{
	struct epoll_event event;
	if (epoll_wait(loop->epoll, &event, 1, wait_ms) <= 0)
		return;
	struct watch *watch = event.data.ptr;
	watch->on_readable(watch, monitor);
}

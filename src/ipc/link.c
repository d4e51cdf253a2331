/* link.c: an edge on a libuv loop. */
#include "sallyport/link.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sallyport/fd.h"

struct link_pending {
	struct link_pending *next;
	int fd;
	struct buf frame;
};

/* One space for all links of the process: a room has one loop, and a frame lives only as long as its
 * handler. Pages that no frame ever needed are never touched. */
static uint8_t receive_space[EDGE_FRAME_MAX];

/* A loop's turn serves at most this many frames of one link, so that none starves the others. */
enum { FRAMES_PER_TURN = 64 };

static void on_ready(uv_poll_t *poll, int status, int events);

static void watch(struct link *link)
{
	int events = (link->paused ? 0 : UV_READABLE) | (link->first ? UV_WRITABLE : 0);
	if (events)
		uv_poll_start(&link->poll, events, on_ready);
	else
		uv_poll_stop(&link->poll);
}

static void drop_first(struct link *link)
{
	struct link_pending *pending = link->first;
	link->first = pending->next;
	if (!link->first)
		link->last = NULL;
	link->pending_bytes -= pending->frame.size;
	if (pending->fd >= 0)
		close(pending->fd);
	buf_wipe(&pending->frame);
	free(pending);
}

static void end(struct link *link, int reason)
{
	if (link->ended || link->closing)
		return;
	link->ended = true;
	uv_poll_stop(&link->poll);
	link->on_end(link, reason);
}

static void flush(struct link *link)
{
	while (link->first) {
		int result = wire_send(link->fd, buf_view(&link->first->frame), link->first->fd);
		if (result == ERR_AGAIN)
			break;
		if (result < 0) {
			end(link, result);
			return;
		}
		drop_first(link);
	}
	watch(link);
}

static void receive(struct link *link)
{
	for (int i = 0; i < FRAMES_PER_TURN && !link->closing && !link->ended && !link->paused; i++) {
		struct edge_frame frame;
		int result = wire_receive(link->fd, receive_space, sizeof(receive_space), &frame);
		if (result == ERR_AGAIN)
			return;
		if (result < 0) {
			end(link, result);
			return;
		}
		link->received++;
		link->on_frame(link, &frame);
	}
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
	struct link *link = poll->data;
	if (status < 0) {
		end(link, ERR_CLOSED);
		return;
	}
	if (events & UV_WRITABLE)
		flush(link);
	if (events & UV_READABLE)
		receive(link);
}

int link_init(struct link *link, uv_loop_t *loop, int fd, size_t pending_limit_bytes)
{
	link->fd = fd;
	link->ended = link->closing = link->paused = false;
	link->sent = link->received = 0;
	link->first = link->last = NULL;
	link->pending_bytes = 0;
	link->pending_limit = pending_limit_bytes;
	if (fd_set_nonblocking(fd) < 0 || uv_poll_init(loop, &link->poll, fd) < 0)
		return ERR_SYSTEM;
	link->poll.data = link;
	watch(link);
	return 0;
}

static int enqueue(struct link *link, struct view frame, int fd)
{
	if (link->pending_bytes + frame.size > link->pending_limit)
		return ERR_LIMIT;
	struct link_pending *pending = calloc(1, sizeof(*pending));
	if (!pending)
		return ERR_SYSTEM;
	pending->frame = BUF_INIT(EDGE_FRAME_MAX);
	pending->fd = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
	if ((fd >= 0 && pending->fd < 0) || buf_add(&pending->frame, frame) < 0) {
		if (pending->fd >= 0)
			close(pending->fd);
		free(pending);
		return ERR_SYSTEM;
	}
	if (link->last)
		link->last->next = pending;
	else
		link->first = pending;
	link->last = pending;
	link->pending_bytes += frame.size;
	watch(link);
	return 0;
}

int link_send(struct link *link, struct view frame, int fd)
{
	if (link->ended || link->closing)
		return ERR_CLOSED;
	int result = link->first ? ERR_AGAIN : wire_send(link->fd, frame, fd);
	if (result == ERR_AGAIN)
		result = enqueue(link, frame, fd);
	/* A dead other end is noticed by the loop too; on_end is not called from inside a send, so that
	 * callers need not expect their own end in the middle of a handler. */
	if (result == ERR_LIMIT || result == ERR_SYSTEM)
		shutdown(link->fd, SHUT_RDWR);
	link->sent += result == 0;
	return result;
}

void link_pause(struct link *link)
{
	if (link->ended || link->closing)
		return;
	link->paused = true;
	watch(link);
}

void link_drain(struct link *link)
{
	while (link->first && !link->ended && !link->closing) {
		struct pollfd room = {.fd = link->fd, .events = POLLOUT};
		int result = wire_send(link->fd, buf_view(&link->first->frame), link->first->fd);
		if (result == 0)
			drop_first(link);
		else if (result != ERR_AGAIN || (poll(&room, 1, -1) < 0 && errno != EINTR))
			return;
	}
}

int link_send_message(struct link *link, const struct edge *edge, unsigned type, const void *message, int fd)
{
	OWN_SECRET_BUF struct buf frame = BUF_INIT(EDGE_FRAME_MAX);
	int result = edge_encode(edge, type, message, &frame);
	return result < 0 ? result : link_send(link, buf_view(&frame), fd);
}

static void on_poll_closed(uv_handle_t *handle)
{
	struct link *link = handle->data;
	while (link->first)
		drop_first(link);
	if (link->on_closed)
		link->on_closed(link);
}

void link_close(struct link *link, link_closed_handler on_closed)
{
	if (link->closing)
		return;
	link->closing = true;
	link->on_closed = on_closed;
	uv_poll_stop(&link->poll);
	close(link->fd);
	link->fd = -1;
	uv_close((uv_handle_t *)&link->poll, on_poll_closed);
}

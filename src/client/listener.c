/* listener.c: a local port that hands out what connects to it. */
#include "listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "sallyport/own.h"
#include "say.h"

enum {
	ACCEPTS_PER_TURN = 64,
	PAUSE_MS = 500,
};

void listener_text(const struct forward *forward, char *out_text, size_t capacity)
{
	snprintf(out_text, capacity, strchr(forward->bind, ':') ? "[%s]:%u" : "%s:%u", forward->bind, forward->port);
}

static socklen_t make_address(const struct forward *forward, struct sockaddr_storage *out_address)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)out_address;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out_address;
	memset(out_address, 0, sizeof(*out_address));
	if (inet_pton(AF_INET, forward->bind, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(forward->port);
		return sizeof(*v4);
	}
	/* forward_parse has seen to it that it is one of the two. */
	inet_pton(AF_INET6, forward->bind, &v6->sin6_addr);
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(forward->port);
	return sizeof(*v6);
}

static int bind_port(const struct forward *forward)
{
	struct sockaddr_storage address;
	socklen_t length = make_address(forward, &address);
	int on = 1;
	OWN_FD int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		return -1;
	/* [::] means IPv6 only, so that 0.0.0.0 can be given beside it. */
	if (address.ss_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0)
		return -1;
	return bind(fd, (struct sockaddr *)&address, length) < 0 ? -1 : take_fd(&fd);
}

static void watch(struct listener *listener);

static void on_pause_over(uv_timer_t *timer)
{
	watch(timer->data);
}

/* EMFILE and its like leave the connection in the queue: watching on would turn in a circle. */
static void pause_accepting(struct listener *listener, int error)
{
	char where[80];
	listener_text(listener->forward, where, sizeof(where));
	say(_("cannot accept more connections on %s for the moment: %s"), where, strerror(error));
	uv_poll_stop(&listener->poll);
	uv_timer_start(&listener->pause, on_pause_over, PAUSE_MS, 0);
}

static void on_connections(uv_poll_t *poll, int status, int events)
{
	(void)status, (void)events;
	struct listener *listener = poll->data;
	for (int i = 0; i < ACCEPTS_PER_TURN && listener->fd >= 0; i++) {
		int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0) {
			listener->on_accept(listener, fd);
		} else if (errno == EAGAIN) {
			return;
		} else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			pause_accepting(listener, errno);
			return;
		}
		/* Anything else is the matter of that one connection (accept(2)): it went away again. */
	}
}

static void watch(struct listener *listener)
{
	uv_poll_start(&listener->poll, UV_READABLE, on_connections);
}

static int explain(const struct forward *forward, struct diag *diag)
{
	char where[80];
	listener_text(forward, where, sizeof(where));
	diag_system(diag, _("cannot listen on %s"), where);
	return STATUS_FAILED;
}

int listener_bind(const struct forward *forward, int *out_fd, struct diag *diag)
{
	int fd = bind_port(forward);
	if (fd < 0)
		return explain(forward, diag);
	*out_fd = fd;
	return STATUS_OK;
}

int listener_begin(const struct forward *forward, int fd, struct diag *diag)
{
	return listen(fd, SOMAXCONN) < 0 ? explain(forward, diag) : STATUS_OK;
}

int listener_open(struct listener *listener, uv_loop_t *loop, const struct forward *forward, int fd,
		  listener_accept_handler on_accept, void *owner, struct diag *diag)
{
	*listener = (struct listener){.forward = forward, .owner = owner, .on_accept = on_accept, .fd = fd};
	if (uv_poll_init(loop, &listener->poll, fd) < 0)
		return explain(forward, diag);
	uv_timer_init(loop, &listener->pause);
	listener->poll.data = listener->pause.data = listener;
	listener->opened = true;
	listener->handles = 2;
	watch(listener);
	return STATUS_OK;
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct listener *listener = handle->data;
	if (--listener->handles == 0 && listener->on_closed)
		listener->on_closed(listener);
}

void listener_close(struct listener *listener, void (*on_closed)(struct listener *listener))
{
	if (!listener->opened)
		return;
	listener->opened = false;
	listener->on_closed = on_closed;
	uv_poll_stop(&listener->poll);
	uv_close((uv_handle_t *)&listener->poll, on_handle_closed);
	uv_close((uv_handle_t *)&listener->pause, on_handle_closed);
	close(take_fd(&listener->fd));
}

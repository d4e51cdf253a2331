/* netwatch.c: says when addresses, links or routes of this device change. What has changed is not read: whether the
 * connection still lives is asked of the gateway itself. */
#include "netwatch.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sallyport/own.h"

/* An interface that comes up says a dozen things. */
enum { SETTLE_MS = 300 };

struct netwatch {
	netwatch_handler on_change;
	void *owner;
	int fd;
	uv_poll_t poll;
	uv_timer_t settle;
	unsigned handles;
};

static void on_settled(uv_timer_t *timer)
{
	struct netwatch *netwatch = timer->data;
	netwatch->on_change(netwatch->owner);
}

static void on_news(uv_poll_t *poll, int status, int events)
{
	(void)status, (void)events;
	struct netwatch *netwatch = poll->data;
	char space[8192];
	/* That news was lost (ENOBUFS) is news too. */
	while (recv(netwatch->fd, space, sizeof(space), MSG_DONTWAIT) > 0)
		;
	if (!uv_is_active((uv_handle_t *)&netwatch->settle))
		uv_timer_start(&netwatch->settle, on_settled, SETTLE_MS, 0);
}

static int listen_to_kernel(void)
{
	struct sockaddr_nl address = {
		.nl_family = AF_NETLINK,
		.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE,
	};
	OWN_FD int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -1;
	return take_fd(&fd);
}

void netwatch_open(uv_loop_t *loop, netwatch_handler on_change, void *owner, struct netwatch **out_netwatch)
{
	struct netwatch *netwatch = calloc(1, sizeof(*netwatch));
	OWN_FD int fd = listen_to_kernel();
	if (!netwatch || fd < 0 || uv_poll_init(loop, &netwatch->poll, fd) < 0) {
		free(netwatch);
		return;
	}
	netwatch->on_change = on_change;
	netwatch->owner = owner;
	netwatch->fd = take_fd(&fd);
	uv_timer_init(loop, &netwatch->settle);
	netwatch->poll.data = netwatch->settle.data = netwatch;
	netwatch->handles = 2;
	uv_poll_start(&netwatch->poll, UV_READABLE, on_news);
	*out_netwatch = netwatch;
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct netwatch *netwatch = handle->data;
	if (--netwatch->handles)
		return;
	close(netwatch->fd);
	free(netwatch);
}

void netwatch_close(struct netwatch *netwatch)
{
	if (!netwatch)
		return;
	uv_poll_stop(&netwatch->poll);
	uv_close((uv_handle_t *)&netwatch->poll, on_handle_closed);
	uv_close((uv_handle_t *)&netwatch->settle, on_handle_closed);
}

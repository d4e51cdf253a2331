/* wire.c: one frame, at most one descriptor. */
#include "sallyport/wire.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int wire_pair(int out_ends[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, out_ends) < 0 ? ERR_SYSTEM : 0;
}

static int from_errno(void)
{
	switch (errno) {
	case EAGAIN:
		return ERR_AGAIN;
	case EPIPE:
	case ECONNRESET:
	case ENOTCONN:
		return ERR_CLOSED;
	default:
		return ERR_SYSTEM;
	}
}

union control {
	char space[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

static void attach(struct msghdr *message, union control *control, int fd)
{
	memset(control, 0, sizeof(*control));
	message->msg_control = control->space;
	message->msg_controllen = sizeof(control->space);
	struct cmsghdr *header = CMSG_FIRSTHDR(message);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &fd, sizeof(fd));
}

int wire_send(int socket, struct view frame, int fd)
{
	struct iovec piece = {(void *)(uintptr_t)frame.data, frame.size};
	struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
	union control control;
	if (fd >= 0)
		attach(&message, &control, fd);
	ssize_t sent;
	do
		sent = sendmsg(socket, &message, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? from_errno() : 0;
}

static int received_descriptor(struct msghdr *message)
{
	struct cmsghdr *header = CMSG_FIRSTHDR(message);
	int fd = -1;
	if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
	    header->cmsg_len >= CMSG_LEN(sizeof(int)))
		memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	return fd;
}

int wire_receive(int socket, void *space, size_t capacity, struct edge_frame *out_frame)
{
	union control control;
	struct iovec piece = {space, capacity};
	struct msghdr message = {
		.msg_iov = &piece, .msg_iovlen = 1, .msg_control = control.space, .msg_controllen = sizeof(control.space)};
	ssize_t size;
	do
		size = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
	while (size < 0 && errno == EINTR);
	if (size < 0)
		return from_errno();
	int fd = received_descriptor(&message);
	/* The kernel closes the descriptors that the space for one did not take (MSG_CTRUNC). */
	if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		if (fd >= 0)
			close(fd);
		return ERR_BAD_PEER;
	}
	if (size == 0 && fd < 0)
		return ERR_CLOSED;
	*out_frame = (struct edge_frame){.data = space, .size = (size_t)size, .fd = fd};
	return 0;
}

int wire_send_message(int socket, const struct edge *edge, unsigned type, const void *message, int fd)
{
	OWN_SECRET_BUF struct buf frame = BUF_INIT(EDGE_FRAME_MAX);
	int result = edge_encode(edge, type, message, &frame);
	return result < 0 ? result : wire_send(socket, buf_view(&frame), fd);
}

/* peer_user.c: whose program is at the other end of a connection to a local port? A port of 127.0.0.1 is open to every
 * user of the machine; the session behind it is not. The kernel is asked for the other end's socket (sock_diag(7)). */
#include "peer_user.h"

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "sallyport/own.h"

struct question {
	struct nlmsghdr header;
	struct inet_diag_req_v2 body;
};

static bool is_loopback(const struct sockaddr_storage *address)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
	return address->ss_family == AF_INET ? ntohl(v4->sin_addr.s_addr) >> 24 == 127
					     : address->ss_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

static void put_end(const struct sockaddr_storage *address, __be32 *out_address, __be16 *out_port)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
	bool is_v4 = address->ss_family == AF_INET;
	memcpy(out_address, is_v4 ? (const void *)&v4->sin_addr : &v6->sin6_addr, is_v4 ? 4 : 16);
	*out_port = is_v4 ? v4->sin_port : v6->sin6_port;
}

/* The socket whose own end is our peer, and whose peer is our own end. */
static struct question make_question(const struct sockaddr_storage *own, const struct sockaddr_storage *peer)
{
	struct question question = {
		.header = {.nlmsg_len = sizeof(question), .nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST},
		.body = {.sdiag_family = (uint8_t)peer->ss_family, .sdiag_protocol = IPPROTO_TCP, .idiag_states = -1U},
	};
	put_end(peer, question.body.id.idiag_src, &question.body.id.idiag_sport);
	put_end(own, question.body.id.idiag_dst, &question.body.id.idiag_dport);
	question.body.id.idiag_cookie[0] = question.body.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
	return question;
}

static enum peer_user judge(const struct inet_diag_msg *socket)
{
	if (socket->idiag_uid == getuid())
		return PEER_USER_SAME;
	/* A socket that nobody holds any more counts as root's; one that is established is held. */
	return socket->idiag_uid == 0 && socket->idiag_state == TCP_ESTABLISHED ? PEER_USER_SAME : PEER_USER_OTHER;
}

static enum peer_user ask_kernel(const struct question *question)
{
	union {
		struct nlmsghdr header;
		char space[4096];
	} answer;
	OWN_FD int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	if (fd < 0 || send(fd, question, sizeof(*question), 0) < 0)
		return PEER_USER_UNKNOWN;
	ssize_t size = recv(fd, &answer, sizeof(answer), 0);
	if (size < 0 || !NLMSG_OK(&answer.header, (size_t)size))
		return PEER_USER_UNKNOWN;
	return answer.header.nlmsg_type == NLMSG_ERROR ? PEER_USER_UNKNOWN : judge(NLMSG_DATA(&answer.header));
}

enum peer_user peer_user(int fd)
{
	struct sockaddr_storage own = {0}, peer = {0};
	socklen_t own_length = sizeof(own), peer_length = sizeof(peer);
	if (getsockname(fd, (struct sockaddr *)&own, &own_length) < 0 ||
	    getpeername(fd, (struct sockaddr *)&peer, &peer_length) < 0)
		return PEER_USER_OTHER;
	if (!is_loopback(&peer) || !is_loopback(&own))
		return PEER_USER_UNKNOWN;
	struct question theirs = make_question(&own, &peer), ours = make_question(&peer, &own);
	enum peer_user answer = ask_kernel(&theirs);
	/* Not found: it is gone, unless this kernel finds nothing at all (no tcp_diag). */
	return answer == PEER_USER_UNKNOWN && ask_kernel(&ours) != PEER_USER_UNKNOWN ? PEER_USER_OTHER : answer;
}

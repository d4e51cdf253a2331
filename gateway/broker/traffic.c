/* traffic.c: TCP_INFO (tcp(7)). By itself, because the kernel's header knows more than the C library's, and both cannot
 * be included.
 */
#include "traffic.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

struct traffic traffic_of(int fd)
{
	struct tcp_info info = {0};
	socklen_t size = sizeof(info);
	if (fd < 0 || getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0)
		return (struct traffic){.idle_ms = 0};
	uint64_t received = info.tcpi_last_data_recv, sent = info.tcpi_last_data_sent;
	return (struct traffic){
		/* The kernel counts the SYN as one. */
		.bytes_sent = info.tcpi_bytes_acked ? info.tcpi_bytes_acked - 1 : 0,
		.bytes_received = info.tcpi_bytes_received,
		.idle_ms = received < sent ? received : sent,
	};
}

/* traffic.h: what the kernel counted on a socket: the broker's own knowledge, not a worker's claim. */
#ifndef SALLYPORT_BROKER_TRAFFIC_H
#define SALLYPORT_BROKER_TRAFFIC_H

#include <stdint.h>

struct traffic {
	uint64_t bytes_sent;     /* acknowledged by the other end */
	uint64_t bytes_received;
	uint64_t idle_ms;        /* since the last byte either way */
};

/* Zeros for what is no TCP socket, or -1. */
struct traffic traffic_of(int fd);

#endif

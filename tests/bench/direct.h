/* direct.h: a tunnel that is a connection of its own: through a relay, a TLS proxy, or a SOCKS 5 port. */
#ifndef BENCH_DIRECT_H
#define BENCH_DIRECT_H

#include "connection.h"
#include "tunnel.h"

struct direct_route {
	uint16_t port;
	const struct tls_settings *tls; /* NULL for plain TCP */
	uint16_t socks_target;          /* asks the SOCKS 5 server for this loopback port; 0 is no SOCKS */
};

/* The route must outlive the tunnel. */
struct tunnel *direct_open(const struct direct_route *route, const struct tunnel_events *events, void *owner);
/* The connection that carries the tunnel. */
const struct connection *direct_connection(const struct tunnel *tunnel);

#endif

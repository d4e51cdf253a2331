/* h2.h: an HTTP/2 client connection and the tunnels (CONNECT streams, RFC 9113 8.5) on it. */
#ifndef BENCH_H2_H
#define BENCH_H2_H

#include "connection.h"
#include "tunnel.h"

struct h2;

struct h2_route {
	uint16_t port;
	const struct tls_settings *tls;
	const char *target;        /* host:port of CONNECT */
	const char *authorization; /* value of proxy-authorization and authorization, or NULL */
};

/* The route must outlive the connection. `opened` is called when streams can be opened. */
struct h2 *h2_open(const struct h2_route *route, void (*opened)(void *owner), void *owner);
/* A CONNECT stream; any answer but 200 ends the program. */
struct tunnel *h2_tunnel(struct h2 *h2, const struct tunnel_events *events, void *owner);
/* A GET; `finished` follows when the answer is complete; a status of 500 or more ends the program. */
struct tunnel *h2_get(struct h2 *h2, const char *path, const struct tunnel_events *events, void *owner);
/* Closes the connection with whatever is on it. */
void h2_close(struct h2 *h2);

#endif

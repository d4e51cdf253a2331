/* way.h: how the server under measurement is reached, as the options say; the figures do not care which it is. */
#ifndef BENCH_WAY_H
#define BENCH_WAY_H

#include "direct.h"
#include "h2.h"

enum way_kind { WAY_PLAIN, WAY_SOCKS, WAY_TLS, WAY_H2 };

struct way {
	enum way_kind kind;
	struct tls_settings tls;
	struct direct_route direct;
	struct h2_route h2;
	const char *get;      /* a client's one tiny exchange is a GET of this path; NULL: a tunnel's echo of one byte */
	struct h2 *shared_h2; /* the one connection that carries all tunnels of WAY_H2; opened by way_connect */
};

/* One client connection with its tiny exchange done. */
struct client {
	const struct way *way;
	struct h2 *h2;
	struct tunnel *tunnel; /* the connection itself, when it is a tunnel */
	bool done;
};

/* Opens what tunnels need (the HTTP/2 connection; nothing for the other ways), and waits for it. */
void way_connect(struct way *way);
/* Opens a tunnel. For WAY_H2 way_connect comes first. */
struct tunnel *way_tunnel(struct way *way, const struct tunnel_events *events, void *owner);
/* Resumes all further TLS connections with the ticket of a first one. */
void way_prepare_resumption(struct way *way);

/* Connects, makes the tiny exchange and waits for its end; the connection stays open. */
void client_open(struct client *client, const struct way *way);
void client_close(struct client *client);

#endif

/* figures.h: the work of each figure. A figure prepares, says "ready", waits for a line on standard input, works,
 * prints one line of results and waits for a line again, so that `run` can read the server's CPU time and memory
 * at exactly these points. */
#ifndef BENCH_FIGURES_H
#define BENCH_FIGURES_H

#include "way.h"

struct figure_options {
	uint64_t count;     /* connections, tunnels or round trips */
	uint64_t warm;      /* the same before "ready" */
	uint64_t in_flight; /* tunnels that are being opened at the same time */
	uint64_t tunnels;   /* that bulk uses at the same time */
	uint64_t bytes;     /* of bulk, all tunnels together */
	bool download;      /* bulk from the target to the client */
};

/* Handshake, tiny exchange, close; one after the other. */
void figure_connection(struct way *way, const struct figure_options *options);
/* Open, echo of one byte, close. A way of TLS resumes; one of HTTP/2 uses one connection. */
void figure_tunnel(struct way *way, const struct figure_options *options);
/* `bytes` in one direction. */
void figure_bulk(struct way *way, const struct figure_options *options);
/* Round trips of 64 bytes in one tunnel. */
void figure_pingpong(struct way *way, const struct figure_options *options);
/* Client connections (idle.c) or tunnels that are opened and then left alone. */
void figure_idle_connections(struct way *way, const struct figure_options *options);
void figure_idle_tunnels(struct way *way, const struct figure_options *options);

/* The two points at which `run` reads. */
void figure_ready(void);
__attribute__((format(printf, 1, 2))) void figure_result(const char *format, ...);

#endif

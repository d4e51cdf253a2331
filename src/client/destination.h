/* destination.h: where a tunnel leads, and the two ways to write it. Pure functions.
 *
 *   -W HOST:PORT
 *   -L [BIND:]PORT:HOST:PORT     IPv6 addresses stand in brackets
 *   -D [BIND:]PORT
 *
 * A host is not resolved and not judged here: the gateway does both.
 */
#ifndef CLIENT_DESTINATION_H
#define CLIENT_DESTINATION_H

#include <stdbool.h>
#include <stdint.h>

#include "status.h"

#define DESTINATION_HOST_MAX 255
/* "[HOST]:65535" */
#define DESTINATION_TEXT_MAX (DESTINATION_HOST_MAX + 9)

struct destination {
	char host[DESTINATION_HOST_MAX + 1]; /* without brackets */
	uint16_t port;
};

/* The same host, however it is written, and port. */
bool destination_equal(const struct destination *a, const struct destination *b);

/* What a connection to the local port says first. The numbers travel to the agent. */
enum forward_kind {
	FORWARD_FIXED = 1, /* nothing: it is carried to the destination (-L) */
	FORWARD_SOCKS = 2, /* SOCKS5 (-D) */
	FORWARD_HTTP = 3,  /* HTTP, as to a proxy */
};

struct forward {
	enum forward_kind kind;
	char bind[64]; /* a numeric address, without brackets */
	uint16_t port;
	struct destination destination; /* of FORWARD_FIXED */
};

/* STATUS_USAGE with a sentence that names what is wrong. As ssh hands over %h:%p without brackets, an
 * IPv6 address before the last colon is taken without them too. */
[[nodiscard]] int destination_parse(const char *text, struct destination *out_destination, struct diag *diag);
/* True for a host that may stand in a request: visible ASCII, and colons only in an IPv6 address. */
bool destination_host_is_plain(const char *host);
/* "host:port" or "[v6]:port", as CONNECT takes it. */
void destination_text(const struct destination *destination, char out_text[DESTINATION_TEXT_MAX]);

/* STATUS_USAGE with a sentence. BIND is an address or "localhost"; without it 127.0.0.1. */
[[nodiscard]] int forward_parse(const char *text, struct forward *out_forward, struct diag *diag);

/* "[BIND:]PORT" for FORWARD_SOCKS and FORWARD_HTTP, else as forward_parse. STATUS_USAGE with a sentence. */
[[nodiscard]] int forward_parse_kind(enum forward_kind kind, const char *text, struct forward *out_forward,
				     struct diag *diag);

#endif

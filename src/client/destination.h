/* destination.h: where a tunnel leads, and the two ways to write it. Pure functions.
 *
 *   -W HOST:PORT
 *   -L [BIND:]PORT:HOST:PORT     IPv6 addresses stand in brackets
 *
 * A host is not resolved and not judged here: the gateway does both.
 */
#ifndef CLIENT_DESTINATION_H
#define CLIENT_DESTINATION_H

#include <stdint.h>

#include "status.h"

#define DESTINATION_HOST_MAX 255
/* "[HOST]:65535" */
#define DESTINATION_TEXT_MAX (DESTINATION_HOST_MAX + 9)

struct destination {
	char host[DESTINATION_HOST_MAX + 1]; /* without brackets */
	uint16_t port;
};

struct forward {
	char bind[64]; /* a numeric address, without brackets */
	uint16_t port;
	struct destination destination;
};

/* STATUS_USAGE with a sentence that names what is wrong. As ssh hands over %h:%p without brackets, an
 * IPv6 address before the last colon is taken without them too. */
[[nodiscard]] int destination_parse(const char *text, struct destination *out_destination, struct diag *diag);
/* "host:port" or "[v6]:port", as CONNECT takes it. */
void destination_text(const struct destination *destination, char out_text[DESTINATION_TEXT_MAX]);

/* STATUS_USAGE with a sentence. BIND is an address or "localhost"; without it 127.0.0.1. */
[[nodiscard]] int forward_parse(const char *text, struct forward *out_forward, struct diag *diag);

#endif

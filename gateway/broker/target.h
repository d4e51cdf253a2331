/* target.h: what a client typed as host and port, in its one canonical spelling. Pure functions. */
#ifndef SALLYPORT_BROKER_TARGET_H
#define SALLYPORT_BROKER_TARGET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "sallyport/buf.h"
#include "sallyport/err.h"

#define TARGET_HOST_MAX 253

struct target {
	char host[TARGET_HOST_MAX + 1]; /* lower case, no trailing dot; an address in its canonical text */
	uint16_t port;
	bool is_address;
	struct sockaddr_storage address; /* with the port, when is_address */
};

/* Brings host (brackets are optional around an IPv6 address) and port to their canonical form: names in lower
 * case without the trailing dot; every spelling that inet_aton(3) takes (decimal, hexadecimal, octal, short
 * forms) as dotted IPv4; IPv4-mapped IPv6 as IPv4; IPv6 as RFC 5952. So that every spelling of a target meets
 * the same verdict. ERR_BAD_INPUT with a sentence for what is no host: userinfo, wildcards, percent signs,
 * control characters, characters outside ASCII (their xn-- form is the spelling), labels that are none. */
[[nodiscard]] int target_parse(struct view host, uint32_t port, struct target *out_target, struct diag *diag);

/* Text of an address without port; text takes INET6_ADDRSTRLEN characters. IPv4-mapped as IPv4. */
void target_address_text(const struct sockaddr *address, char *out_text, size_t capacity);

/* An IPv4-mapped IPv6 address becomes the IPv4 address that it means; others stay. The port stays. */
void target_unmap(struct sockaddr_storage *address);

#endif

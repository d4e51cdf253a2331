/* pac.h: what leads a browser through the gateway: resources in, a script for the browser out (proxy auto-configuration). Pure.
 *
 * The gateway's own (GET /proxy.pac), the client's (sallyport pac) and the one in a fleet's policy (sallyport-admin browser
 * policy) are made here. A browser asks the script about each URL; what a resource names, with its port, goes to the proxy,
 * everything else directly. Nothing gets into the script but checked characters of host names, numbers, and text of our own:
 * what a resource or a gateway calls itself cannot become code.
 */
#ifndef SALLYPORT_PAC_H
#define SALLYPORT_PAC_H

#include <stdbool.h>
#include <stdint.h>

#include "sallyport/buf.h"
#include "sallyport/err.h"

/* Browsers read no longer script. */
#define PAC_BYTES_MAX (1 << 20)

struct pac {
	struct buf names, zones, networks4, networks6; /* rows of the script's tables */
};
void pac_init(struct pac *pac);
void pac_fini(struct pac *pac);
#define OWN_PAC __attribute__((cleanup(pac_fini)))

/* Adds what a resource names: addresses as the policy writes them ("db1:5432", "*.corp.example:1-1023",
 * "10.20.0.0/24:443", "[2001:db8::/32]:443"), separated by commas, spaces or line ends; and its own name where one host is
 * all that it has (sallyport-policy.conf(5)). What is no such address is left out. ERR_LIMIT, ERR_SYSTEM. */
[[nodiscard]] int pac_add(struct pac *pac, struct view name, struct view addresses);

struct pac_proxy {
	bool is_tls;      /* spoken to by TLS; else in clear */
	const char *host; /* a name, or an address (IPv6 with or without brackets) */
	uint16_t port;
};
/* Appends the script. What the browser wants of the proxy itself at that port goes there directly. ERR_BAD_INPUT for a proxy
 * whose host is none, ERR_LIMIT, ERR_SYSTEM. */
[[nodiscard]] int pac_write(const struct pac *pac, const struct pac_proxy *proxy, struct buf *out_text);

#endif

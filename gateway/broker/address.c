/* address.c: socket addresses: the port, and text for the record. */
#include "address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

#include "target.h"

/* The port stands at the same place in both families. */
_Static_assert(offsetof(struct sockaddr_in, sin_port) == offsetof(struct sockaddr_in6, sin6_port), "sin_port");

void address_set_port(struct sockaddr_storage *address, uint16_t port)
{
	((struct sockaddr_in *)address)->sin_port = htons(port);
}

void address_text(const struct sockaddr *address, char *out_text, size_t capacity)
{
	char host[INET6_ADDRSTRLEN];
	target_address_text(address, host, sizeof(host));
	unsigned port = ntohs(((const struct sockaddr_in *)(const void *)address)->sin_port);
	snprintf(out_text, capacity, address->sa_family == AF_INET6 ? "[%s]:%u" : "%s:%u", host, port);
}

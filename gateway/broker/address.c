/* address.c: socket addresses: the port, and text for the record and for people. */
#include "address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "sallyport/conf.h"
#include "sallyport/str.h"
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

int address_public(const char *name, const char *configured, const char *listen, char *out_text, size_t capacity)
{
	char host[256];
	uint16_t port = 0;
	size_t position = 0;
	struct view first;
	if (*configured)
		return str_copy(out_text, capacity, configured) ? 0 : ERR_LIMIT;
	if (!conf_list_next(listen, &position, &first) || str_split_authority(first, host, sizeof(host), &port) < 0)
		return ERR_NOT_FOUND;
	bool six = strchr(name, ':');
	return (size_t)snprintf(out_text, capacity, "%s%s%s:%u", six ? "[" : "", name, six ? "]" : "", port) < capacity ? 0 : ERR_LIMIT;
}

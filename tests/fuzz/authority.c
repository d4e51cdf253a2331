/* authority.c: fuzz target: "HOST:PORT" as clients write it. */
#include <stdio.h>
#include <string.h>

#include "fuzz.h"
#include "sallyport/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char host[256] = "";
	uint16_t port = 0;
	/* What needs no port takes it all the same, and means no other host. */
	char host_only[256] = "";
	uint16_t port_said = 0;
	bool taken = str_split_host(view_of(data, size), 80, host_only, sizeof(host_only), &port_said) == 0;
	MUST(!taken || (port_said && host_only[0]));
	if (str_split_authority(view_of(data, size), host, sizeof(host), &port) < 0)
		return 0;
	MUST(taken && strcmp(host, host_only) == 0 && port == port_said);
	MUST(port != 0 && host[0] && strlen(host) < sizeof(host));
	/* Spelled again it is the same. */
	char again[300], host_again[256];
	uint16_t port_again = 0;
	snprintf(again, sizeof(again), strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, port);
	MUST(str_split_authority(view_string(again), host_again, sizeof(host_again), &port_again) == 0);
	MUST(strcmp(host, host_again) == 0 && port == port_again);
	return 0;
}

/* first_keys.h: the first authorities and the first server certificate, for init and ca init. */
#ifndef SALLYPORT_ADMIN_FIRST_KEYS_H
#define SALLYPORT_ADMIN_FIRST_KEYS_H

#include "sallyport/err.h"

struct first_pair {
	const char *certificate, *key; /* paths; neither may be there */
};
/* Vouches for devices. `url` (or NULL): the key is in a token, and place->key is not used. */
[[nodiscard]] int first_device_authority(const struct first_pair *place, const char *host, const char *url, struct diag *diag);
/* Vouches for the gateway towards laptops, and the gateway's certificate by it. */
[[nodiscard]] int first_server(const struct first_pair *authority_place, const struct first_pair *place, const char *host,
			       struct diag *diag);

#endif

/* session.h: the stored session of this device at one gateway. A token is told to the gateway that gave it, and to no
 * other: whoever sends one looks it up here, by the name of the gateway that the connection leads to. */
#ifndef CLIENT_SESSION_H
#define CLIENT_SESSION_H

#include "settings.h"
#include "token.h"

/* As token_path, for this device. `authority`: "host:port" of the gateway. */
[[nodiscard]] int session_path(const struct settings *settings, const char *authority, char *out_path, size_t capacity,
			       struct diag *diag);
/* As token_load. The token is wiped first, so that there is none after an error. */
[[nodiscard]] int session_load(const struct settings *settings, const char *authority, struct token *out_token,
			       struct diag *diag);
/* Is there one at any of the gateways? STATUS_OK, or as session_load. */
[[nodiscard]] int session_look(const struct settings *settings, struct diag *diag);

#endif

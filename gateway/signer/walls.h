/* walls.h: the signer's plan of walls, for the signer and for tests/jail. */
#ifndef SALLYPORT_SIGNER_WALLS_H
#define SALLYPORT_SIGNER_WALLS_H

#include "jail.h"
#include "sallyport/conf.h"

/* `identity` is filled in from the setting signer_user. */
extern const struct jail signer_walls;

/* What changes when a key lives in a token: the module's paths (token_paths) can be reached, and its files and
 * local sockets opened; what else it tries is refused instead of deadly, for it is foreign code. The network stays
 * empty, programs and processes impossible. */
#define SIGNER_TOKEN_PATHS_MAX 24
struct signer_token_walls {
	struct jail_path paths[SIGNER_TOKEN_PATHS_MAX];
	char texts[SIGNER_TOKEN_PATHS_MAX][4096];
};
[[nodiscard]] int signer_walls_for_token(const struct conf *conf, struct signer_token_walls *token, struct jail *walls,
					 struct diag *diag);

#endif

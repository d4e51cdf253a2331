/* walls.h: the signer's plan of walls, for the signer and for tests/jail. */
#ifndef SALLYPORT_SIGNER_WALLS_H
#define SALLYPORT_SIGNER_WALLS_H

#include "jail.h"

/* `identity` is filled in from the setting signer_user. */
extern const struct jail signer_walls;

#endif

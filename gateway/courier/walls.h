/* walls.h: the courier's walls. */
#ifndef SALLYPORT_COURIER_WALLS_H
#define SALLYPORT_COURIER_WALLS_H

#include "jail.h"

extern const struct jail courier_walls; /* without an identity: that is a setting */

#endif

/* space.h: namespaces, and a root with nothing in it. */
#ifndef SALLYPORT_ROOM_SPACE_H
#define SALLYPORT_ROOM_SPACE_H

#include "jail.h"

/* Leaves the shared namespaces (enum jail_namespace bits). An ordinary user gets a user namespace around
 * them where the system allows that. ERR_SYSTEM: nothing was left; ERR_BUG: it went wrong half-way. */
[[nodiscard]] int space_leave(unsigned namespaces, struct diag *diag);
/* Puts an empty, read-only file system in place of the root, and detaches the old one. Inside a mount
 * namespace of its own. ERR_SYSTEM. */
[[nodiscard]] int space_empty_root(struct diag *diag);

#endif

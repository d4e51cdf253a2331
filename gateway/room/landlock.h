/* landlock.h: Landlock by raw system calls: rules made early, put in force late. */
#ifndef SALLYPORT_ROOM_LANDLOCK_H
#define SALLYPORT_ROOM_LANDLOCK_H

#include "jail.h"

/* Makes the rule set of a plan; its paths are opened now, so this comes before the root goes away.
 * *out_rules is a descriptor. ERR_SYSTEM when the kernel has no Landlock. */
[[nodiscard]] int landlock_prepare(const struct jail *jail, int *out_rules, struct diag *diag);
/* Puts it in force. no_new_privs is set. */
[[nodiscard]] int landlock_enforce(int rules, struct diag *diag);

#endif

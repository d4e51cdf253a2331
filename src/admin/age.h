/* age.h: encryption of backups, by the program age (age-encryption.org), as a process of its own. */
#ifndef SALLYPORT_ADMIN_AGE_H
#define SALLYPORT_ADMIN_AGE_H

#include <stdbool.h>

#include "sallyport/err.h"

/* Both go from the beginning of `from` to `to`, which the caller has opened. `recipient`: age1..., an SSH public key, or the path of a
 * file of these. `identity`: the path of a file with the private key; age may ask for its passphrase at the terminal.
 * ERR_SYSTEM, ERR_DENIED (age says no; why, it has said on standard error). */
[[nodiscard]] int age_encrypt(int from, int to, const char *recipient, struct diag *diag);
[[nodiscard]] int age_decrypt(int from, int to, const char *identity, struct diag *diag);
/* Whether the descriptor's first bytes are those of an encrypted file. */
bool age_is(int fd);

#endif

/* audit_key.h: the key that signs checkpoints of the record: private half for the signer, public half for whoever verifies. */
#ifndef SALLYPORT_ADMIN_AUDIT_KEY_H
#define SALLYPORT_ADMIN_AUDIT_KEY_H

#include "sallyport/err.h"

/* Makes both files (PEM, modes 0600 and 0644); never overwrites. ERR_DENIED, ERR_SYSTEM with a sentence. */
[[nodiscard]] int audit_key_make(const char *key_path, const char *public_path, struct diag *diag);

#endif

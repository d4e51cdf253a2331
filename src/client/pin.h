/* pin.h: the PIN of the token in which this device's key lives. */
#ifndef CLIENT_PIN_H
#define CLIENT_PIN_H

#include "settings.h"

/* From now on a token's PIN is read from the file that the key's URL names (pin-source), or asked of whoever answers
 * questions (prompt.h). The settings must live on. */
void pin_prepare(const struct settings *settings);

#endif

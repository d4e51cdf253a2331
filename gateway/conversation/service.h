/* service.h: what stands in a PAM service file, as far as this room must know it. */
#ifndef SALLYPORT_CONVERSATION_SERVICE_H
#define SALLYPORT_CONVERSATION_SERVICE_H

#include <stdbool.h>

/* Whether the file, or one that it takes in by @include, has a session line: libpam itself cannot be asked, and calls a
 * stack without one a refusal. `directory` empty: /etc/pam.d. Files that cannot be read have none. */
bool service_has_session(const char *directory, const char *service);

#endif

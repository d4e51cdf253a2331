/* status_screen.h: the gateway on one screen of 24 lines and 80 columns, as far as names and trouble let it. */
#ifndef SALLYPORT_ADMIN_STATUS_SCREEN_H
#define SALLYPORT_ADMIN_STATUS_SCREEN_H

#include <jansson.h>

/* `status`: what cmd_status.c has gathered, which is also what --json shows. */
void status_screen(const json_t *status, const json_t *findings);

#endif

/* paths.h: the folders and the admin socket that must stand before the rooms start. */
#ifndef SALLYPORT_MONITOR_PATHS_H
#define SALLYPORT_MONITOR_PATHS_H

#include "sallyport/conf.h"

/* Makes the store's folder (0700, the broker's) and the admin socket's folder where they are missing; refuses a
 * store's folder that is not the broker's or that others can read. With make = 0 only checks what exists. */
[[nodiscard]] int paths_prepare(const struct conf *conf, int make, struct diag *diag);
/* Binds the admin socket. A socket that was left behind is replaced; one that answers is another gateway's. */
[[nodiscard]] int paths_admin_listener(const struct conf *conf, int *out_fd, struct diag *diag);
/* The same for the second factor's socket. */
[[nodiscard]] int paths_factor_listener(const struct conf *conf, int *out_fd, struct diag *diag);
/* Of metrics_listen, which must not be empty here: a path, or a port of loopback; anything else is ERR_BAD_CONFIG. */
[[nodiscard]] int paths_metrics_listener(const struct conf *conf, int *out_fd, struct diag *diag);
[[nodiscard]] int paths_check_metrics(const struct conf *conf, struct diag *diag);
/* The PAM service file must be there: without it PAM would ask the service "other". */
[[nodiscard]] int paths_check_pam(const struct conf *conf, struct diag *diag);

#endif

/* files.h: the files that the monitor opens for its rooms: who owns them, who may read them (promise F4). */
#ifndef SALLYPORT_MONITOR_FILES_H
#define SALLYPORT_MONITOR_FILES_H

#include "sallyport/conf.h"

enum files_care {
	FILES_NOT_WRITABLE_BY_OTHERS, /* configuration, policy, certificates */
	FILES_PRIVATE,                /* keys: nobody but the owner may read them */
	FILES_PRIVATE_OR_ABSENT,      /* the same; without the file its room goes without */
};

/* Opens a regular file read-only and checks owner (root, or the gateway's own user) and mode. The sentence names
 * the path and the command that mends it. ERR_SYSTEM, ERR_DENIED. */
[[nodiscard]] int files_open(const char *path, enum files_care care, int *out_fd, struct diag *diag);

/* Opens what a room gets (bits of enum conf_room: CONF_SIGNER, CONF_WORKER for the template, CONF_BROKER) and sends
 * each as `descriptor` on its edge. The broker's policy files are the policy file and then policy_directory's
 * *.conf in the order of their names. */
[[nodiscard]] int files_send(int edge, unsigned room, const struct conf *conf, struct diag *diag);

/* Opens the list of revoked certificates of that authority section and sends it to the broker, or `list_missing` with a
 * sentence. Negative when the edge is over. */
[[nodiscard]] int files_send_list(int edge, const struct conf *conf, struct view issuer);

/* The same checks without sending, for -T. */
[[nodiscard]] int files_check(const struct conf *conf, struct diag *diag);

#endif

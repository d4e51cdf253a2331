/* conf_file.h: gateway.conf, from text to values. */
#ifndef SALLYPORT_MONITOR_CONF_FILE_H
#define SALLYPORT_MONITOR_CONF_FILE_H

#include "sallyport/conf.h"

/* Parses the text of a configuration on top of the defaults. `path` is for sentences. On success out_conf is
 * the caller's (conf_fini). ERR_BAD_CONFIG with "PATH:LINE: what is wrong and what is expected"; nothing is
 * left in out_conf then. */
[[nodiscard]] int conf_file_parse(const char *path, const char *text, struct conf *out_conf, struct diag *diag);

/* Opens, checks and parses a file. A file that others can write is refused. */
[[nodiscard]] int conf_file_load(const char *path, struct conf *out_conf, struct diag *diag);

#endif

/* cmd_policy.h: what cmd_policy.c and cmd_policy_try.c share. */
#ifndef SALLYPORT_ADMIN_CMD_POLICY_H
#define SALLYPORT_ADMIN_CMD_POLICY_H

#include <stdio.h>

#include "admin.h"
#include "sallyport/own.h"

DEFINE_OWN(json, json_t *, json_decref)

/* A list of name and text; NULL with a sentence. */
json_t *policy_read_files(char *const *paths, int count, struct diag *diag);
/* A line of foreign text, made printable. */
void policy_print(FILE *out, const char *before, const char *text);
/* Holds expectations against the policy of those files, or the one in force. Returns the exit status. With --json the
 * answer, with its "file", is added to `results` instead of being printed. */
int policy_run_tests(const struct admin_options *options, const char *expectations, char *const *paths, int count, json_t *results);

/* The policies that were in force since then, oldest first: version, since, until, print, files. Returns the exit status. */
int policy_versions(const struct admin_options *options, uint64_t since_ms, json_t **out_versions);

#endif

/* admin.h: what the subcommands of sallyport-admin share. */
#ifndef SALLYPORT_ADMIN_ADMIN_H
#define SALLYPORT_ADMIN_ADMIN_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "sallyport/err.h"

/* Exit statuses, as the man page has them. */
enum { ADMIN_DONE = 0, ADMIN_FAILED = 1, ADMIN_USAGE = 2, ADMIN_UNREACHABLE = 3 };

#define ADMIN_VALUES_MAX 32

/* The command line, taken apart. */
struct admin_options {
	const char *socket;
	bool json, all, follow;
	const char *name, *directory, *listen, *csr, *user, *device, *to, *after, *at, *from, *tests;
	const char *users[ADMIN_VALUES_MAX], *tags[ADMIN_VALUES_MAX];
	unsigned user_count, tag_count;
	char **words; /* behind the subcommand's own */
	int word_count;
};

/* "sallyport-admin: SENTENCE" on standard error; returns `status`. */
[[gnu::format(printf, 2, 3)]] int admin_say(int status, const char *format, ...);

/* ---- call.c: the admin socket ---- */
/* Asks and parses the answer. Returns ADMIN_DONE with *out_answer (json_decref), or says what is wrong on standard
 * error and returns the exit status. `body` (may be NULL) is taken over. `path` must be encoded (call_escape). */
int call(const struct admin_options *options, const char *method, const char *path, json_t *body, json_t **out_answer);
/* Appends text to a path, percent-encoded. */
[[nodiscard]] int call_escape(char *path, size_t capacity, const char *text);

/* ---- table.c ---- */
/* Prints an array of objects as columns: pairs of heading and key, ended by NULL. Lists are joined by commas, null is
 * "-". What came from outside cannot steer the terminal. */
void table_print(const json_t *array, const char *const *columns);
/* One object, a line for each pair. */
void table_print_object(const json_t *object, const char *const *pairs);
/* The JSON itself, for programs. */
int table_print_json(const json_t *json);

/* ---- subcommands ---- */
int cmd_init(const struct admin_options *options);
int cmd_device_add(const struct admin_options *options);
int cmd_device_list(const struct admin_options *options);
int cmd_device_show(const struct admin_options *options);
int cmd_device_lock(const struct admin_options *options);
int cmd_device_unlock(const struct admin_options *options);
int cmd_device_revoke(const struct admin_options *options);
int cmd_session_list(const struct admin_options *options);
int cmd_session_show(const struct admin_options *options);
int cmd_session_end(const struct admin_options *options);
int cmd_tunnel_list(const struct admin_options *options);
int cmd_audit(const struct admin_options *options);
int cmd_policy_check(const struct admin_options *options);
int cmd_policy_explain(const struct admin_options *options);
int cmd_policy_apply(const struct admin_options *options);
int cmd_policy_test(const struct admin_options *options);
int cmd_policy_diff(const struct admin_options *options);
int cmd_policy_shadow(const struct admin_options *options);
int cmd_status(const struct admin_options *options);

#endif

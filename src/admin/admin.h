/* admin.h: what the subcommands of sallyport-admin share. */
#ifndef SALLYPORT_ADMIN_ADMIN_H
#define SALLYPORT_ADMIN_ADMIN_H

#include <jansson.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "sallyport/buf.h"
#include "sallyport/err.h"

/* Exit statuses, as the man page has them. */
enum { ADMIN_DONE = 0, ADMIN_FAILED = 1, ADMIN_USAGE = 2, ADMIN_UNREACHABLE = 3, ADMIN_UNCHECKED = 4 };

#define ADMIN_VALUES_MAX 32

/* The values of an option that may be given several times. */
struct admin_values {
	const char *list[ADMIN_VALUES_MAX];
	unsigned count;
};

/* The command line, taken apart. */
struct admin_options {
	const char *socket;
	bool json, help, version, all, follow, any_user, qr, csv, if_due, once, check;
	bool chromium, firefox, home;
	const char *name, *directory, *listen, *csr, *device, *to, *after, *expires, *expiring, *unseen, *enroll_listen, *cert, *pending;
	const char *at, *realm, *from, *tests, *session, *since, *event, *code, *id, *html;
	const char *conf, *store, *checkpoints, *key, *encrypt_to, *identity;
	const char *url, *pac, *authority_file, *bookmark;
	struct admin_values users, groups, tags, resources, allow_groups, addresses;
	const char *description, *fresh_login;
	char **words; /* behind the subcommand's own */
	int word_count;
};

/* --since: so long ago, or a day or moment of UTC, as milliseconds since 1970; 0 when it was not given. False: said so. */
bool admin_since(const struct admin_options *options, uint64_t *out_ms);
/* "sallyport-admin: SENTENCE" on standard error; returns `status`. */
[[gnu::format(printf, 2, 3)]] int admin_say(int status, const char *format, ...);

/* What is said, as one printable line; cut at capacity. */
[[gnu::format(printf, 3, 0)]] void admin_spell(char *out_sentence, size_t capacity, const char *format, va_list arguments);
/* Members of an object; "" and 0 for what is not there, or is something else. */
const char *admin_text(const json_t *object, const char *key);
json_int_t admin_number(const json_t *object, const char *key);

/* ---- files that some subcommands work on by themselves ---- */
#define ADMIN_STORE "/var/lib/sallyport/sallyport.db"
#define ADMIN_AUDIT_KEY "/etc/sallyport/audit.key"
#define ADMIN_AUDIT_PUBLIC_KEY "/etc/sallyport/audit.pub"
static inline const char *admin_store(const struct admin_options *options)
{
	return options->store ? options->store : ADMIN_STORE;
}

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
/* Words in lines of 80 columns at most; `first` stands before the first line, `others` before the others. */
void table_print_wrapped(const char *first, const char *others, const char *text);
/* The JSON itself, for programs. */
int table_print_json(const json_t *json);

/* An array of objects as comma-separated values (RFC 4180), with the headings' keys as the first line. */
void table_print_csv(const json_t *array, const char *const *columns);

/* ---- qr.c ---- */
[[nodiscard]] int qr_print(const char *text);
/* ---- policy_text.c: the language of the policy ---- */
/* A name that a resource or rule and its file can have. */
bool policy_text_is_name(const char *name);
struct policy_text_rule {
	struct admin_values groups, users, device_tags, resources;
	const char *fresh_login; /* or NULL */
};
/* Append a section. ERR_BAD_INPUT with a sentence for what cannot be written down. `description` may be NULL. */
[[nodiscard]] int policy_text_resource(struct buf *out, const char *name, struct admin_values addresses,
				       const char *description, struct diag *diag);
[[nodiscard]] int policy_text_rule(struct buf *out, const char *name, const struct policy_text_rule *rule, struct diag *diag);

/* ---- subcommands ---- */
int cmd_init(const struct admin_options *options);
int cmd_device_add(const struct admin_options *options);
int cmd_host_invite(const struct admin_options *options);
int cmd_host_reinvite(const struct admin_options *options);
int cmd_host_list(const struct admin_options *options);
int cmd_host_show(const struct admin_options *options);
int cmd_host_lock(const struct admin_options *options);
int cmd_host_unlock(const struct admin_options *options);
int cmd_host_revoke(const struct admin_options *options);
int cmd_host_forget(const struct admin_options *options);
int cmd_device_list(const struct admin_options *options);
int cmd_device_show(const struct admin_options *options);
int cmd_device_lock(const struct admin_options *options);
int cmd_device_unlock(const struct admin_options *options);
int cmd_device_revoke(const struct admin_options *options);
int cmd_device_invite(const struct admin_options *options);
int cmd_device_reinvite(const struct admin_options *options);
int cmd_device_invitations(const struct admin_options *options);
int cmd_device_approve(const struct admin_options *options);
int cmd_device_withdraw(const struct admin_options *options);
int cmd_device_import(const struct admin_options *options);
int cmd_device_rename(const struct admin_options *options);
int cmd_device_tag(const struct admin_options *options);
int cmd_device_bind(const struct admin_options *options);
int cmd_device_unbind(const struct admin_options *options);
int cmd_device_forget(const struct admin_options *options);
int cmd_device_pending(const struct admin_options *options);
int cmd_device_adopt(const struct admin_options *options);
int cmd_ca_show(const struct admin_options *options);
int cmd_ca_init(const struct admin_options *options);
int cmd_ca_rotate(const struct admin_options *options);
int cmd_ca_request(const struct admin_options *options);
int cmd_ca_import(const struct admin_options *options);
int cmd_ca_trust(const struct admin_options *options);
int cmd_ca_drop(const struct admin_options *options);
int cmd_server_show(const struct admin_options *options);
int cmd_server_renew(const struct admin_options *options);
int cmd_reload(const struct admin_options *options);
int cmd_account_show(const struct admin_options *options);
int cmd_account_lock(const struct admin_options *options);
int cmd_account_unlock(const struct admin_options *options);
int cmd_account_factor(const struct admin_options *options);
int cmd_session_list(const struct admin_options *options);
int cmd_session_show(const struct admin_options *options);
int cmd_session_end(const struct admin_options *options);
int cmd_tunnel_list(const struct admin_options *options);
int cmd_tunnel_close(const struct admin_options *options);
int cmd_top(const struct admin_options *options);
int cmd_alert_list(const struct admin_options *options);
int cmd_alert_test(const struct admin_options *options);
int cmd_alert_spool(const struct admin_options *options);
int cmd_alert_retry(const struct admin_options *options);
int cmd_alert_drop(const struct admin_options *options);
int cmd_audit(const struct admin_options *options);
int cmd_audit_verify(const struct admin_options *options);
int cmd_audit_checkpoints(const struct admin_options *options);
int cmd_audit_export(const struct admin_options *options);
int cmd_backup(const struct admin_options *options);
int cmd_restore(const struct admin_options *options);
int cmd_audit_key(const struct admin_options *options);
int cmd_policy_check(const struct admin_options *options);
int cmd_policy_explain(const struct admin_options *options);
int cmd_resource_add(const struct admin_options *options);
int cmd_rule_add(const struct admin_options *options);
int cmd_sources_list(const struct admin_options *options);
int cmd_sources_clear(const struct admin_options *options);
int cmd_policy_apply(const struct admin_options *options);
int cmd_policy_test(const struct admin_options *options);
int cmd_policy_diff(const struct admin_options *options);
int cmd_policy_shadow(const struct admin_options *options);
int cmd_policy_history(const struct admin_options *options);
int cmd_browser_policy(const struct admin_options *options);
int cmd_report(const struct admin_options *options);
int cmd_doctor(const struct admin_options *options);
int cmd_status(const struct admin_options *options);

#endif

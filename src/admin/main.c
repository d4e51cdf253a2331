/* main.c: sallyport-admin: the table of subcommands; help, usage errors and dispatch come from it.
 *
 * Each subcommand stands in cmd_*.c. `init` and what proves and keeps the record work on files; everything else asks the
 * gateway (call.c).
 */
#include <getopt.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin.h"
#include "sallyport/clock.h"
#include "sallyport/str.h"

static const struct subcommand {
	const char *group, *verb; /* verb "" when the group is all there is */
	const char *arguments, *help;
	int least, most; /* words behind it */
	int (*run)(const struct admin_options *options);
} subcommands[] = {
	{"init", "", "--name HOST [--resource NAME=HOST:PORT --allow-group GROUP] [--dir DIR] [--listen ADDRESS:PORT] "
	 "[--enroll-listen ADDRESS:PORT] [--key pkcs11:URL]",
	 "make authority, server certificate, configuration, first policy; never overwrites", 0, 0, cmd_init},
	{"device", "add", "NAME --user USER [--tag TAG] --csr FILE|-", "register a laptop and print its certificate", 1, 1, cmd_device_add},
	{"device", "invite", "NAME --user USER [--user USER]... | --any-user [--tag TAG]... [--expires 24h] [--qr]", "print the line with which a laptop enrols itself, once", 1, 1, cmd_device_invite},
	{"device", "reinvite", "NAME [--expires 24h] [--qr]", "the same for a known device whose key is lost; its old certificates end then", 1, 1, cmd_device_reinvite},
	{"device", "invitations", "", "open and late invitations, and the confirmation codes of those that wait", 0, 0, cmd_device_invitations},
	{"device", "approve", "NAME [CODE]", "let a waiting laptop in: its code is the one that its user sees; a late renewal wants it said", 1, 2, cmd_device_approve},
	{"device", "withdraw", "NAME", "make an invitation worthless", 1, 1, cmd_device_withdraw},
	{"device", "import", "FILE.csv|-", "invite many: NAME,USER USER,TAG TAG a line", 1, 1, cmd_device_import},
	{"device", "pending", "", "unknown devices of trusted authorities (where adopt_unknown is set)", 0, 0, cmd_device_pending},
	{"device", "adopt", "NAME [--user USER] --cert FILE | --pending FINGERPRINT", "register a device with the certificate of another, trusted authority; without users: the next certificate of one that is there", 1, 1, cmd_device_adopt},
	{"device", "list", "[--user USER] [--tag TAG] [--expiring 14d] [--unseen 30d] [--csv]", "devices: all, or those that fit", 0, 0, cmd_device_list},
	{"device", "show", "NAME", "one device, whole", 1, 1, cmd_device_show},
	{"device", "lock", "NAME", "shut it out now, until it is unlocked", 1, 1, cmd_device_lock},
	{"device", "unlock", "NAME", "let it in again", 1, 1, cmd_device_unlock},
	{"device", "revoke", "NAME", "shut it out now, for ever", 1, 1, cmd_device_revoke},
	{"device", "rename", "NAME NEW-NAME", "another name; id, certificates and record stay", 2, 2, cmd_device_rename},
	{"device", "tag", "NAME [TAG...]", "set its tags: these and no others", 1, 64, cmd_device_tag},
	{"device", "bind", "NAME --user USER", "let that user log in there too", 1, 1, cmd_device_bind},
	{"device", "unbind", "NAME --user USER", "no longer; his sessions there end now", 1, 1, cmd_device_unbind},
	{"device", "forget", "NAME", "drop a revoked device from the list; its record stays", 1, 1, cmd_device_forget},
	{"host", "invite", "NAME [--tag TAG]... [--expires 24h] [--qr]", "print the line with which an internal host enrols, to ask who is present", 1, 1, cmd_host_invite},
	{"host", "reinvite", "NAME [--expires 24h] [--qr]", "the same for a known host whose key is lost", 1, 1, cmd_host_reinvite},
	{"host", "withdraw", "NAME", "make an invitation worthless", 1, 1, cmd_device_withdraw},
	{"host", "approve", "NAME [CODE]", "let a waiting host in", 1, 2, cmd_device_approve},
	{"host", "list", "[--tag TAG] [--expiring 14d] [--unseen 30d] [--csv]", "internal hosts that may ask who is present", 0, 0, cmd_host_list},
	{"host", "show", "NAME", "one host, whole", 1, 1, cmd_host_show},
	{"host", "lock", "NAME", "answer it no more, until it is unlocked", 1, 1, cmd_host_lock},
	{"host", "unlock", "NAME", "answer it again", 1, 1, cmd_host_unlock},
	{"host", "revoke", "NAME", "answer it no more, for ever", 1, 1, cmd_host_revoke},
	{"host", "forget", "NAME", "drop a revoked host from the list; its record stays", 1, 1, cmd_host_forget},
	{"ca", "show", "", "the authorities that vouch for devices", 0, 0, cmd_ca_show},
	{"ca", "init", "--name HOST [--dir DIR] [--key pkcs11:URL]", "make the authority that vouches for devices, where there is none", 0, 0, cmd_ca_init},
	{"ca", "rotate", "[--key pkcs11:URL]", "a new authority; the former one counts until its last certificate is gone", 0, 0, cmd_ca_rotate},
	{"ca", "request", "[--key pkcs11:URL]", "print a request for an authority above ours to sign", 0, 0, cmd_ca_request},
	{"ca", "import", "FILE [--key pkcs11:URL]", "put in force what it has signed", 1, 1, cmd_ca_import},
	{"ca", "trust", "FILE", "let another authority vouch for devices too; each must still be adopted", 1, 1, cmd_ca_trust},
	{"ca", "drop", "FINGERPRINT", "trust a retired or another authority no more", 1, 1, cmd_ca_drop},
	{"server", "show", "", "the certificate that the gateway shows", 0, 0, cmd_server_show},
	{"server", "renew", "[--if-due]", "renew it, with the gateway's own authority; no tunnel drops", 0, 0, cmd_server_renew},
	{"reload", "", "", "have the gateway read configuration, policy and keys again", 0, 0, cmd_reload},
	{"account", "show", "USER", "lock, failed logins, devices, sessions", 1, 1, cmd_account_show},
	{"account", "lock", "USER", "no session for him, and end those that he has, now", 1, 1, cmd_account_lock},
	{"account", "unlock", "USER", "let him log in again; forget his failed logins", 1, 1, cmd_account_unlock},
	{"account", "factor", "add|show|codes|revoke-codes|remove USER", "second factor: a new one with QR code and recovery codes; its state; new recovery codes; none any more; away with it", 2, 2, cmd_account_factor},
	{"session", "list", "[--user USER] [--device NAME]", "who is logged in: all, or those that fit", 0, 0, cmd_session_list},
	{"session", "show", "ID", "one session, with its tunnels", 1, 1, cmd_session_show},
	{"session", "end", "ID | [--user USER] [--device NAME] [--resource NAME] | --all", "end it, or all that fit, and close their tunnels", 0, 1, cmd_session_end},
	{"tunnel", "list", "[--all] [--session ID] [--user USER] [--device NAME] [--resource NAME]", "live tunnels; --all: ended ones too", 0, 0, cmd_tunnel_list},
	{"tunnel", "close", "ID | [--session ID] [--user USER] [--device NAME] [--resource NAME] | --all", "close it, or all that fit; their sessions stay", 0, 1, cmd_tunnel_close},
	{"top", "", "[--once]", "live tunnels with their rates, the busiest first, until Ctrl-C", 0, 0, cmd_top},
	{"audit", "verify", "[--checkpoints FILE] [--key FILE] [--store FILE]", "is the record whole? Works with and without the gateway, also on a copy", 0, 0, cmd_audit_verify},
	{"audit", "checkpoints", "[--store FILE]", "signed checkpoints of the record, a line of JSON each, to be kept elsewhere", 0, 0, cmd_audit_checkpoints},
	{"audit", "export", "FOLDER [--csv] [--after N] [--store FILE] [--key FILE]", "records and what proves them, as files for others", 1, 1, cmd_audit_export},
	{"audit", "key", "[--dir DIR]", "make the key that signs checkpoints where there is none; print its public half", 0, 0, cmd_audit_key},
	{"audit", "", "[--follow] [--since 24h|2026-11-24T10:00:00Z] [--user USER] [--device NAME] [--event EVENT] [--code CODE] [--id REQUEST] [--after N]",
	 "what happened: all, or what fits all of that", 0, 0, cmd_audit},
	{"backup", "", "FILE [--encrypt-to RECIPIENT] [--store FILE]", "copy the store beside the running gateway, encrypted (age) when asked", 1, 1, cmd_backup},
	{"restore", "", "FILE [--identity FILE] [--store FILE]", "put a backup in the store's place; only while no gateway runs; the former one is kept", 1, 1, cmd_restore},
	{"alert", "list", "", "who is told of what, and what waits", 0, 0, cmd_alert_list},
	{"alert", "test", "NAME", "send a test message now and say whether it was delivered", 1, 1, cmd_alert_test},
	{"alert", "spool", "[--after N]", "messages that have not arrived: waiting, or set aside because they are refused", 0, 0, cmd_alert_spool},
	{"alert", "retry", "ID", "try a message again that was set aside", 1, 1, cmd_alert_retry},
	{"alert", "drop", "ID", "give a message up; its row of the record stays", 1, 1, cmd_alert_drop},
	{"resource", "add", "NAME --address HOST:PORT [--description TEXT]", "write a resource into the policy's folder", 1, 1, cmd_resource_add},
	{"rule", "add", "NAME --resource NAME --allow-group GROUP|--user USER [--tag TAG] [--fresh-login TIME]",
	 "write a rule into the policy's folder", 1, 1, cmd_rule_add},
	{"policy", "check", "[--tests EXPECTATIONS] [FILE...]", "every error of a policy, its expectations; without FILE what a reload would read", 0, 1000, cmd_policy_check},
	{"policy", "explain", "--user USER --device NAME --to HOST:PORT [--at 2026-11-24T10:00] [--from ADDRESS] [--realm NAME]",
	 "the verdict, each rule considered, and what would be needed", 0, 0, cmd_policy_explain},
	{"policy", "apply", "", "read configuration and policy again; say which live tunnels that closed", 0, 0, cmd_policy_apply},
	{"policy", "test", "EXPECTATIONS [FILE...]", "are the expectations met? Without FILE by the policy in force", 1, 1000, cmd_policy_test},
	{"policy", "diff", "[--at 2026-11-24T10:00] [--from ADDRESS] [--realm NAME] FILE...", "who would gain or lose what", 1, 1000, cmd_policy_diff},
	{"policy", "history", "[--since 30d] [VERSION]", "the policies that were in force and since when, or the text of one", 0, 1, cmd_policy_history},
	{"policy", "shadow", "FILE...|report|end", "try a policy beside the one in force; it changes nothing", 1, 1000, cmd_policy_shadow},
	{"browser", "policy", "--chromium|--firefox [--url URL] [--pac inline|url|none] [--user USER]... [--group GROUP]... [--authority-file PATH] [--bookmark NAME] [--home]",
	 "print the managed policies with which a fleet's browsers work through the gateway", 0, 0, cmd_browser_policy},
	{"sources", "list", "", "addresses that came in vain or too often, and which are refused now", 0, 0, cmd_sources_list},
	{"sources", "clear", "ADDRESS|--all", "forget what one address, or every one, has done", 0, 1, cmd_sources_clear},
	{"status", "", "[--check]", "the gateway on one screen; --check: a line and an exit status for monitoring", 0, 0, cmd_status},
	{"report", "", "[--since 30d] [--html FILE]", "for the periodic audit: who could reach what and did, refusals, changes, devices, settings", 0, 0, cmd_report},
	{"doctor", "", "[--conf FILE]", "every promise that can be checked here and now, and what mends what is broken", 0, 0, cmd_doctor},
};
#define SUBCOMMAND_COUNT (sizeof(subcommands) / sizeof(subcommands[0]))

bool admin_since(const struct admin_options *options, uint64_t *out_ms)
{
	uint64_t ago_ms, now_ms = clock_wall_ms();
	char moment[40];
	*out_ms = 0;
	if (!options->since)
		return true;
	if (str_to_duration_ms(view_string(options->since), &ago_ms) == 0) {
		*out_ms = ago_ms < now_ms ? now_ms - ago_ms : 0;
		return true;
	}
	snprintf(moment, sizeof(moment), "%.20s%s", options->since, strlen(options->since) == 10 ? "T00:00:00Z" : "");
	if (strlen(options->since) <= 20 && clock_parse(moment, out_ms) == 0)
		return true;
	admin_say(ADMIN_USAGE, "--since takes a time such as 24h, or a day or moment (UTC) such as 2026-11-24 or 2026-11-24T10:00:00Z, not \"%s\"",
		  options->since);
	return false;
}

void admin_spell(char *out_sentence, size_t capacity, const char *format, va_list arguments)
{
	vsnprintf(out_sentence, capacity, format, arguments);
	str_make_printable(out_sentence);
}

const char *admin_text(const json_t *object, const char *key)
{
	const char *value = json_string_value(json_object_get(object, key));
	return value ? value : "";
}

json_int_t admin_number(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

int admin_say(int status, const char *format, ...)
{
	char sentence[1024];
	va_list arguments;
	va_start(arguments, format);
	admin_spell(sentence, sizeof(sentence), format, arguments);
	va_end(arguments);
	fprintf(stderr, "sallyport-admin: %s\n", sentence);
	return status;
}

static void print_help(void)
{
	fputs("Usage: sallyport-admin [--socket PATH] [--json] COMMAND ...\n\n", stdout);
	for (size_t i = 0; i < SUBCOMMAND_COUNT; i++) {
		const struct subcommand *row = &subcommands[i];
		printf("  %s%s%s%s%s\n      %s\n", row->group, *row->verb ? " " : "", row->verb, *row->arguments ? " " : "",
		       row->arguments, row->help);
	}
	fputs("\n  --socket PATH   the admin socket (else SALLYPORT_ADMIN_SOCKET, else /run/sallyport/admin.sock)\n"
	      "  --json          JSON for programs instead of tables for people\n"
	      "  --help, --version\n\n"
	      "Exit status: 0 done, 1 refused or failed, 2 wrong usage, 3 the gateway cannot be reached,\n"
	      "4 the record could not be checked. Of doctor and status --check: 0 all is well, 1 a warning, 2 an error.\n",
	      stdout);
}

/* ---- options: a row each ---- */

enum option_kind { FLAG, TEXT, VALUES };

static const struct option_row {
	const char *name;
	enum option_kind kind;
	size_t offset; /* in struct admin_options: bool, const char *, struct admin_values */
} option_rows[] = {
#define ROW(name, kind, member) {name, kind, offsetof(struct admin_options, member)}
	ROW("socket", TEXT, socket),
	ROW("json", FLAG, json),
	ROW("help", FLAG, help),
	ROW("version", FLAG, version),
	ROW("name", TEXT, name),
	ROW("dir", TEXT, directory),
	ROW("listen", TEXT, listen),
	ROW("enroll-listen", TEXT, enroll_listen),
	ROW("resource", VALUES, resources),
	ROW("allow-group", VALUES, allow_groups),
	ROW("address", VALUES, addresses),
	ROW("description", TEXT, description),
	ROW("fresh-login", TEXT, fresh_login),
	ROW("user", VALUES, users),
	ROW("any-user", FLAG, any_user),
	ROW("tag", VALUES, tags),
	ROW("csr", TEXT, csr),
	ROW("cert", TEXT, cert),
	ROW("pending", TEXT, pending),
	ROW("if-due", FLAG, if_due),
	ROW("expires", TEXT, expires),
	ROW("qr", FLAG, qr),
	ROW("expiring", TEXT, expiring),
	ROW("unseen", TEXT, unseen),
	ROW("csv", FLAG, csv),
	ROW("all", FLAG, all),
	ROW("follow", FLAG, follow),
	ROW("after", TEXT, after),
	ROW("since", TEXT, since),
	ROW("event", TEXT, event),
	ROW("code", TEXT, code),
	ROW("id", TEXT, id),
	ROW("device", TEXT, device),
	ROW("to", TEXT, to),
	ROW("at", TEXT, at),
	ROW("from", TEXT, from),
	ROW("realm", TEXT, realm),
	ROW("tests", TEXT, tests),
	ROW("session", TEXT, session),
	ROW("once", FLAG, once),
	ROW("check", FLAG, check),
	ROW("html", TEXT, html),
	ROW("conf", TEXT, conf),
	ROW("chromium", FLAG, chromium),
	ROW("firefox", FLAG, firefox),
	ROW("url", TEXT, url),
	ROW("pac", TEXT, pac),
	ROW("group", VALUES, groups),
	ROW("authority-file", TEXT, authority_file),
	ROW("bookmark", TEXT, bookmark),
	ROW("home", FLAG, home),
	ROW("store", TEXT, store),
	ROW("checkpoints", TEXT, checkpoints),
	ROW("key", TEXT, key),
	ROW("encrypt-to", TEXT, encrypt_to),
	ROW("identity", TEXT, identity),
#undef ROW
};
#define OPTION_COUNT (sizeof(option_rows) / sizeof(option_rows[0]))

/* getopt_long returns the row's number above this. */
enum { OPTION_BASE = 256 };

static void make_names(struct option *out_names)
{
	for (size_t i = 0; i < OPTION_COUNT; i++)
		out_names[i] = (struct option){.name = option_rows[i].name,
					       .has_arg = option_rows[i].kind == FLAG ? no_argument : required_argument,
					       .val = OPTION_BASE + (int)i};
	out_names[OPTION_COUNT] = (struct option){.name = NULL};
}

static int add_value(struct admin_values *values, const char *value)
{
	if (values->count == ADMIN_VALUES_MAX)
		return admin_say(ADMIN_USAGE, "more than %d values of one option", ADMIN_VALUES_MAX);
	values->list[values->count++] = value;
	return ADMIN_DONE;
}

static int take_option(const struct option_row *row, const char *value, struct admin_options *options)
{
	void *place = (char *)options + row->offset;
	if (row->kind == VALUES)
		return add_value(place, value);
	if (row->kind == FLAG)
		*(bool *)place = true;
	else
		*(const char **)place = value;
	return ADMIN_DONE;
}

static int take_options(int count, char **arguments, struct admin_options *options)
{
	struct option names[OPTION_COUNT + 1];
	int option, status = ADMIN_DONE;
	make_names(names);
	while (status == ADMIN_DONE && (option = getopt_long(count, arguments, "", names, NULL)) >= 0)
		status = option < OPTION_BASE ? admin_say(ADMIN_USAGE, "see sallyport-admin --help")
					      : take_option(&option_rows[option - OPTION_BASE], optarg, options);
	return status;
}

static const struct subcommand *find(char **words, int count)
{
	for (size_t i = 0; i < SUBCOMMAND_COUNT; i++) {
		const struct subcommand *row = &subcommands[i];
		if (count > 0 && strcmp(row->group, words[0]) == 0 &&
		    (!*row->verb || (count > 1 && strcmp(row->verb, words[1]) == 0)))
			return row;
	}
	return NULL;
}

static int run(char **words, int count, struct admin_options *options)
{
	const struct subcommand *row = find(words, count);
	if (count == 0)
		return admin_say(ADMIN_USAGE, "which command? See sallyport-admin --help");
	if (!row)
		return admin_say(ADMIN_USAGE, "there is no command \"%s%s%s\"; see sallyport-admin --help", words[0],
				 count > 1 ? " " : "", count > 1 ? words[1] : "");
	int own = *row->verb ? 2 : 1;
	options->words = words + own;
	options->word_count = count - own;
	if (options->word_count < row->least || options->word_count > row->most)
		return admin_say(ADMIN_USAGE, "usage: sallyport-admin %s%s%s %s", row->group, *row->verb ? " " : "", row->verb,
				 row->arguments);
	return row->run(options);
}

int main(int count, char **arguments)
{
	struct admin_options options = {.socket = getenv("SALLYPORT_ADMIN_SOCKET")};
	int status = take_options(count, arguments, &options);
	if (status != ADMIN_DONE)
		return status;
	if (!options.socket || !*options.socket)
		options.socket = "/run/sallyport/admin.sock";
	if (options.help)
		print_help();
	else if (options.version)
		printf("sallyport-admin %s\n", SALLYPORT_VERSION);
	else
		status = run(arguments + optind, count - optind, &options);
	if (fflush(stdout) != 0 && status == ADMIN_DONE)
		return admin_say(ADMIN_FAILED, "cannot write the output");
	return status;
}

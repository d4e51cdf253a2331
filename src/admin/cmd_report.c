/* cmd_report.c: sallyport-admin report: what happened, for the periodic audit; as text, JSON, or a page. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "report.h"
#include "sallyport/clock.h"
#include "sallyport/fd.h"
#include "sallyport/own.h"

DEFINE_OWN(json, json_t *, json_decref)

const struct report_table report_tables[] = {
	{"findings", "What needs a look", "Found now, by what doctor knows without the walls and the disk.",
	 {"LEVEL", "level", "ABOUT", "check", "WHAT", "sentence", "MEND IT WITH", "mend", NULL}},
	{"alarms", "Alarms", "The newest, at most 500.", {"AT", "at", "CODE", "code", "USER", "user", "DEVICE", "device", "WHAT", "detail", NULL}},
	{"refusals", "Refused attempts", "By event and code; the page of codes says what each means.",
	 {"EVENT", "event", "CODE", "code", "COUNT", "count", "LAST", "last", "LAST USER", "last_user", "LAST DEVICE", "last_device", NULL}},
	{"policies", "Policies in force", "Until: empty for the one in force now; could reach: triples of user, device and target.",
	 {"VERSION", "version", "FROM", "from", "UNTIL", "until", "COULD REACH", "could_reach", "NOTE", "note", "FINGERPRINT", "print", NULL}},
	{"reach", "Who could reach what",
	 "By each policy while it was in force, at any hour, from anywhere, in any realm; with the devices, bindings and groups of today, each device since it is there. "
	 "Used: tunnels in that time. Until: empty when it is so now.",
	 {"USER", "user", "DEVICE", "device", "TARGET", "target", "RULE", "rule", "FROM", "from", "UNTIL", "until", "USED", "used", NULL}},
	{"used", "Who did", "Tunnels of this time; bytes are the workers' claims.",
	 {"USER", "user", "DEVICE", "device", "RESOURCE", "resource", "TUNNELS", "tunnels", "TO TARGET", "bytes_to_target", "TO CLIENT",
	  "bytes_to_client", "LAST", "last", NULL}},
	{"unseen", "Devices that did not come", "Who has them, and are they still wanted?",
	 {"DEVICE", "name", "STATE", "state", "USERS", "users", "LAST SEEN", "last_seen_at", "CERTIFICATE UNTIL", "certificate_until", NULL}},
	{"ending", "Certificates that end", "Soon, and not renewed.",
	 {"DEVICE", "name", "USERS", "users", "UNTIL", "certificate_until", "LAST SEEN", "last_seen_at", NULL}},
	{"changes", "Policy, keys and starts", "The newest, at most 500.", {"AT", "at", "EVENT", "event", "CODE", "code", "WHAT", "detail", NULL}},
	{"acts", "Acts of admins", "The newest, at most 500.", {"AT", "at", "EVENT", "event", "DEVICE", "device", "USER", "user", "WHAT", "detail", NULL}},
	{"settings", "Settings that are not the defaults", "Numbers and switches; weaker: a promise holds less well.",
	 {"SETTING", "setting", "VALUE", "value", "DEFAULT", "default", "VERDICT", "verdict", NULL}},
	{.key = NULL},
};

static void print_text(const json_t *report)
{
	const char *name;
	json_t *value;
	printf("%s, from %s until %s\n", json_string_value(json_object_get(report, "gateway")),
	       json_string_value(json_object_get(report, "from")), json_string_value(json_object_get(report, "until")));
	json_object_foreach(json_object_get(report, "counts"), name, value)
		printf("%-12s %lld\n", name, (long long)json_integer_value(value));
	for (const struct report_table *table = report_tables; table->key; table++) {
		const json_t *rows = json_object_get(report, table->key);
		printf("\n%s\n", table->heading);
		if (json_array_size(rows))
			table_print(rows, table->columns);
		else
			puts("none");
	}
}

static int write_page(const json_t *report, const char *path)
{
	OWN_BUF struct buf page = BUF_INIT(256 << 20);
	if (report_html(report, &page) < 0)
		return admin_say(ADMIN_FAILED, "memory is out");
	/* It names users, devices and what they reach. */
	OWN_FD int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || fd_write_all(fd, buf_view(&page)) < 0)
		return admin_say(ADMIN_FAILED, "cannot write %s", path);
	return ADMIN_DONE;
}

int cmd_report(const struct admin_options *options)
{
	OWN(own_json) json_t *report = NULL;
	uint64_t since_ms = clock_wall_ms() - 30ULL * 86400000;
	if (options->since && !admin_since(options, &since_ms))
		return ADMIN_USAGE;
	int status = report_gather(options, since_ms, &report);
	if (status != ADMIN_DONE)
		return status;
	if (options->html)
		return write_page(report, options->html);
	if (options->json)
		return table_print_json(report);
	print_text(report);
	return ADMIN_DONE;
}

/* cmd_rule.c: sallyport-admin resource add, rule add: one new file each in the policy's folder.
 *
 * The running gateway judges the whole policy with the new file in it; what it refuses is taken away again. A
 * reload brings it into force.
 */
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "admin.h"
#include "sallyport/buf.h"
#include "sallyport/fd.h"

struct policy_place {
	char file[2200], conf[2100], pattern[2200];
};

static int fill_place(struct policy_place *place, const char *directory, const char *kind, const char *name)
{
	char folder[2048];
	int length = snprintf(folder, sizeof(folder), "%s%s", directory ? directory : "/etc/sallyport", directory ? "/etc" : "");
	if ((size_t)length >= sizeof(folder))
		return admin_say(ADMIN_USAGE, "the folder's name is too long");
	snprintf(place->conf, sizeof(place->conf), "%s/policy.conf", folder);
	snprintf(place->pattern, sizeof(place->pattern), "%s/policy.d/*.conf", folder);
	snprintf(place->file, sizeof(place->file), "%s/policy.d/%s-%s.conf", folder, kind, name);
	return ADMIN_DONE;
}

/* Asks the running gateway about all files together. */
static int judge(const struct admin_options *options, const struct policy_place *place)
{
	glob_t found = {0};
	if (glob(place->conf, 0, NULL, &found) != 0 || glob(place->pattern, GLOB_APPEND, NULL, &found) != 0)
		return admin_say(ADMIN_FAILED, "%s or %s cannot be read", place->conf, place->pattern);
	struct admin_options question = *options;
	question.words = found.gl_pathv;
	question.word_count = (int)found.gl_pathc;
	int status = cmd_policy_check(&question);
	globfree(&found);
	return status;
}

static int write_and_judge(const struct admin_options *options, const struct policy_place *place, struct view text)
{
	struct diag diag;
	if (fd_write_file(place->file, 0644, 0, text, &diag) < 0)
		return admin_say(ADMIN_FAILED, "%s", diag.text);
	if (access(options->socket, F_OK) < 0) {
		printf("%s is written; the gateway reads it when it starts\n", place->file);
		return ADMIN_DONE;
	}
	int status = judge(options, place);
	if (status != ADMIN_DONE) {
		unlink(place->file);
		return admin_say(status, "nothing is changed");
	}
	printf("%s is written; bring it into force with: systemctl reload sallyport-gateway\n", place->file);
	return ADMIN_DONE;
}

int cmd_resource_add(const struct admin_options *options)
{
	static struct policy_place place;
	OWN_BUF struct buf text = BUF_INIT(65536);
	struct diag diag;
	if (!options->addresses.count)
		return admin_say(ADMIN_USAGE, "usage: sallyport-admin resource add NAME --address HOST:PORT");
	if (policy_text_resource(&text, options->words[0], options->addresses, options->description, &diag) < 0)
		return admin_say(ADMIN_USAGE, "%s", diag.text);
	int status = fill_place(&place, options->directory, "resource", options->words[0]);
	return status == ADMIN_DONE ? write_and_judge(options, &place, buf_view(&text)) : status;
}

int cmd_rule_add(const struct admin_options *options)
{
	static struct policy_place place;
	OWN_BUF struct buf text = BUF_INIT(65536);
	struct diag diag;
	const char *name = options->words[0];
	struct policy_text_rule rule = {.groups = options->allow_groups, .resources = options->resources,
					.users = options->users, .device_tags = options->tags,
					.fresh_login = options->fresh_login};
	if (!rule.resources.count || (!rule.groups.count && !rule.users.count))
		return admin_say(ADMIN_USAGE, "usage: sallyport-admin rule add NAME --resource NAME --allow-group GROUP|--user USER");
	if (!policy_text_is_name(name))
		return admin_say(ADMIN_USAGE, "\"%s\" is no name for a rule: 1 to 63 letters, digits, . _ -", name);
	if (policy_text_rule(&text, name, &rule, &diag) < 0)
		return admin_say(ADMIN_USAGE, "%s", diag.text);
	int status = fill_place(&place, options->directory, "rule", name);
	return status == ADMIN_DONE ? write_and_judge(options, &place, buf_view(&text)) : status;
}

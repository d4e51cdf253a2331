/* policy_text.c: writes resources and rules in the language of the policy.
 *
 * Used by init and by `resource add` and `rule add`. What the sentences mean is judged by the gateway
 * (gateway/broker/policy_parse.c); here only what could not be written down is refused.
 */
#include <string.h>

#include "admin.h"
#include "sallyport/str.h"

/* A name becomes part of a file's name and stands in quotes. */
bool policy_text_is_name(const char *name)
{
	size_t length = strlen(name);
	return length >= 1 && length <= 63 && name[0] != '.' && name[0] != '-' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == length;
}

/* A quote or backslash would end or change the string, "${" is refused in every policy. */
static int add_quoted(struct buf *out, const char *text, struct diag *diag)
{
	char printable[512];
	if (!str_copy(printable, sizeof(printable), text))
		return diag_set(diag, ERR_LIMIT, "a text is longer than %zu characters", sizeof(printable) - 1);
	str_make_printable(printable);
	if (!*text || strpbrk(text, "\"\\$") || strcmp(printable, text) != 0)
		return diag_set(diag, ERR_BAD_INPUT, "\"%s\" cannot stand in a policy: no quotes, backslashes, dollars, not empty",
				printable);
	return buf_add_format(out, "\"%s\"", text) < 0 ? diag_set(diag, ERR_LIMIT, "the policy is too long") : 0;
}

static int add(struct buf *out, const char *text, struct diag *diag)
{
	return buf_add_string(out, text) < 0 ? diag_set(diag, ERR_LIMIT, "the policy is too long") : 0;
}

/* `key = {"one", "two"}`, or nothing for an empty list. */
static int add_list(struct buf *out, const char *key, struct admin_values values, struct diag *diag)
{
	int result = 0;
	if (!values.count)
		return 0;
	if (buf_add_format(out, "  %s = {", key) < 0)
		return diag_set(diag, ERR_LIMIT, "the policy is too long");
	for (unsigned i = 0; result == 0 && i < values.count; i++) {
		if (i)
			result = add(out, ", ", diag);
		if (result == 0)
			result = add_quoted(out, values.list[i], diag);
	}
	return result < 0 ? result : add(out, "}\n", diag);
}

static int add_text(struct buf *out, const char *key, const char *text, struct diag *diag)
{
	if (!text)
		return 0;
	int result = buf_add_format(out, "  %s = ", key) < 0 ? diag_set(diag, ERR_LIMIT, "the policy is too long")
							     : add_quoted(out, text, diag);
	return result < 0 ? result : add(out, "\n", diag);
}

/* An address with its port: HOST:PORT, [V6]:PORT, NETWORK/BITS:PORT, with FIRST-LAST for several ports. */
static int check_address(const char *address, struct diag *diag)
{
	char host[300];
	char plain[600];
	uint16_t port;
	if (!str_copy(plain, sizeof(plain), address))
		return diag_set(diag, ERR_LIMIT, "the address \"%.100s...\" is too long", address);
	char *colon = strrchr(plain, ':');
	char *dash = colon ? strchr(colon, '-') : NULL;
	if (dash)
		*dash = 0;
	if (str_split_authority(view_string(plain), host, sizeof(host), &port) < 0)
		return diag_set(diag, ERR_BAD_INPUT, "\"%s\" is no address: HOST:PORT", plain);
	return 0;
}

int policy_text_resource(struct buf *out, const char *name, struct admin_values addresses, const char *description,
			 struct diag *diag)
{
	int result = 0;
	if (!policy_text_is_name(name))
		return diag_set(diag, ERR_BAD_INPUT, "\"%s\" is no name of a resource: 1 to 63 letters, digits, . _ -", name);
	for (unsigned i = 0; result == 0 && i < addresses.count; i++)
		result = check_address(addresses.list[i], diag);
	if (result < 0)
		return result;
	if (buf_add_format(out, "resource \"%s\" {\n", name) < 0)
		return diag_set(diag, ERR_LIMIT, "the policy is too long");
	result = add_list(out, "address", addresses, diag);
	if (result == 0)
		result = add_text(out, "description", description, diag);
	return result < 0 ? result : add(out, "}\n", diag);
}

int policy_text_rule(struct buf *out, const char *name, const struct policy_text_rule *rule, struct diag *diag)
{
	if (buf_add_string(out, "rule ") < 0)
		return diag_set(diag, ERR_LIMIT, "the policy is too long");
	int result = add_quoted(out, name, diag);
	if (result == 0)
		result = add(out, " {\n", diag);
	if (result == 0)
		result = add_list(out, "groups", rule->groups, diag);
	if (result == 0)
		result = add_list(out, "users", rule->users, diag);
	if (result == 0)
		result = add_list(out, "device_tags", rule->device_tags, diag);
	if (result == 0)
		result = add_list(out, "resources", rule->resources, diag);
	if (result == 0)
		result = add_text(out, "fresh_login", rule->fresh_login, diag);
	return result < 0 ? result : add(out, "}\n", diag);
}

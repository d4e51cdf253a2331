/* policy_parse.c: from text to the compiled form: libconfuse reads the syntax, this file judges what it means.
 *
 * The broker's only file that knows libconfuse. An unknown key, a rule that names nobody or an unknown resource is an
 * error, never ignored: what an admin wrote and nobody obeyed would be a hole. All errors of meaning are found at
 * once; a syntax error ends its file.
 */
#include <arpa/inet.h>
#include <confuse.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy.h"
#include "policy_form.h"
#include "sallyport/str.h"

enum { WORDS_MAX = 100000 };

/* libconfuse's callbacks take no context: one parse at a time, on one thread. */
static struct {
	struct policy *policy;
	struct policy_errors *errors;
	const char *file;
	int resources_line; /* of the rule that is being read */
	bool out_of_memory;
} parsing;

[[gnu::format(printf, 2, 3)]] static void fail_at(int line, const char *format, ...)
{
	struct policy_errors *errors = parsing.errors;
	if (errors->count++ >= POLICY_ERRORS_MAX)
		return;
	char sentence[600];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(sentence, sizeof(sentence), format, arguments);
	va_end(arguments);
	diag_set(&errors->list[errors->count - 1], ERR_BAD_CONFIG, "%s:%d: %s", parsing.file, line, sentence);
}

/* ---- memory ---- */

static void *allocate(size_t count, size_t size)
{
	void *memory = calloc(count ? count : 1, size);
	if (!memory)
		parsing.out_of_memory = true;
	return memory;
}

static char *copy_text(const char *text)
{
	char *copy = strdup(text ? text : "");
	if (!copy)
		parsing.out_of_memory = true;
	return copy;
}

/* Makes room for one more pointer behind `count` of them. */
static bool grow(void *array, size_t count)
{
	void **place = array;
	void *grown = reallocarray(*place, count + 1, sizeof(void *));
	if (!grown) {
		parsing.out_of_memory = true;
		return false;
	}
	*place = grown;
	return true;
}

static void words_free(struct policy_words *words)
{
	for (size_t i = 0; i < words->count; i++)
		free(words->list[i]);
	free(words->list);
}

static void rule_free(struct policy_rule *rule)
{
	words_free(&rule->users);
	words_free(&rule->groups);
	words_free(&rule->devices);
	words_free(&rule->device_tags);
	words_free(&rule->resources);
	free(rule->hours);
	free(rule->name);
	free(rule);
}

static void resource_free(struct policy_resource *resource)
{
	free(resource->name);
	free(resource->description);
	free(resource->kind);
	free(resource->addresses);
	free(resource->entries);
	free(resource->rules);
	free(resource);
}

void policy_free(struct policy *policy)
{
	if (!policy)
		return;
	for (size_t i = 0; i < policy->resource_count; i++)
		resource_free(policy->resources[i]);
	for (size_t i = 0; i < policy->rule_count; i++)
		rule_free(policy->rules[i]);
	map_fini(&policy->hosts);
	free(policy->resources);
	free(policy->rules);
	free(policy->networks);
	free(policy);
}

/* ---- an address of a resource ---- */

static int parse_ports(struct view text, struct policy_entry *entry)
{
	const uint8_t *dash = text.size ? memchr(text.data, '-', text.size) : NULL;
	struct view first = dash ? view_of(text.data, (size_t)(dash - text.data)) : text;
	struct view last = dash ? view_of(dash + 1, (size_t)(text.data + text.size - dash - 1)) : text;
	uint64_t low = 0, high = 0;
	if (str_to_u64(first, 1, 65535, &low) < 0 || str_to_u64(last, low, 65535, &high) < 0)
		return ERR_BAD_INPUT;
	entry->first_port = (uint16_t)low;
	entry->last_port = (uint16_t)high;
	return 0;
}

static int parse_network(struct view host, const uint8_t *slash, struct policy_entry *entry, struct diag *diag)
{
	struct target target;
	uint64_t prefix = 0;
	struct view base = view_of(host.data, (size_t)(slash - host.data));
	struct view length = view_of(slash + 1, (size_t)(host.data + host.size - slash - 1));
	if (target_parse(base, entry->first_port, &target, diag) < 0)
		return ERR_BAD_INPUT;
	unsigned bits = target.address.ss_family == AF_INET6 ? 128 : 32;
	if (!target.is_address || str_to_u64(length, 0, bits, &prefix) < 0)
		return diag_set(diag, ERR_BAD_INPUT, "a network is written ADDRESS/BITS");
	entry->kind = POLICY_NETWORK;
	entry->address = target.address;
	entry->prefix = (unsigned)prefix;
	return 0;
}

static int parse_host(struct view host, struct policy_entry *entry, struct diag *diag)
{
	struct target target;
	const uint8_t *slash = host.size ? memchr(host.data, '/', host.size) : NULL;
	if (slash)
		return parse_network(host, slash, entry, diag);
	bool wildcard = host.size > 2 && host.data[0] == '*' && host.data[1] == '.';
	struct view plain = wildcard ? view_of(host.data + 2, host.size - 2) : host;
	if (target_parse(plain, entry->first_port, &target, diag) < 0)
		return ERR_BAD_INPUT;
	if (wildcard && (target.is_address || !strchr(target.host, '.')))
		return diag_set(diag, ERR_BAD_INPUT, "a wildcard needs a zone of at least two labels, such as *.corp.example");
	entry->kind = wildcard ? POLICY_SUFFIX : target.is_address ? POLICY_ADDRESS : POLICY_NAME;
	entry->address = target.address;
	snprintf(entry->host, sizeof(entry->host), "%s%s", wildcard ? "." : "", target.host);
	return 0;
}

static int parse_entry(const char *text, struct policy_entry *entry, struct diag *diag)
{
	const char *colon = strrchr(text, ':');
	if (!colon || colon == text || parse_ports(view_string(colon + 1), entry) < 0)
		return diag_set(diag, ERR_BAD_INPUT, "it must end in a port or a range of ports, such as db1:5432 or db1:5432-5440");
	struct view host = view_of(text, (size_t)(colon - text));
	if (host.data[0] == '[') {
		const uint8_t *end = memchr(host.data, ']', host.size);
		if (!end || end != host.data + host.size - 1)
			return diag_set(diag, ERR_BAD_INPUT, "the bracket of an IPv6 address or network is not closed");
		/* A network stands inside the brackets: [2001:db8::/32]:443 */
		if (memchr(host.data, '/', host.size))
			host = view_of(host.data + 1, host.size - 2);
	} else if (memchr(host.data, ':', host.size)) {
		return diag_set(diag, ERR_BAD_INPUT, "an IPv6 address stands in brackets");
	}
	return parse_host(host, entry, diag);
}

/* ---- resources ---- */

static void add_addresses(cfg_t *section, struct policy_resource *resource)
{
	size_t count = cfg_size(section, "address");
	struct buf text = BUF_INIT(1 << 20);
	resource->entries = allocate(count, sizeof(*resource->entries));
	for (size_t i = 0; resource->entries && i < count; i++) {
		const char *address = cfg_getnstr(section, "address", (unsigned)i);
		struct policy_entry *entry = &resource->entries[resource->entry_count];
		struct diag diag;
		*entry = (struct policy_entry){.resource = resource};
		if (parse_entry(address, entry, &diag) < 0)
			fail_at(section->line, "resource \"%s\": \"%s\" is no address: %s", resource->name, address, diag.text);
		else
			resource->entry_count++;
		if (buf_add_format(&text, "%s\n", address) < 0)
			parsing.out_of_memory = true;
	}
	resource->addresses = view_duplicate(buf_view(&text));
	buf_fini(&text);
	if (count == 0)
		fail_at(section->line, "resource \"%s\" has no address", resource->name);
}

static struct policy_resource *find_resource(const struct policy *policy, const char *name)
{
	for (size_t i = 0; i < policy->resource_count; i++)
		if (strcmp(policy->resources[i]->name, name) == 0)
			return policy->resources[i];
	return NULL;
}

static int on_resource(cfg_t *cfg, cfg_opt_t *option)
{
	cfg_t *section = cfg_opt_getnsec(option, cfg_opt_size(option) - 1);
	struct policy *policy = parsing.policy;
	(void)cfg;
	if (find_resource(policy, cfg_title(section)))
		fail_at(section->line, "there is a resource \"%s\" already", cfg_title(section));
	struct policy_resource *resource = allocate(1, sizeof(*resource));
	if (!resource || !grow(&policy->resources, policy->resource_count)) {
		free(resource);
		return -1;
	}
	policy->resources[policy->resource_count] = resource;
	resource->order = policy->resource_count++;
	resource->name = copy_text(cfg_title(section));
	resource->description = copy_text(cfg_getstr(section, "description"));
	resource->kind = copy_text(cfg_getstr(section, "kind"));
	if (!resource->name || !resource->description || !resource->kind)
		return -1;
	static const char *const kinds[] = {"tcp", "ssh", "web", "postgres", NULL};
	bool known = false;
	for (const char *const *kind = kinds; *kind; kind++)
		known |= strcmp(*kind, resource->kind) == 0;
	if (!known)
		fail_at(section->line, "resource \"%s\": kind must be tcp, ssh, web or postgres, not \"%s\"", resource->name,
			resource->kind);
	add_addresses(section, resource);
	return 0;
}

/* ---- rules ---- */

static void copy_words(cfg_t *section, const char *name, struct policy_words *words)
{
	size_t count = cfg_size(section, name);
	if (count > WORDS_MAX) {
		fail_at(section->line, "%s has more than %d entries", name, WORDS_MAX);
		return;
	}
	words->list = allocate(count, sizeof(*words->list));
	for (size_t i = 0; words->list && i < count; i++) {
		const char *word = cfg_getnstr(section, name, (unsigned)i);
		if (!*word)
			fail_at(section->line, "%s has an empty entry", name);
		words->list[words->count] = copy_text(word);
		if (words->list[words->count])
			words->count++;
	}
}

static int parse_day(const char *text, unsigned *out_day)
{
	static const char *const days[] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
	for (unsigned day = 0; day < 7; day++) {
		if (strncmp(text, days[day], 3) == 0) {
			*out_day = day;
			return 0;
		}
	}
	return ERR_BAD_INPUT;
}

static int parse_minute(const char *text, uint16_t *out_minute)
{
	uint64_t hour = 0, minute = 0;
	if (strlen(text) < 5 || text[2] != ':' || str_to_u64(view_of(text, 2), 0, 24, &hour) < 0 ||
	    str_to_u64(view_of(text + 3, 2), 0, 59, &minute) < 0 || hour * 60 + minute > 1440)
		return ERR_BAD_INPUT;
	*out_minute = (uint16_t)(hour * 60 + minute);
	return 0;
}

/* "Mon-Fri 07:00-20:00" or "Sat 09:00-12:00" */
static int parse_hours(const char *text, struct policy_hours *out_hours)
{
	unsigned first = 0, last = 0;
	if (strlen(text) < 3 || parse_day(text, &first) < 0)
		return ERR_BAD_INPUT;
	last = first;
	text += 3;
	if (text[0] == '-') {
		if (strlen(text) < 4 || parse_day(text + 1, &last) < 0)
			return ERR_BAD_INPUT;
		text += 4;
	}
	if (last < first || strlen(text) != 12 || text[0] != ' ' || text[6] != '-' ||
	    parse_minute(text + 1, &out_hours->from) < 0 || parse_minute(text + 7, &out_hours->to) < 0 ||
	    out_hours->from >= out_hours->to)
		return ERR_BAD_INPUT;
	for (unsigned day = first; day <= last; day++)
		out_hours->days |= (uint8_t)(1u << day);
	return 0;
}

static void add_hours(cfg_t *section, struct policy_rule *rule)
{
	size_t count = cfg_size(section, "hours");
	rule->hours = allocate(count, sizeof(*rule->hours));
	for (size_t i = 0; rule->hours && i < count; i++) {
		const char *text = cfg_getnstr(section, "hours", (unsigned)i);
		if (parse_hours(text, &rule->hours[rule->hours_count]) < 0)
			fail_at(section->line, "rule \"%s\": hours are written \"Mon-Fri 07:00-20:00\", not \"%s\"", rule->name, text);
		else
			rule->hours_count++;
	}
}

static void add_conditions(cfg_t *section, struct policy_rule *rule)
{
	copy_words(section, "users", &rule->users);
	copy_words(section, "groups", &rule->groups);
	copy_words(section, "devices", &rule->devices);
	copy_words(section, "device_tags", &rule->device_tags);
	copy_words(section, "resources", &rule->resources);
	rule->deny = cfg_getbool(section, "deny");
	const char *fresh = cfg_getstr(section, "fresh_login");
	if (*fresh && (str_to_duration_ms(view_string(fresh), &rule->fresh_login_ms) < 0 || !rule->fresh_login_ms))
		fail_at(section->line, "rule \"%s\": fresh_login is a duration with its unit, such as 15m, not \"%s\"", rule->name, fresh);
	add_hours(section, rule);
	if (rule->users.count == 0 && rule->groups.count == 0)
		fail_at(section->line, "rule \"%s\" names no users and no groups; write users = {\"*\"} for everybody", rule->name);
	if (rule->resources.count == 0)
		fail_at(section->line, "rule \"%s\" names no resources; write resources = {\"*\"} for all", rule->name);
}

static int on_rule(cfg_t *cfg, cfg_opt_t *option)
{
	cfg_t *section = cfg_opt_getnsec(option, cfg_opt_size(option) - 1);
	struct policy *policy = parsing.policy;
	(void)cfg;
	struct policy_rule *rule = allocate(1, sizeof(*rule));
	if (!rule || !grow(&policy->rules, policy->rule_count)) {
		free(rule);
		return -1;
	}
	policy->rules[policy->rule_count++] = rule;
	rule->file = parsing.file;
	rule->line = parsing.resources_line ? parsing.resources_line : section->line;
	rule->name = copy_text(cfg_title(section));
	parsing.resources_line = 0;
	if (!rule->name)
		return -1;
	for (size_t i = 0; i + 1 < policy->rule_count; i++)
		if (strcmp(policy->rules[i]->name, rule->name) == 0)
			fail_at(section->line, "there is a rule \"%s\" already", rule->name);
	add_conditions(section, rule);
	return 0;
}

static int on_resources_of_rule(cfg_t *cfg, cfg_opt_t *option)
{
	(void)option;
	parsing.resources_line = cfg->line;
	return 0;
}

/* ---- syntax ---- */

static const char *const known_words[] = {"resource", "rule", "address", "description", "kind", "users", "groups", "devices",
					  "device_tags", "resources", "deny", "fresh_login", "hours", NULL};

[[gnu::format(printf, 2, 0)]] static void on_syntax_error(cfg_t *cfg, const char *format, va_list arguments)
{
	char message[512];
	static const char unknown[] = "no such option '";
	vsnprintf(message, sizeof(message), format, arguments);
	char *name = strstr(message, unknown);
	if (!name) {
		fail_at(cfg->line, "%s", message);
		return;
	}
	name += strlen(unknown);
	name[strcspn(name, "'")] = 0;
	const char *nearest = str_nearest(name, known_words);
	fail_at(cfg->line, nearest ? "there is no key \"%s\"; did you mean \"%s\"?" : "there is no key \"%s\"", name, nearest);
}

static void parse_file(const struct policy_file *file)
{
	cfg_opt_t resource[] = {CFG_STR_LIST("address", NULL, CFGF_NODEFAULT), CFG_STR("description", "", CFGF_NONE),
				CFG_STR("kind", "tcp", CFGF_NONE), CFG_END()};
	cfg_opt_t rule[] = {CFG_STR_LIST("users", NULL, CFGF_NODEFAULT), CFG_STR_LIST("groups", NULL, CFGF_NODEFAULT),
			    CFG_STR_LIST("devices", NULL, CFGF_NODEFAULT), CFG_STR_LIST("device_tags", NULL, CFGF_NODEFAULT),
			    CFG_STR_LIST("resources", NULL, CFGF_NODEFAULT), CFG_BOOL("deny", cfg_false, CFGF_NONE),
			    CFG_STR("fresh_login", "", CFGF_NONE), CFG_STR_LIST("hours", NULL, CFGF_NODEFAULT), CFG_END()};
	cfg_opt_t top[] = {CFG_SEC("resource", resource, CFGF_MULTI | CFGF_TITLE), CFG_SEC("rule", rule, CFGF_MULTI | CFGF_TITLE),
			   CFG_END()};
	parsing.file = file->name;
	parsing.resources_line = 0;
	cfg_t *cfg = cfg_init(top, CFGF_NONE);
	if (!cfg) {
		parsing.out_of_memory = true;
		return;
	}
	char *plain = copy_text(file->text);
	unsigned before = parsing.errors->count;
	cfg_set_error_function(cfg, on_syntax_error);
	cfg_set_validate_func(cfg, "resource", on_resource);
	cfg_set_validate_func(cfg, "rule", on_rule);
	cfg_set_validate_func(cfg, "rule|resources", on_resources_of_rule);
	/* libconfuse counts the line of a comment three times. */
	if (plain)
		str_blank_comments(plain);
	if (cfg_parse_buf(cfg, plain ? plain : "") != CFG_SUCCESS && parsing.errors->count == before)
		fail_at(cfg->line, "it does not parse");
	free(plain);
	cfg_free(cfg);
}

/* libconfuse puts the environment in place of ${NAME}; a policy must mean what it says. */
static bool has_expansion(const struct policy_file *file)
{
	const char *found = strstr(file->text, "${");
	int line = 1;
	for (const char *at = file->text; found && at < found; at++)
		line += *at == '\n';
	parsing.file = file->name;
	if (found)
		fail_at(line, "\"${\" is not allowed in a policy");
	return found != NULL;
}

/* ---- compiling ---- */

static void add_rule_to(struct policy_resource *resource, const struct policy_rule *rule)
{
	/* A rule may name a resource twice; once is enough. */
	if (resource->rule_count && resource->rules[resource->rule_count - 1] == rule)
		return;
	if (grow(&resource->rules, resource->rule_count))
		resource->rules[resource->rule_count++] = rule;
}

static void name_unknown_resource(const struct policy *policy, const struct policy_rule *rule, const char *name)
{
	const char **names = allocate(policy->resource_count + 1, sizeof(*names));
	if (!names)
		return;
	for (size_t i = 0; i < policy->resource_count; i++)
		names[i] = policy->resources[i]->name;
	const char *nearest = str_nearest(name, names);
	parsing.file = rule->file;
	fail_at(rule->line, nearest ? "rule \"%s\": there is no resource \"%s\"; did you mean \"%s\"?"
				    : "rule \"%s\": there is no resource \"%s\"",
		rule->name, name, nearest);
	free(names);
}

static void join_rule(struct policy *policy, struct policy_rule *rule)
{
	for (size_t i = 0; i < rule->resources.count; i++) {
		const char *name = rule->resources.list[i];
		rule->everything |= strcmp(name, "*") == 0;
		struct policy_resource *resource = find_resource(policy, name);
		if (resource)
			add_rule_to(resource, rule);
		else if (strcmp(name, "*") != 0)
			name_unknown_resource(policy, rule, name);
	}
	for (size_t i = 0; rule->everything && i < policy->resource_count; i++)
		add_rule_to(policy->resources[i], rule);
	rule->file = NULL; /* the caller's text goes away */
}

static void index_entry(struct policy *policy, struct policy_entry *entry)
{
	if (entry->kind == POLICY_NETWORK) {
		if (grow(&policy->networks, policy->network_count))
			policy->networks[policy->network_count++] = entry;
		return;
	}
	struct policy_entry *first = MAP_FIND(&policy->hosts, view_string(entry->host), struct policy_entry, by_host);
	if (first) {
		entry->next_of_host = first->next_of_host;
		first->next_of_host = entry;
	} else {
		map_add(&policy->hosts, &entry->by_host, view_string(entry->host));
	}
}

static void compile(struct policy *policy)
{
	for (size_t i = 0; i < policy->rule_count; i++)
		join_rule(policy, policy->rules[i]);
	for (size_t i = 0; i < policy->resource_count; i++)
		for (size_t j = 0; j < policy->resources[i]->entry_count; j++)
			index_entry(policy, &policy->resources[i]->entries[j]);
}

int policy_parse(const struct policy_file *files, size_t count, struct policy **out_policy, struct policy_errors *out_errors)
{
	struct policy *policy = calloc(1, sizeof(*policy));
	out_errors->count = 0;
	if (!policy || map_init(&policy->hosts) < 0) {
		free(policy);
		return ERR_SYSTEM;
	}
	parsing.policy = policy;
	parsing.errors = out_errors;
	parsing.out_of_memory = false;
	for (size_t i = 0; i < count; i++)
		if (!has_expansion(&files[i]))
			parse_file(&files[i]);
	compile(policy);
	if (out_errors->count == 0 && !parsing.out_of_memory) {
		*out_policy = policy;
		return 0;
	}
	policy_free(policy);
	return out_errors->count ? ERR_BAD_CONFIG : ERR_SYSTEM;
}

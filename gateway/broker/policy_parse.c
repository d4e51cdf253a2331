/* policy_parse.c: from the tree of policy_syntax.c to the form of policy_form.h: what each key means.
 *
 * An unknown key, a rule that names nobody or an unknown resource is an error, never ignored: what an admin wrote and
 * nobody obeyed would be a hole. All errors are found at once. To add a key, add a row to `rows`.
 *
 * Order: lists and calendars, wherever they stand; then resources and rules; then the names that rules mention.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy.h"
#include "policy_form.h"
#include "policy_syntax.h"
#include "sallyport/own.h"
#include "sallyport/str.h"

enum { WORDS_MAX = 100000 };

struct parsing {
	struct policy *policy;
	struct policy_errors *errors;
	const struct policy_tree *tree;
	bool out_of_memory;
	size_t values; /* that lists have stood for so far */
	size_t used;   /* of these, that were no lists */
};

/* ---- memory ---- */

static void *allocate(struct parsing *parsing, size_t count, size_t size)
{
	void *memory = calloc(count ? count : 1, size);
	if (!memory)
		parsing->out_of_memory = true;
	return memory;
}

static char *copy_text(struct parsing *parsing, const char *text)
{
	char *copy = strdup(text ? text : "");
	if (!copy)
		parsing->out_of_memory = true;
	return copy;
}

/* Makes room for one more element behind `count` of them. */
static bool grow(struct parsing *parsing, void *array, size_t count, size_t size)
{
	void **place = array;
	if (count & (count - 1))
		return true;
	void *grown = reallocarray(*place, count ? 2 * count : 1, size);
	if (!grown) {
		parsing->out_of_memory = true;
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
	struct policy_words *const words[] = {&rule->users, &rule->groups, &rule->devices, &rule->device_tags, &rule->key_kinds,
					       &rule->realms};
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		words_free(words[i]);
	free(rule->resources);
	free(rule->from);
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
	free(resource->rules.list);
	free(resource);
}

static void calendar_free(struct policy_calendar *calendar)
{
	policy_zone_free(calendar->zone);
	free(calendar->name);
	free(calendar->holidays);
	free(calendar);
}

struct policy *policy_hold(struct policy *policy)
{
	policy->holds++;
	return policy;
}

void policy_free(struct policy *policy)
{
	if (!policy || policy->holds-- > 0)
		return;
	for (size_t i = 0; i < policy->resource_count; i++)
		resource_free(policy->resources[i]);
	for (size_t i = 0; i < policy->rule_count; i++)
		rule_free(policy->rules[i]);
	for (size_t i = 0; i < policy->calendar_count; i++)
		calendar_free(policy->calendars[i]);
	for (size_t i = 0; i < policy->person_count; i++) {
		free(policy->persons[i]->rules.list);
		free(policy->persons[i]);
	}
	struct map *const maps[] = {&policy->hosts,          &policy->networks,      &policy->persons_by_key, &policy->resources_by_name,
				    &policy->rules_by_name, &policy->calendars_by_name};
	for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++)
		map_fini(maps[i]);
	free(policy->resources);
	free(policy->rules);
	free(policy->calendars);
	free(policy->persons);
	free(policy->everybody.list);
	free(policy->everywhere.list);
	free(policy->timed_denials.list);
	free(policy);
}

/* ---- values ---- */

typedef void (*take_value)(struct parsing *parsing, void *object, size_t offset, const struct policy_key *key);

static void *member(void *object, size_t offset)
{
	return (char *)object + offset;
}

static const struct policy_value *single(struct parsing *parsing, const struct policy_key *key)
{
	if (key->value_count == 1)
		return &key->values[0];
	policy_fail(parsing->errors, key->place, "%s takes one value", key->name);
	return NULL;
}

static void take_text_value(struct parsing *parsing, void *object, size_t offset, const struct policy_key *key)
{
	const struct policy_value *value = single(parsing, key);
	char **place = member(object, offset);
	if (!value)
		return;
	free(*place);
	*place = copy_text(parsing, value->text);
}

static void take_flag(struct parsing *parsing, void *object, size_t offset, const struct policy_key *key)
{
	static const char *const words[] = {"false", "no", "off", "true", "yes", "on"};
	const struct policy_value *value = single(parsing, key);
	for (size_t i = 0; value && i < 6; i++)
		if (strcmp(value->text, words[i]) == 0) {
			*(bool *)member(object, offset) = i >= 3;
			return;
		}
	if (value)
		policy_fail(parsing->errors, value->place, "%s is true or false, not \"%s\"", key->name, value->text);
}

static void take_duration(struct parsing *parsing, void *object, size_t offset, const struct policy_key *key)
{
	const struct policy_value *value = single(parsing, key);
	uint64_t *place = member(object, offset);
	if (value && (str_to_duration_ms(view_string(value->text), place) < 0 || !*place))
		policy_fail(parsing->errors, value->place, "%s is a duration with its unit, such as 15m, not \"%s\"", key->name, value->text);
}

/* What is slower than the least is no bandwidth but a lock. */
#define RATE_LEAST 1024ULL
#define RATE_MOST (1ULL << 40)

static void take_count(struct parsing *parsing, void *object, size_t offset, const struct policy_key *key)
{
	const struct policy_value *value = single(parsing, key);
	if (value && str_to_u64(view_string(value->text), 1, 1000000, member(object, offset)) < 0)
		policy_fail(parsing->errors, value->place, "%s is a number from 1 to 1000000, not \"%s\"", key->name, value->text);
}

/* "2MiB" or "2MiB/s" */
static void take_rate(struct parsing *parsing, void *object, size_t offset, const struct policy_key *key)
{
	const struct policy_value *value = single(parsing, key);
	uint64_t *place = member(object, offset);
	struct view text = view_string(value ? value->text : "");
	if (text.size > 2 && memcmp(text.data + text.size - 2, "/s", 2) == 0)
		text.size -= 2;
	if (value && (str_to_size_bytes(text, place) < 0 || *place < RATE_LEAST || *place > RATE_MOST))
		policy_fail(parsing->errors, value->place, "%s is a size for each second from 1KiB to 1024GiB, such as 2MiB, not \"%s\"",
			    key->name, value->text);
}

static void take_reserved(struct parsing *parsing, void *object, size_t offset, const struct policy_key *key)
{
	(void)object, (void)offset;
	policy_fail(parsing->errors, key->place, "%s is reserved for a later version", key->name);
}

/* ---- lists, by their names ---- */

static const struct policy_section *find_section(const struct policy_tree *tree, const char *kind, const char *title)
{
	for (size_t i = 0; i < tree->section_count; i++)
		if (strcmp(tree->sections[i].kind, kind) == 0 && strcmp(tree->sections[i].title, title) == 0)
			return &tree->sections[i];
	return NULL;
}

static void name_unknown(struct parsing *parsing, struct policy_place place, const char *kind, const char *name)
{
	const struct policy_tree *tree = parsing->tree;
	/* Nobody sees the nearest name of an error that is only counted. */
	if (parsing->errors->count >= POLICY_ERRORS_MAX) {
		parsing->errors->count++;
		return;
	}
	const char **names = allocate(parsing, tree->section_count + 1, sizeof(*names));
	size_t count = 0;
	for (size_t i = 0; names && i < tree->section_count; i++)
		if (strcmp(tree->sections[i].kind, kind) == 0)
			names[count++] = tree->sections[i].title;
	const char *nearest = names ? str_nearest(name, names) : NULL;
	policy_fail(parsing->errors, place, nearest ? "there is no %s \"%s\"; did you mean \"%s\"?" : "there is no %s \"%s\"", kind, name,
		    nearest);
	free(names);
}

typedef void (*use_value)(struct parsing *parsing, void *object, size_t offset, const struct policy_value *value);

/* A list of a list is as deep as it gets, four times: "@a" in "a" would never end. */
enum { LISTS_DEEP = 4, VALUES_MAX = 4000000 };

/* Calls `use` for each value; "@name" stands for the members of list "name". */
static void each_value(struct parsing *parsing, void *object, size_t offset, const struct policy_key *key, use_value use, int depth)
{
	for (size_t i = 0; i < key->value_count; i++) {
		const struct policy_value *value = &key->values[i];
		/* Lists of lists of lists could go on for a day. */
		if (++parsing->values > VALUES_MAX) {
			if (parsing->values == VALUES_MAX + 1)
				policy_fail(parsing->errors, value->place, "the policy has more than %d values", VALUES_MAX);
			return;
		}
		if (value->text[0] != '@') {
			parsing->used++;
			use(parsing, object, offset, value);
			continue;
		}
		const struct policy_section *list = find_section(parsing->tree, "list", value->text + 1);
		if (!list)
			name_unknown(parsing, value->place, "list", value->text + 1);
		else if (depth == LISTS_DEEP)
			policy_fail(parsing->errors, value->place, "lists within lists are %d deep at most", LISTS_DEEP);
		else
			for (size_t j = 0; j < list->key_count; j++)
				each_value(parsing, object, offset, &list->keys[j], use, depth + 1);
	}
}

static void add_word(struct parsing *parsing, void *object, size_t offset, const struct policy_value *value)
{
	struct policy_words *words = member(object, offset);
	if (strcmp(value->text, "*") == 0) {
		words->all = true;
		return;
	}
	if (!*value->text)
		policy_fail(parsing->errors, value->place, "an empty entry");
	if (words->count == WORDS_MAX)
		policy_fail(parsing->errors, value->place, "more than %d entries", WORDS_MAX);
	if (words->count >= WORDS_MAX || !grow(parsing, &words->list, words->count, sizeof(*words->list)))
		return;
	words->list[words->count] = copy_text(parsing, value->text);
	if (words->list[words->count])
		words->count++;
}

static void take_words(struct parsing *parsing, void *object, size_t offset, const struct policy_key *key)
{
	each_value(parsing, object, offset, key, add_word, 0);
}

/* "EC P-256" as "ec-p256": as x509_key_kind spells it. */
static void spell_key_kind(const char *text, char *out_kind, size_t capacity)
{
	size_t used = 0;
	for (; *text && used + 1 < capacity; text++) {
		bool is_within_curve = *text == '-' && used >= 2 && memcmp(out_kind + used - 2, "-p", 2) == 0;
		if (!is_within_curve)
			out_kind[used++] = *text == ' ' ? '-' : (char)tolower((unsigned char)*text);
	}
	out_kind[used] = 0;
}

static void add_key_kind(struct parsing *parsing, void *object, size_t offset, const struct policy_value *value)
{
	static const char *const known[] = {"ec", "ec-p256", "ec-p384", "ed25519", "rsa", "rsa-2048", "rsa-3072", "rsa-4096", "*", NULL};
	char kind[32];
	struct policy_value spelled = {.text = kind, .place = value->place};
	spell_key_kind(value->text, kind, sizeof(kind));
	/* RSA keys have any length. */
	bool is_known = strncmp(kind, "rsa-", 4) == 0 && kind[4] && strspn(kind + 4, "0123456789") == strlen(kind + 4);
	for (const char *const *word = known; *word && !is_known; word++)
		is_known = strcmp(kind, *word) == 0;
	const char *nearest = is_known ? NULL : str_nearest(kind, known);
	if (is_known)
		add_word(parsing, object, offset, &spelled);
	else
		policy_fail(parsing->errors, value->place,
			    nearest ? "there is no kind of key \"%s\"; did you mean \"%s\"?"
				    : "there is no kind of key \"%s\": ec, ec-p256, ec-p384, ed25519, rsa, rsa-3072", value->text, nearest);
}

static void take_key_kinds(struct parsing *parsing, void *object, size_t offset, const struct policy_key *key)
{
	each_value(parsing, object, offset, key, add_key_kind, 0);
}

/* ---- calendars ---- */

static void add_holiday(struct parsing *parsing, void *object, size_t offset, const struct policy_value *value)
{
	struct policy_calendar *calendar = object;
	uint32_t date = 0;
	(void)offset;
	if (policy_date_parse(value->text, &date) < 0)
		policy_fail(parsing->errors, value->place, "a holiday is written 2026-12-24, or 12-24 for every year, not \"%s\"", value->text);
	else if (grow(parsing, &calendar->holidays, calendar->holiday_count, sizeof(*calendar->holidays)))
		calendar->holidays[calendar->holiday_count++] = date;
}

static void take_holidays(struct parsing *parsing, void *object, size_t offset, const struct policy_key *key)
{
	each_value(parsing, object, offset, key, add_holiday, 0);
}

static void take_zone(struct parsing *parsing, void *object, size_t offset, const struct policy_key *key)
{
	struct policy_calendar *calendar = object;
	const struct policy_value *value = single(parsing, key);
	struct diag diag;
	(void)offset;
	if (value && policy_zone_load(value->text, &calendar->zone, &diag) < 0)
		policy_fail(parsing->errors, value->place, "%s", diag.text);
}

/* ---- resources ---- */

static void add_address(struct parsing *parsing, void *object, size_t offset, const struct policy_value *value)
{
	struct policy_resource *resource = object;
	struct diag diag;
	(void)offset;
	if (!grow(parsing, &resource->entries, resource->entry_count, sizeof(*resource->entries)))
		return;
	struct policy_entry *entry = &resource->entries[resource->entry_count];
	*entry = (struct policy_entry){.resource = resource};
	if (policy_entry_parse(value->text, entry, &diag) < 0) {
		policy_fail(parsing->errors, value->place, "\"%s\" is no address: %s", value->text, diag.text);
		return;
	}
	resource->entry_count++;
	char *longer = NULL;
	if (asprintf(&longer, "%s%s\n", resource->addresses ? resource->addresses : "", value->text) < 0) {
		parsing->out_of_memory = true;
		return;
	}
	free(resource->addresses);
	resource->addresses = longer;
}

static void take_addresses(struct parsing *parsing, void *object, size_t offset, const struct policy_key *key)
{
	each_value(parsing, object, offset, key, add_address, 0);
}

static void take_kind(struct parsing *parsing, void *object, size_t offset, const struct policy_key *key)
{
	static const char *const kinds[] = {"tcp", "ssh", "web", "postgres", NULL};
	const struct policy_value *value = single(parsing, key);
	bool known = false;
	for (const char *const *kind = kinds; value && *kind; kind++)
		known |= strcmp(*kind, value->text) == 0;
	if (value && !known)
		policy_fail(parsing->errors, value->place, "kind must be tcp, ssh, web or postgres, not \"%s\"", value->text);
	take_text_value(parsing, object, offset, key);
}

/* ---- rules ---- */

static void add_hours(struct parsing *parsing, void *object, size_t offset, const struct policy_value *value)
{
	struct policy_rule *rule = object;
	(void)offset;
	if (!grow(parsing, &rule->hours, rule->hours_count, sizeof(*rule->hours)))
		return;
	rule->hours[rule->hours_count] = (struct policy_hours){.days = 0};
	if (policy_hours_parse(value->text, &rule->hours[rule->hours_count]) < 0)
		policy_fail(parsing->errors, value->place, "hours are written \"Mon-Fri 07:00-20:00\", not \"%s\"", value->text);
	else
		rule->hours_count++;
}

static void take_hours(struct parsing *parsing, void *object, size_t offset, const struct policy_key *key)
{
	each_value(parsing, object, offset, key, add_hours, 0);
}

static void add_from(struct parsing *parsing, void *object, size_t offset, const struct policy_value *value)
{
	struct policy_rule *rule = object;
	struct diag diag;
	(void)offset;
	if (!grow(parsing, &rule->from, rule->from_count, sizeof(*rule->from)))
		return;
	if (policy_network_parse(view_string(value->text), &rule->from[rule->from_count], &diag) < 0)
		policy_fail(parsing->errors, value->place, "\"%s\" is no network: %s", value->text, diag.text);
	else
		rule->from_count++;
}

static void take_from(struct parsing *parsing, void *object, size_t offset, const struct policy_key *key)
{
	each_value(parsing, object, offset, key, add_from, 0);
}

static void take_calendar(struct parsing *parsing, void *object, size_t offset, const struct policy_key *key)
{
	struct policy_rule *rule = object;
	const struct policy_value *value = single(parsing, key);
	(void)offset;
	if (!value)
		return;
	rule->calendar = MAP_FIND(&parsing->policy->calendars_by_name, view_string(value->text), struct policy_calendar, by_name);
	if (!rule->calendar)
		name_unknown(parsing, value->place, "calendar", value->text);
}

static void add_resource_name(struct parsing *parsing, void *object, size_t offset, const struct policy_value *value)
{
	struct policy_rule *rule = object;
	(void)offset;
	if (strcmp(value->text, "*") == 0) {
		rule->everything = true;
		return;
	}
	struct policy_resource *resource =
		MAP_FIND(&parsing->policy->resources_by_name, view_string(value->text), struct policy_resource, by_name);
	if (!resource)
		name_unknown(parsing, value->place, "resource", value->text);
	else if (grow(parsing, &rule->resources, rule->resource_count, sizeof(struct policy_resource *)))
		rule->resources[rule->resource_count++] = resource;
}

static void take_resources(struct parsing *parsing, void *object, size_t offset, const struct policy_key *key)
{
	each_value(parsing, object, offset, key, add_resource_name, 0);
}

/* ---- the table of keys ---- */

static void take_members(struct parsing *parsing, void *object, size_t offset, const struct policy_key *key)
{
	(void)parsing, (void)object, (void)offset, (void)key; /* read where the list is used */
}

#define IN(type, field) offsetof(struct policy_##type, field)
static const struct key_row {
	const char *section, *key;
	take_value take;
	size_t offset;
	bool allows_only; /* makes no sense in a rule that denies */
	bool narrows;     /* a list that would be no condition at all when it is empty */
} rows[] = {
	{"list", "members", take_members, 0, false, false},
	{"calendar", "zone", take_zone, 0, false, false},
	{"calendar", "holidays", take_holidays, 0, false, false},
	{"resource", "address", take_addresses, 0, false, false},
	{"resource", "description", take_text_value, IN(resource, description), false, false},
	{"resource", "kind", take_kind, IN(resource, kind), false, false},
	{"rule", "users", take_words, IN(rule, users), false, false},
	{"rule", "groups", take_words, IN(rule, groups), false, false},
	{"rule", "devices", take_words, IN(rule, devices), false, true},
	{"rule", "device_tags", take_words, IN(rule, device_tags), false, true},
	{"rule", "key_kind", take_key_kinds, IN(rule, key_kinds), false, true},
	{"rule", "realms", take_words, IN(rule, realms), false, true},
	{"rule", "from", take_from, 0, false, true},
	{"rule", "resources", take_resources, 0, false, false},
	{"rule", "deny", take_flag, IN(rule, deny), false, false},
	{"rule", "hours", take_hours, 0, false, true},
	{"rule", "calendar", take_calendar, 0, false, false},
	{"rule", "fresh_login", take_duration, IN(rule, fresh_login_ms), true, false},
	{"rule", "max_lease", take_duration, IN(rule, max_lease_ms), true, false},
	{"rule", "idle_timeout", take_duration, IN(rule, idle_timeout_ms), true, false},
	{"rule", "max_tunnels", take_count, IN(rule, max_tunnels), true, false},
	{"rule", "max_rate", take_rate, IN(rule, max_rate), true, false},
	{"rule", "approve", take_reserved, 0, false, false},
};
#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

static const struct key_row *find_row(const struct policy_section *section, const char *key)
{
	for (size_t i = 0; i < ROW_COUNT; i++)
		if (strcmp(rows[i].section, section->kind) == 0 && strcmp(rows[i].key, key) == 0)
			return &rows[i];
	return NULL;
}

static void name_unknown_key(struct parsing *parsing, const struct policy_section *section, const struct policy_key *key)
{
	const char *known[ROW_COUNT + 1] = {NULL};
	size_t count = 0;
	for (size_t i = 0; i < ROW_COUNT; i++)
		if (strcmp(rows[i].section, section->kind) == 0)
			known[count++] = rows[i].key;
	const char *nearest = str_nearest(key->name, known);
	policy_fail(parsing->errors, key->place, nearest ? "a %s has no key \"%s\"; did you mean \"%s\"?" : "a %s has no key \"%s\"",
		    section->kind, key->name, nearest);
}

static bool is_repeated(const struct policy_section *section, size_t i)
{
	for (size_t j = 0; j < i; j++)
		if (strcmp(section->keys[j].name, section->keys[i].name) == 0)
			return true;
	return false;
}

/* A condition of nothing is a mistake, perhaps of an empty list elsewhere: it must not open the rule for all. */
static void take_key(struct parsing *parsing, const struct key_row *row, void *object, const struct policy_key *key)
{
	size_t before = parsing->used;
	unsigned errors = parsing->errors->count;
	row->take(parsing, object, row->offset, key);
	if (row->narrows && parsing->used == before && parsing->errors->count == errors)
		policy_fail(parsing->errors, key->place, "%s is empty: name what it asks for, or leave it out", key->name);
}

static void take_keys(struct parsing *parsing, const struct policy_section *section, void *object)
{
	for (size_t i = 0; i < section->key_count; i++) {
		const struct policy_key *key = &section->keys[i];
		const struct key_row *row = find_row(section, key->name);
		if (!row)
			name_unknown_key(parsing, section, key);
		else if (is_repeated(section, i))
			policy_fail(parsing->errors, key->place, "%s stands here twice", key->name);
		else
			take_key(parsing, row, object, key);
	}
}

/* ---- sections ---- */

static void take_list(struct parsing *parsing, const struct policy_section *section)
{
	take_keys(parsing, section, NULL);
	if (find_section(parsing->tree, "list", section->title) != section)
		policy_fail(parsing->errors, section->place, "there is a list \"%s\" already", section->title);
}

static void take_calendar_section(struct parsing *parsing, const struct policy_section *section)
{
	struct policy *policy = parsing->policy;
	struct policy_calendar *calendar = allocate(parsing, 1, sizeof(*calendar));
	if (!calendar || !grow(parsing, &policy->calendars, policy->calendar_count, sizeof(struct policy_calendar *))) {
		free(calendar);
		return;
	}
	policy->calendars[policy->calendar_count++] = calendar;
	calendar->name = copy_text(parsing, section->title);
	take_keys(parsing, section, calendar);
	if (calendar->name && map_find(&policy->calendars_by_name, view_string(calendar->name)))
		policy_fail(parsing->errors, section->place, "there is a calendar \"%s\" already", section->title);
	else if (calendar->name)
		map_add(&policy->calendars_by_name, &calendar->by_name, view_string(calendar->name));
}

static void take_resource(struct parsing *parsing, const struct policy_section *section)
{
	struct policy *policy = parsing->policy;
	struct policy_resource *resource = allocate(parsing, 1, sizeof(*resource));
	if (!resource || !grow(parsing, &policy->resources, policy->resource_count, sizeof(struct policy_resource *))) {
		free(resource);
		return;
	}
	policy->resources[policy->resource_count] = resource;
	resource->order = policy->resource_count++;
	resource->place = section->place;
	resource->name = copy_text(parsing, section->title);
	resource->description = copy_text(parsing, "");
	resource->kind = copy_text(parsing, "tcp");
	take_keys(parsing, section, resource);
	if (!resource->addresses)
		resource->addresses = copy_text(parsing, "");
	bool has_address = false;
	for (size_t i = 0; i < section->key_count; i++)
		has_address |= strcmp(section->keys[i].name, "address") == 0 && section->keys[i].value_count;
	if (!has_address)
		policy_fail(parsing->errors, section->place, "resource \"%s\" has no address", section->title);
	if (resource->name && map_find(&policy->resources_by_name, view_string(resource->name)))
		policy_fail(parsing->errors, section->place, "there is a resource \"%s\" already", section->title);
	else if (resource->name)
		map_add(&policy->resources_by_name, &resource->by_name, view_string(resource->name));
}

static void check_rule(struct parsing *parsing, const struct policy_section *section, const struct policy_rule *rule)
{
	bool has_resources = rule->everything || rule->resource_count;
	for (size_t i = 0; i < section->key_count; i++) {
		const struct key_row *row = find_row(section, section->keys[i].name);
		has_resources |= strcmp(section->keys[i].name, "resources") == 0 && section->keys[i].value_count;
		if (rule->deny && row && row->allows_only)
			policy_fail(parsing->errors, section->keys[i].place, "rule \"%s\" denies; %s has no meaning there", section->title,
				    row->key);
	}
	if (rule->users.count == 0 && rule->groups.count == 0 && !rule->users.all && !rule->groups.all)
		policy_fail(parsing->errors, section->place, "rule \"%s\" names no users and no groups; write users = {\"*\"} for everybody",
			    section->title);
	if (!has_resources)
		policy_fail(parsing->errors, section->place, "rule \"%s\" names no resources; write resources = {\"*\"} for all",
			    section->title);
}

static void take_rule(struct parsing *parsing, const struct policy_section *section)
{
	struct policy *policy = parsing->policy;
	struct policy_rule *rule = allocate(parsing, 1, sizeof(*rule));
	if (!rule || !grow(parsing, &policy->rules, policy->rule_count, sizeof(struct policy_rule *))) {
		free(rule);
		return;
	}
	policy->rules[policy->rule_count] = rule;
	rule->order = policy->rule_count++;
	rule->place = section->place;
	rule->name = copy_text(parsing, section->title);
	take_keys(parsing, section, rule);
	check_rule(parsing, section, rule);
	if (rule->name && map_find(&policy->rules_by_name, view_string(rule->name)))
		policy_fail(parsing->errors, section->place, "there is a rule \"%s\" already", section->title);
	else if (rule->name)
		map_add(&policy->rules_by_name, &rule->by_name, view_string(rule->name));
}

/* In this order: what is mentioned stands before who mentions it, whatever the order in the files. */
static const struct {
	const char *kind;
	void (*take)(struct parsing *parsing, const struct policy_section *section);
} kinds[] = {{"list", take_list}, {"calendar", take_calendar_section}, {"resource", take_resource}, {"rule", take_rule}};
#define KIND_COUNT (sizeof(kinds) / sizeof(kinds[0]))

static void check_kind(struct parsing *parsing, const struct policy_section *section)
{
	const char *known[KIND_COUNT + 1] = {NULL};
	for (size_t i = 0; i < KIND_COUNT; i++) {
		known[i] = kinds[i].kind;
		if (strcmp(kinds[i].kind, section->kind) == 0) {
			if (!*section->title)
				policy_fail(parsing->errors, section->place, "a %s has a name: %s \"name\" { ... }", section->kind,
					    section->kind);
			return;
		}
	}
	const char *nearest = str_nearest(section->kind, known);
	policy_fail(parsing->errors, section->place, nearest ? "there is no section \"%s\"; did you mean \"%s\"?" : "there is no section \"%s\"",
		    section->kind, nearest);
}

static void take_sections(struct parsing *parsing)
{
	const struct policy_tree *tree = parsing->tree;
	for (size_t i = 0; i < tree->section_count; i++)
		check_kind(parsing, &tree->sections[i]);
	for (size_t kind = 0; kind < KIND_COUNT; kind++)
		for (size_t i = 0; i < tree->section_count && !parsing->out_of_memory; i++)
			if (strcmp(tree->sections[i].kind, kinds[kind].kind) == 0)
				kinds[kind].take(parsing, &tree->sections[i]);
}

static struct policy *policy_new(void)
{
	struct policy *policy = calloc(1, sizeof(*policy));
	if (!policy)
		return NULL;
	struct map *const maps[] = {&policy->hosts,          &policy->networks,      &policy->persons_by_key, &policy->resources_by_name,
				    &policy->rules_by_name, &policy->calendars_by_name};
	for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++)
		if (map_init(maps[i]) < 0) {
			policy_free(policy);
			return NULL;
		}
	return policy;
}

int policy_parse(const struct policy_file *files, size_t count, struct policy **out_policy, struct policy_errors *out_errors)
{
	struct policy_tree tree = {.sections = NULL};
	struct parsing parsing = {.policy = policy_new(), .errors = out_errors, .tree = &tree};
	out_errors->count = out_errors->warning_count = 0;
	if (!parsing.policy)
		return ERR_SYSTEM;
	for (size_t i = 0; i < count; i++)
		policy_syntax_read(&files[i], &tree, out_errors);
	take_sections(&parsing);
	int result = out_errors->count ? ERR_BAD_CONFIG : 0;
	if (result == 0)
		result = parsing.out_of_memory || tree.out_of_memory ? ERR_SYSTEM : policy_compile(parsing.policy);
	if (result == 0 && !out_errors->no_warnings)
		policy_warn_all(parsing.policy, out_errors);
	policy_tree_fini(&tree);
	if (result < 0)
		policy_free(parsing.policy);
	else
		*out_policy = parsing.policy;
	return result;
}

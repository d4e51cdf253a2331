/* conf.c: the table of keys turned into values, spellings and a sample file. Pure but for memory. */
#include "sallyport/conf.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sallyport/own.h"
#include "sallyport/alert.h"
#include "sallyport/issuer.h"
#include "sallyport/realm.h"
#include "sallyport/str.h"
#include "sallyport/token_url.h"

#define OFFSET_TEXT(name) offsetof(struct conf, name)
#define OFFSET_PATH(name) offsetof(struct conf, name)
#define OFFSET_KEY(name) offsetof(struct conf, name)
#define OFFSET_LIST(name) offsetof(struct conf, name)
#define OFFSET_REALMS(name) offsetof(struct conf, name)
#define OFFSET_ALERTS(name) offsetof(struct conf, name)
#define OFFSET_ISSUERS(name) offsetof(struct conf, name)
#define OFFSET_DURATION(name) offsetof(struct conf, name##_ms)
#define OFFSET_SIZE(name) offsetof(struct conf, name)
#define OFFSET_COUNT(name) offsetof(struct conf, name)
#define OFFSET_FLAG(name) offsetof(struct conf, name)
#define KEY_ROW(kind, name, initial, minimum, maximum, rooms, documentation) \
	{#name, CONF_##kind, initial, minimum, maximum, rooms, documentation, OFFSET_##kind(name)},
#define KEY_NAME(kind, name, ...) #name,

const struct conf_key conf_keys[] = {CONF_KEYS(KEY_ROW)};
const size_t conf_key_count = sizeof(conf_keys) / sizeof(conf_keys[0]);

static const char *const key_names[] = {CONF_KEYS(KEY_NAME) NULL};

const struct conf_key *conf_key_find(const char *name)
{
	for (size_t i = 0; i < conf_key_count; i++)
		if (strcmp(conf_keys[i].name, name) == 0)
			return &conf_keys[i];
	return NULL;
}

const char *conf_key_nearest(const char *name)
{
	return str_nearest(name, key_names);
}

static bool is_text(enum conf_kind kind)
{
	return kind == CONF_TEXT || kind == CONF_PATH || kind == CONF_LIST || kind == CONF_KEY || kind == CONF_REALMS ||
	       kind == CONF_ALERTS || kind == CONF_ISSUERS;
}

static char **text_place(const struct conf *conf, const struct conf_key *key)
{
	return (char **)(void *)((char *)(uintptr_t)conf + key->offset);
}

static uint64_t *number_place(const struct conf *conf, const struct conf_key *key)
{
	return (uint64_t *)(void *)((char *)(uintptr_t)conf + key->offset);
}

static bool *flag_place(const struct conf *conf, const struct conf_key *key)
{
	return (bool *)(void *)((char *)(uintptr_t)conf + key->offset);
}

int conf_init(struct conf *conf)
{
	memset(conf, 0, sizeof(*conf));
	for (size_t i = 0; i < conf_key_count; i++) {
		const struct conf_key *key = &conf_keys[i];
		/* An empty default is "not set" and need not pass the bounds of a value that is. */
		int result = is_text(key->kind) && !*key->initial
				     ? ((*text_place(conf, key) = strdup("")) ? 0 : ERR_SYSTEM)
				     : conf_set(conf, key->name, view_string(key->initial), NULL);
		if (result < 0) {
			conf_fini(conf);
			return result;
		}
	}
	return 0;
}

void conf_fini(struct conf *conf)
{
	for (size_t i = 0; i < conf_key_count; i++)
		if (is_text(conf_keys[i].kind))
			free(*text_place(conf, &conf_keys[i]));
	memset(conf, 0, sizeof(*conf));
}

bool conf_list_next(const char *list, size_t *position, struct view *out_item)
{
	const char *start = list + *position;
	if (!*start)
		return false;
	const char *newline = strchr(start, '\n');
	size_t length = newline ? (size_t)(newline - start) : strlen(start);
	*out_item = view_of(start, length);
	*position += length + (newline ? 1 : 0);
	return true;
}

static uint64_t count_items(const char *list)
{
	size_t position = 0;
	uint64_t count = 0;
	struct view item;
	while (conf_list_next(list, &position, &item))
		count++;
	return count;
}

static int check_key_place(const struct conf_key *key, const char *text, struct diag *diag)
{
	struct token_url url;
	struct diag why;
	if (!token_url_is(text) && text[0] != '/')
		return diag_set(diag, ERR_BAD_CONFIG, "%s must be an absolute path or a pkcs11: URL, not \"%s\"", key->name,
				text);
	if (token_url_is(text) && token_url_parse(text, &url, &why) < 0)
		return diag_set(diag, ERR_BAD_CONFIG, "%s: %s", key->name, why.text);
	return 0;
}

static int set_text(struct conf *conf, const struct conf_key *key, struct view value, struct diag *diag)
{
	if (!view_is_utf8(value))
		return diag_set(diag, ERR_BAD_CONFIG, "%s is not valid text", key->name);
	OWN_MEMORY char *text = view_duplicate(value);
	if (!text)
		return diag_set(diag, ERR_SYSTEM, "out of memory");
	bool is_list = key->kind == CONF_LIST || key->kind == CONF_REALMS || key->kind == CONF_ALERTS ||
		       key->kind == CONF_ISSUERS;
	uint64_t measure = is_list ? count_items(text) : value.size;
	if (measure < key->minimum || measure > key->maximum)
		return diag_set(diag, ERR_BAD_CONFIG, "%s must have %" PRIu64 " to %" PRIu64 " %s", key->name,
				key->minimum, key->maximum, is_list ? "entries" : "characters");
	if (key->kind == CONF_PATH && value.size && value.data[0] != '/')
		return diag_set(diag, ERR_BAD_CONFIG, "%s must be an absolute path, not \"%s\"", key->name, text);
	if (key->kind == CONF_KEY && check_key_place(key, text, diag) < 0)
		return ERR_BAD_CONFIG;
	if (key->kind == CONF_REALMS && realms_check(text, diag) < 0)
		return ERR_BAD_CONFIG;
	if (key->kind == CONF_ALERTS && alerts_check(text, diag) < 0)
		return ERR_BAD_CONFIG;
	if (key->kind == CONF_ISSUERS && issuers_check(text, diag) < 0)
		return ERR_BAD_CONFIG;
	char **place = text_place(conf, key);
	free(*place);
	*place = take_pointer(&text);
	return 0;
}

static void spell_number(const struct conf_key *key, uint64_t number, char *out_text, size_t capacity)
{
	if (key->kind == CONF_DURATION)
		str_from_duration_ms(number, out_text, capacity);
	else if (key->kind == CONF_SIZE)
		str_from_size_bytes(number, out_text, capacity);
	else
		snprintf(out_text, capacity, "%" PRIu64, number);
}

static int parse_number(const struct conf_key *key, struct view value, uint64_t *out_number, struct diag *diag)
{
	static const char *const expected[] = {
		[CONF_DURATION] = "a duration with its unit (ms, s, m, h, d)",
		[CONF_SIZE] = "a size with its unit (B, KiB, MiB, GiB)",
		[CONF_COUNT] = "a whole number",
	};
	int result = key->kind == CONF_DURATION ? str_to_duration_ms(value, out_number)
		     : key->kind == CONF_SIZE   ? str_to_size_bytes(value, out_number)
						: str_to_u64(value, 0, UINT64_MAX, out_number);
	if (result < 0)
		return diag_set(diag, ERR_BAD_CONFIG, "%s must be %s, such as %s; not \"%.*s\"", key->name,
				expected[key->kind], key->initial, (int)(value.size > 64 ? 64 : value.size),
				(const char *)value.data);
	return 0;
}

static int set_number(struct conf *conf, const struct conf_key *key, struct view value, struct diag *diag)
{
	uint64_t number = 0;
	int result = parse_number(key, value, &number, diag);
	if (result < 0)
		return result;
	if (number < key->minimum || number > key->maximum) {
		char least[32], most[32];
		spell_number(key, key->minimum, least, sizeof(least));
		spell_number(key, key->maximum, most, sizeof(most));
		return diag_set(diag, ERR_BAD_CONFIG, "%s must lie between %s and %s", key->name, least, most);
	}
	*number_place(conf, key) = number;
	return 0;
}

static int set_flag(struct conf *conf, const struct conf_key *key, struct view value, struct diag *diag)
{
	if (!view_is(value, "yes") && !view_is(value, "no"))
		return diag_set(diag, ERR_BAD_CONFIG, "%s must be yes or no", key->name);
	*flag_place(conf, key) = view_is(value, "yes");
	return 0;
}

int conf_set(struct conf *conf, const char *name, struct view value, struct diag *diag)
{
	const struct conf_key *key = conf_key_find(name);
	if (!key) {
		const char *nearest = conf_key_nearest(name);
		return diag_set(diag, ERR_NOT_FOUND, nearest ? "there is no key \"%s\"; did you mean \"%s\"?"
							     : "there is no key \"%s\"",
				name, nearest);
	}
	if (is_text(key->kind))
		return set_text(conf, key, value, diag);
	return key->kind == CONF_FLAG ? set_flag(conf, key, value, diag) : set_number(conf, key, value, diag);
}

int conf_spell(const struct conf *conf, const struct conf_key *key, struct buf *out_text)
{
	if (is_text(key->kind))
		return buf_add_string(out_text, *text_place(conf, key));
	if (key->kind == CONF_FLAG)
		return buf_add_string(out_text, *flag_place(conf, key) ? "yes" : "no");
	char text[32];
	spell_number(key, *number_place(conf, key), text, sizeof(text));
	return buf_add_string(out_text, text);
}

/* The value as gateway.conf wants it: a quoted string, or a list in braces. */
static int sample_value(const struct conf_key *key, const char *value, struct buf *out_text)
{
	if (key->kind != CONF_LIST)
		return buf_add_format(out_text, "\"%s\"", value);
	size_t position = 0;
	struct view item;
	int result = buf_add_string(out_text, "{");
	for (int i = 0; result == 0 && conf_list_next(value, &position, &item); i++)
		result = buf_add_format(out_text, "%s\"%.*s\"", i ? ", " : "", (int)item.size, (const char *)item.data);
	return result < 0 ? result : buf_add_string(out_text, "}");
}

/* Sections; without any, one that shows how. */
static int sample_realms(const struct conf_key *key, const char *value, struct buf *out_text)
{
	size_t position = 0;
	struct realm realm;
	int result = buf_add_format(out_text, "# %s\n", key->documentation);
	while (result == 0 && realm_next(value, &position, &realm)) {
		result = realm_print(&realm, out_text);
		if (result == 0)
			result = buf_add_string(out_text, "\n");
	}
	if (result == 0 && !*value)
		result = buf_add_string(out_text, "# realm \"staff\" {  pam_service = \"sallyport-staff\"  groups = {\"staff\"}  }\n");
	return result < 0 ? result : buf_add_string(out_text, "\n");
}

static int sample_alerts(const struct conf_key *key, const char *value, struct buf *out_text)
{
	size_t position = 0;
	struct alert alert;
	int result = buf_add_format(out_text, "# %s\n", key->documentation);
	while (result == 0 && alert_next(value, &position, &alert)) {
		result = alert_print(&alert, out_text);
		if (result == 0)
			result = buf_add_string(out_text, "\n");
	}
	if (result == 0 && !*value)
		result = buf_add_string(out_text, "# alert \"log\" {  events = {\"all\"}  to = \"syslog:\"  }\n");
	return result < 0 ? result : buf_add_string(out_text, "\n");
}

static int sample_issuers(const struct conf_key *key, const char *value, struct buf *out_text)
{
	size_t position = 0;
	struct issuer issuer;
	int result = buf_add_format(out_text, "# %s\n%s", key->documentation,
				    *value ? "" : "# authority \"corp\" { certificate = \"/etc/sallyport/corp-ca.crt\"  "
						  "crl = \"http://pki.corp.example/devices.crl\" }\n");
	while (result == 0 && issuer_next(value, &position, &issuer)) {
		result = issuer_print(&issuer, out_text);
		if (result == 0)
			result = buf_add_string(out_text, "\n");
	}
	return result < 0 ? result : buf_add_string(out_text, "\n");
}

int conf_sample(const struct conf *conf, struct buf *out_text)
{
	int result = 0;
	for (size_t i = 0; result == 0 && i < conf_key_count; i++) {
		const struct conf_key *key = &conf_keys[i];
		OWN_BUF struct buf value = BUF_INIT(65536);
		if (conf_spell(conf, key, &value) < 0 || buf_add(&value, view_of("", 1)) < 0)
			return ERR_SYSTEM;
		if (key->kind == CONF_REALMS) {
			result = sample_realms(key, (const char *)value.data, out_text);
			continue;
		}
		if (key->kind == CONF_ALERTS) {
			result = sample_alerts(key, (const char *)value.data, out_text);
			continue;
		}
		if (key->kind == CONF_ISSUERS) {
			result = sample_issuers(key, (const char *)value.data, out_text);
			continue;
		}
		bool is_default = strcmp((const char *)value.data, key->initial) == 0;
		result = buf_add_format(out_text, "# %s\n%s%s = ", key->documentation, is_default ? "# " : "", key->name);
		if (result == 0)
			result = sample_value(key, (const char *)value.data, out_text);
		if (result == 0)
			result = buf_add_string(out_text, "\n\n");
	}
	return result;
}

int conf_public_address(const char *name, const char *configured, const char *listen, char *out_text, size_t capacity)
{
	char host[256];
	uint16_t port = 0;
	size_t position = 0;
	struct view first;
	if (*configured)
		return str_copy(out_text, capacity, configured) ? 0 : ERR_LIMIT;
	if (!conf_list_next(listen, &position, &first) || str_split_authority(first, host, sizeof(host), &port) < 0)
		return ERR_NOT_FOUND;
	bool six = strchr(name, ':');
	return (size_t)snprintf(out_text, capacity, "%s%s%s:%u", six ? "[" : "", name, six ? "]" : "", port) < capacity ? 0 : ERR_LIMIT;
}

void conf_portal(const struct conf *conf, char *out_url, size_t capacity)
{
	char address[600];
	size_t length = 0;
	if (conf_public_address(conf->name, conf->public_address, conf->listen, address, sizeof(address)) == 0)
		length = strlen(address);
	else
		str_copy(address, sizeof(address), conf->name);
	if (length > 4 && strcmp(address + length - 4, ":443") == 0)
		address[length - 4] = 0;
	snprintf(out_url, capacity, "https://%s/", address);
}

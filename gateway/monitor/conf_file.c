/* conf_file.c: libconfuse reads the syntax, the table of keys (conf.h) judges the values.
 *
 * The only file of the monitor that knows libconfuse. Each value is judged at the moment it was read, while
 * libconfuse still knows the line.
 */
#include "conf_file.h"

#include <confuse.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "files.h"
#include "sallyport/alert.h"
#include "sallyport/fd.h"
#include "sallyport/issuer.h"
#include "sallyport/own.h"
#include "sallyport/realm.h"
#include "sallyport/str.h"

#define CONF_FILE_MAX (1 << 20)

/* libconfuse's callbacks take no context: one parse at a time. */
static struct {
	struct conf *conf;
	const char *path;
	struct diag *diag;
	bool failed;
} parsing;

static void fail_at(int line, const char *sentence)
{
	/* The first error is the one that counts: later ones follow from it. */
	if (!parsing.failed && line)
		diag_set(parsing.diag, ERR_BAD_CONFIG, "%s:%d: %s", parsing.path, line, sentence);
	else if (!parsing.failed)
		diag_set(parsing.diag, ERR_BAD_CONFIG, "%s: %s", parsing.path, sentence);
	parsing.failed = true;
}

static bool name_between(const char *message, const char *before, char *out_name, size_t capacity)
{
	const char *start = strstr(message, before);
	if (!start)
		return false;
	start += strlen(before);
	size_t length = strcspn(start, "'");
	return view_to_string(view_of(start, length), out_name, capacity) == 0;
}

static const char *nearest_alert_field(const char *name)
{
	const char *names[32] = {NULL};
	for (size_t i = 0; i < alert_field_count && i + 1 < sizeof(names) / sizeof(names[0]); i++)
		names[i] = alert_fields[i].name;
	return str_nearest(name, names);
}

static const char *nearest_issuer_field(const char *name)
{
	const char *names[32] = {NULL};
	for (size_t i = 0; i < issuer_field_count && i + 1 < sizeof(names) / sizeof(names[0]); i++)
		names[i] = issuer_fields[i].name;
	return str_nearest(name, names);
}

[[gnu::format(printf, 2, 0)]] static void on_syntax_error(cfg_t *cfg, const char *format, va_list arguments)
{
	char message[512], name[128];
	struct diag unknown;
	vsnprintf(message, sizeof(message), format, arguments);
	bool is_unknown = name_between(message, "no such option '", name, sizeof(name));
	if (is_unknown && strcmp(cfg->name, "realm") == 0) {
		diag_set(&unknown, ERR_BAD_CONFIG, "there is no key \"%s\" in a realm; there are pam_service, groups, device_tags, "
			 "on_request, break_glass, browser", name);
		fail_at(cfg->line, unknown.text);
		return;
	}
	bool in_alert = strcmp(cfg->name, "alert") == 0;
	if (is_unknown && (in_alert || strcmp(cfg->name, "authority") == 0)) {
		const char *nearest = in_alert ? nearest_alert_field(name) : nearest_issuer_field(name);
		diag_set(&unknown, ERR_BAD_CONFIG, nearest ? "there is no key \"%s\" in an %s; did you mean \"%s\"?"
							   : "there is no key \"%s\" in an %s", name, cfg->name, nearest);
		fail_at(cfg->line, unknown.text);
		return;
	}
	if (is_unknown) {
		(void)!conf_set(parsing.conf, name, view_string(""), &unknown);
		fail_at(cfg->line, unknown.text);
		return;
	}
	fail_at(cfg->line, message);
}

static int add_items(cfg_opt_t *option, struct buf *value)
{
	int result = 0;
	for (unsigned i = 0; result == 0 && i < cfg_opt_size(option); i++)
		result = buf_add_format(value, "%s\n", cfg_opt_getnstr(option, i));
	return result;
}

/* What the table's bounds cannot say. */
static const struct choice {
	const char *name;
	const char *values[5];
	const char *sentence;
} choices[] = {
	{"log_level", {"error", "warning", "notice", "debug"}, "log_level must be error, warning, notice or debug"},
	{"sessions_full", {"end-oldest", "refuse"}, "sessions_full must be end-oldest or refuse"},
	{"factor_enroll", {"admin", "first-login"}, "factor_enroll must be admin or first-login"},
};

static int check_choice(const char *name, struct view value, struct diag *diag)
{
	for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++) {
		if (strcmp(name, choices[i].name) != 0)
			continue;
		for (const char *const *word = choices[i].values; *word; word++)
			if (view_is(value, *word))
				return 0;
		return diag_set(diag, ERR_BAD_CONFIG, "%s", choices[i].sentence);
	}
	return 0;
}

static int judge(cfg_t *cfg, cfg_opt_t *option)
{
	const char *name = cfg_opt_name(option);
	const struct conf_key *key = conf_key_find(name);
	OWN_BUF struct buf value = BUF_INIT(65536);
	struct diag diag;
	int result = key->kind == CONF_LIST ? add_items(option, &value)
					    : buf_add_string(&value, cfg_opt_getnstr(option, 0));
	if (result < 0)
		diag_set(&diag, result, "%s is too long", name);
	else
		result = check_choice(name, buf_view(&value), &diag);
	if (result == 0)
		result = conf_set(parsing.conf, name, buf_view(&value), &diag);
	if (result < 0)
		fail_at(cfg->line, diag.text);
	return result < 0 ? -1 : 0;
}

/* libconfuse validates values only: a list that was emptied on purpose has none. Its line is no longer known. */
static void judge_empty_lists(cfg_t *cfg)
{
	cfg->line = 0;
	for (size_t i = 0; i < conf_key_count; i++) {
		cfg_opt_t *option = conf_keys[i].kind == CONF_LIST ? cfg_getopt(cfg, conf_keys[i].name) : NULL;
		if (option && option->flags & CFGF_MODIFIED && cfg_opt_size(option) == 0)
			(void)judge(cfg, option);
	}
}

/* ---- realms ---- */

static int take_words(cfg_t *section, const char *name, struct buf *out_list)
{
	int result = 0;
	for (unsigned i = 0; result == 0 && i < cfg_size(section, name); i++)
		result = realm_add_word(out_list, cfg_getnstr(section, name, i));
	return result;
}

/* The section as one more line of the key's value. */
static int take_realm(cfg_t *section, struct diag *diag)
{
	OWN_BUF struct buf lines = BUF_INIT(REALM_BYTES_MAX), groups = BUF_INIT(REALM_BYTES_MAX), tags = BUF_INIT(REALM_BYTES_MAX);
	const char *service = cfg_getstr(section, "pam_service");
	struct realm realm = {
		.name = view_string(cfg_title(section)),
		.pam_service = view_string(service ? service : ""),
		.on_request = cfg_getbool(section, "on_request"),
		.break_glass = cfg_getbool(section, "break_glass"),
		.browser = cfg_getbool(section, "browser"),
	};
	if (take_words(section, "groups", &groups) < 0 || take_words(section, "device_tags", &tags) < 0)
		return diag_set(diag, ERR_BAD_CONFIG, "groups and device_tags of a realm are lists of words of 1 to 256 characters");
	realm.groups = buf_view(&groups);
	realm.device_tags = buf_view(&tags);
	if (buf_add_string(&lines, parsing.conf->realm) < 0)
		return diag_set(diag, ERR_BAD_CONFIG, "the realms are too long together");
	int result = realm_write(&realm, &lines, diag);
	return result < 0 ? result : conf_set(parsing.conf, "realm", buf_view(&lines), diag);
}

static int judge_realm(cfg_t *cfg, cfg_opt_t *option)
{
	struct diag diag;
	if (take_realm(cfg_opt_getnsec(option, cfg_opt_size(option) - 1), &diag) == 0)
		return 0;
	fail_at(cfg->line, diag.text);
	return -1;
}

static cfg_opt_t realm_options[] = {
	CFG_STR("pam_service", NULL, CFGF_NODEFAULT),
	CFG_STR_LIST("groups", NULL, CFGF_NODEFAULT),
	CFG_STR_LIST("device_tags", NULL, CFGF_NODEFAULT),
	CFG_BOOL("on_request", cfg_false, CFGF_NONE),
	CFG_BOOL("break_glass", cfg_false, CFGF_NONE),
	CFG_BOOL("browser", cfg_false, CFGF_NONE),
	CFG_END(),
};

/* ---- alerts ---- */

static int take_alert_field(cfg_t *section, const struct alert_field *field, struct alert *alert, struct buf *list)
{
	struct view *place = (struct view *)(void *)((char *)alert + field->offset);
	int result = 0;
	if (field->kind == ALERT_TEXT) {
		const char *text = cfg_getstr(section, field->name);
		*place = view_string(text ? text : "");
		return 0;
	}
	for (unsigned i = 0; result == 0 && i < cfg_size(section, field->name); i++)
		result = alert_add_word(list, cfg_getnstr(section, field->name, i));
	*place = buf_view(list);
	return result;
}

/* The section as one more line of the key's value. */
static int take_alert(cfg_t *section, struct diag *diag)
{
	OWN_BUF struct buf lines = BUF_INIT(ALERT_BYTES_MAX), list = BUF_INIT(ALERT_BYTES_MAX);
	struct alert alert = {.name = view_string(cfg_title(section))};
	for (size_t i = 0; i < alert_field_count; i++)
		if (take_alert_field(section, &alert_fields[i], &alert, &list) < 0)
			return diag_set(diag, ERR_BAD_CONFIG, "%s of an alert is a list of words", alert_fields[i].name);
	if (buf_add_string(&lines, parsing.conf->alert) < 0)
		return diag_set(diag, ERR_BAD_CONFIG, "the alerts are too long together");
	int result = alert_write(&alert, &lines, diag);
	return result < 0 ? result : conf_set(parsing.conf, "alert", buf_view(&lines), diag);
}

static int judge_alert(cfg_t *cfg, cfg_opt_t *option)
{
	struct diag diag;
	if (take_alert(cfg_opt_getnsec(option, cfg_opt_size(option) - 1), &diag) == 0)
		return 0;
	fail_at(cfg->line, diag.text);
	return -1;
}

/* Made once, from the table of fields. */
static cfg_opt_t *alert_options(void)
{
	static cfg_opt_t options[32];
	for (size_t i = 0; i < alert_field_count; i++) {
		cfg_opt_t text = CFG_STR(alert_fields[i].name, NULL, CFGF_NODEFAULT);
		cfg_opt_t list = CFG_STR_LIST(alert_fields[i].name, NULL, CFGF_NODEFAULT);
		options[i] = alert_fields[i].kind == ALERT_WORDS ? list : text;
	}
	options[alert_field_count] = (cfg_opt_t)CFG_END();
	return options;
}

/* ---- authorities ---- */

/* The section as one more line of the key's value. */
static int take_issuer(cfg_t *section, struct diag *diag)
{
	OWN_BUF struct buf lines = BUF_INIT(ISSUER_BYTES_MAX);
	struct issuer issuer = {.name = view_string(cfg_title(section))};
	for (size_t i = 0; i < issuer_field_count; i++) {
		const char *text = cfg_getstr(section, issuer_fields[i].name);
		*(struct view *)(void *)((char *)&issuer + issuer_fields[i].offset) = view_string(text ? text : "");
	}
	if (buf_add_string(&lines, parsing.conf->authority) < 0)
		return diag_set(diag, ERR_BAD_CONFIG, "the authorities are too long together");
	int result = issuer_write(&issuer, &lines, diag);
	return result < 0 ? result : conf_set(parsing.conf, "authority", buf_view(&lines), diag);
}

static int judge_issuer(cfg_t *cfg, cfg_opt_t *option)
{
	struct diag diag;
	if (take_issuer(cfg_opt_getnsec(option, cfg_opt_size(option) - 1), &diag) == 0)
		return 0;
	fail_at(cfg->line, diag.text);
	return -1;
}

static cfg_opt_t *issuer_options(void)
{
	static cfg_opt_t options[32];
	for (size_t i = 0; i < issuer_field_count; i++)
		options[i] = (cfg_opt_t)CFG_STR(issuer_fields[i].name, NULL, CFGF_NODEFAULT);
	options[issuer_field_count] = (cfg_opt_t)CFG_END();
	return options;
}

/* ---- all keys ---- */

static cfg_opt_t *make_options(void)
{
	cfg_opt_t *options = calloc(conf_key_count + 1, sizeof(*options));
	for (size_t i = 0; options && i < conf_key_count; i++) {
		cfg_opt_t text = CFG_STR(conf_keys[i].name, NULL, CFGF_NODEFAULT);
		cfg_opt_t list = CFG_STR_LIST(conf_keys[i].name, NULL, CFGF_NODEFAULT);
		cfg_opt_t realm = CFG_SEC("realm", realm_options, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES);
		cfg_opt_t alert = CFG_SEC("alert", alert_options(), CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES);
		cfg_opt_t issuer = CFG_SEC("authority", issuer_options(), CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES);
		enum conf_kind kind = conf_keys[i].kind;
		options[i] = kind == CONF_REALMS    ? realm
			     : kind == CONF_ALERTS  ? alert
			     : kind == CONF_ISSUERS ? issuer
			     : kind == CONF_LIST    ? list
						    : text;
		options[i].validcb = kind == CONF_REALMS    ? judge_realm
				     : kind == CONF_ALERTS  ? judge_alert
				     : kind == CONF_ISSUERS ? judge_issuer
							    : judge;
	}
	return options;
}

/* The keys that must be set, and relations between keys. */
static int check_whole(const char *path, const struct conf *conf, struct diag *diag)
{
	if (!*conf->name)
		return diag_set(diag, ERR_BAD_CONFIG, "%s: name is not set; it is the host name of this gateway", path);
	if (conf->unauthenticated_full < conf->unauthenticated_start)
		return diag_set(diag, ERR_BAD_CONFIG, "%s: unauthenticated_full is below unauthenticated_start", path);
	return 0;
}

static int parse(const char *path, const char *text, struct conf *conf, struct diag *diag)
{
	OWN_MEMORY cfg_opt_t *options = make_options();
	OWN_MEMORY char *plain = strdup(text);
	cfg_t *cfg = options && plain ? cfg_init(options, CFGF_NONE) : NULL;
	if (!cfg)
		return diag_set(diag, ERR_SYSTEM, "no memory for the configuration");
	parsing.conf = conf;
	parsing.path = path;
	parsing.diag = diag;
	parsing.failed = false;
	cfg_set_error_function(cfg, on_syntax_error);
	/* libconfuse counts the line of a comment three times. */
	str_blank_comments(plain);
	int outcome = cfg_parse_buf(cfg, plain);
	if (outcome == CFG_SUCCESS)
		judge_empty_lists(cfg);
	cfg_free(cfg);
	if (outcome != CFG_SUCCESS && !parsing.failed)
		diag_set(diag, ERR_BAD_CONFIG, "%s: it does not parse", path);
	return outcome == CFG_SUCCESS && !parsing.failed ? check_whole(path, conf, diag) : ERR_BAD_CONFIG;
}

int conf_file_parse(const char *path, const char *text, struct conf *out_conf, struct diag *diag)
{
	struct conf conf;
	if (conf_init(&conf) < 0)
		return diag_set(diag, ERR_SYSTEM, "no memory for the configuration");
	int result = parse(path, text, &conf, diag);
	if (result < 0)
		conf_fini(&conf);
	else
		*out_conf = conf;
	return result;
}

int conf_file_load(const char *path, struct conf *out_conf, struct diag *diag)
{
	OWN_FD int fd = -1;
	OWN_BUF struct buf text = BUF_INIT(CONF_FILE_MAX);
	int result = files_open(path, FILES_NOT_WRITABLE_BY_OTHERS, &fd, diag);
	if (result < 0)
		return result;
	result = fd_read_all(fd, &text);
	if (result < 0)
		return diag_set(diag, result, "%s cannot be read or is larger than %d bytes", path, CONF_FILE_MAX);
	if (text.size && memchr(text.data, 0, text.size))
		return diag_set(diag, ERR_BAD_CONFIG, "%s holds a NUL; it is no text", path);
	if (buf_reserve(&text, 1) == NULL)
		return diag_set(diag, ERR_SYSTEM, "no memory for %s", path);
	text.data[text.size] = 0;
	return conf_file_parse(path, (const char *)text.data, out_conf, diag);
}

/* alert.c: alerts as one line each, and what they mean. Pure. See alert.h. */
#include "sallyport/alert.h"

#include <ctype.h>
#include <string.h>

#include "sallyport/str.h"

enum { FIELD = 0x1f, WORD = 0x1e };

#define EVENT_ROW(symbol, name_, urgent_, severity_, meaning_) \
	[ALERT_##symbol] = {.name = name_, .urgent = urgent_, .severity = severity_, .meaning = meaning_},
const struct alert_event_row alert_events[ALERT_EVENT_COUNT] = {ALERT_EVENTS(EVENT_ROW)};

#define FIELD_ROW(kind_, name_, documentation_) \
	{.name = #name_, .kind = ALERT_##kind_, .offset = offsetof(struct alert, name_), .documentation = documentation_},
const struct alert_field alert_fields[] = {ALERT_FIELDS(FIELD_ROW)};
const size_t alert_field_count = sizeof(alert_fields) / sizeof(alert_fields[0]);

static struct view *place_of(const struct alert *alert, const struct alert_field *field)
{
	return (struct view *)(void *)((char *)(uintptr_t)alert + field->offset);
}

enum alert_event alert_event_find(struct view name)
{
	for (int i = 0; i < ALERT_EVENT_COUNT; i++)
		if (view_is(name, alert_events[i].name))
			return (enum alert_event)i;
	return ALERT_EVENT_COUNT;
}

/* ---- reading ---- */

static bool cut(struct view *rest, uint8_t separator, struct view *out_piece)
{
	if (!rest->data)
		return false;
	const uint8_t *end = rest->size ? memchr(rest->data, separator, rest->size) : NULL;
	size_t size = end ? (size_t)(end - rest->data) : rest->size;
	*out_piece = view_of(rest->data, size);
	*rest = end ? view_of(end + 1, rest->size - size - 1) : (struct view){0};
	return true;
}

bool alert_next(const char *text, size_t *position, struct alert *out_alert)
{
	const char *start = text + *position;
	if (!*start)
		return false;
	size_t length = strcspn(start, "\n");
	*position += length + (start[length] == '\n');
	struct view line = view_of(start, length);
	if (!cut(&line, FIELD, &out_alert->name))
		return false;
	for (size_t i = 0; i < alert_field_count; i++)
		if (!cut(&line, FIELD, place_of(out_alert, &alert_fields[i])))
			return false;
	return line.data == NULL;
}

bool alert_word_next(struct view list, size_t *position, struct view *out_word)
{
	if (*position >= list.size)
		return false;
	struct view rest = view_of(list.data + *position, list.size - *position);
	bool there = cut(&rest, WORD, out_word);
	*position += out_word->size + 1;
	return there;
}

bool alert_find(const char *text, struct view name, struct alert *out_alert)
{
	struct alert alert;
	size_t position = 0;
	while (alert_next(text, &position, &alert))
		if (view_equal(alert.name, name)) {
			*out_alert = alert;
			return true;
		}
	return false;
}

/* ---- ways ---- */

static const struct way_row {
	const char *start;
	enum alert_way way;
	uint64_t count, period_ms; /* at_most, where the section has none */
} ways[] = {
	{"mailto:", ALERT_MAIL, 12, 3600000},
	{"https://", ALERT_WEBHOOK, 60, 3600000},
	{"http://", ALERT_WEBHOOK, 60, 3600000},
	{"syslog+udp://", ALERT_SYSLOG_UDP, 0, 0},
	{"syslog+tcp://", ALERT_SYSLOG_TCP, 0, 0},
	{"syslog:", ALERT_SYSLOG_LOCAL, 0, 0},
	{"journal:", ALERT_JOURNAL, 0, 0},
};

static bool begins(struct view text, const char *start)
{
	size_t length = strlen(start);
	return text.size >= length && memcmp(text.data, start, length) == 0;
}

static const struct way_row *way_of(const struct alert *alert)
{
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		if (begins(alert->to, ways[i].start))
			return &ways[i];
	/* The whole URL may be a secret. */
	return alert->to.size == 0 && view_is(alert->shape, "slack") && alert->secret_file.size ? &ways[1] : NULL;
}

enum alert_way alert_way(const struct alert *alert)
{
	const struct way_row *row = way_of(alert);
	return row ? row->way : ALERT_WAY_COUNT;
}

struct view alert_place(const struct alert *alert)
{
	const struct way_row *row = way_of(alert);
	size_t length = row && alert->to.size ? strlen(row->start) : 0;
	return view_of(alert->to.data + length, alert->to.size - length);
}

/* ---- values ---- */

static bool parse_minute(struct view text, unsigned *out_minute)
{
	uint64_t hour = 0, minute = 0;
	bool good = text.size == 5 && text.data[2] == ':' && str_to_u64(view_of(text.data, 2), 0, 24, &hour) == 0 &&
		    str_to_u64(view_of(text.data + 3, 2), 0, 59, &minute) == 0 && hour * 60 + minute <= 1440;
	*out_minute = (unsigned)(hour * 60 + minute);
	return good;
}

static bool parse_hours(struct view text, unsigned *out_from, unsigned *out_to)
{
	return text.size == 11 && text.data[5] == '-' && parse_minute(view_of(text.data, 5), out_from) &&
	       parse_minute(view_of(text.data + 6, 5), out_to) && *out_from != *out_to;
}

bool alert_hours_hold(struct view hours, unsigned minute)
{
	unsigned from = 0, to = 0;
	if (!parse_hours(hours, &from, &to))
		return false;
	/* 22:00-07:00 goes over midnight. */
	return from < to ? minute >= from && minute < to : minute >= from || minute < to;
}

int alert_rate(const struct alert *alert, uint64_t *out_count, uint64_t *out_period_ms)
{
	const struct way_row *row = way_of(alert);
	if (alert->at_most.size == 0) {
		*out_count = row ? row->count : 0;
		*out_period_ms = row ? row->period_ms : 0;
		return 0;
	}
	struct view rest = alert->at_most, count;
	if (!cut(&rest, '/', &count) || !rest.data || str_to_u64(count, 1, 1000000, out_count) < 0 ||
	    str_to_duration_ms(rest, out_period_ms) < 0 || *out_period_ms == 0)
		return ERR_BAD_CONFIG;
	return 0;
}

bool alert_wants(const struct alert *alert, enum alert_event event)
{
	size_t position = 0;
	struct view word;
	while (alert_word_next(alert->events, &position, &word))
		if (view_is(word, alert_events[event].name) || (view_is(word, "all") && event != ALERT_CHECKPOINT))
			return true;
	return false;
}

/* ---- checking ---- */

#define SAY(...) diag_set(diag, ERR_BAD_CONFIG, __VA_ARGS__)
#define NAME(alert) (int)(alert)->name.size, (const char *)(alert)->name.data

static bool is_name(struct view name)
{
	bool good = name.size >= 1 && name.size <= ALERT_NAME_MAX && isalnum(name.data[0]);
	for (size_t i = 0; good && i < name.size; i++)
		good = isascii(name.data[i]) && (isalnum(name.data[i]) || strchr("._-", name.data[i]));
	return good;
}

static int check_events(const struct alert *alert, struct diag *diag)
{
	size_t position = 0;
	struct view word;
	const char *names[ALERT_EVENT_COUNT + 2] = {"all"};
	char text[65];
	for (int i = 0; i < ALERT_EVENT_COUNT; i++)
		names[i + 1] = alert_events[i].name;
	if (alert->events.size == 0)
		return SAY("the alert \"%.*s\" needs events: {\"all\"}, or names of them", NAME(alert));
	while (alert_word_next(alert->events, &position, &word)) {
		if (view_is(word, "all") || alert_event_find(word) != ALERT_EVENT_COUNT)
			continue;
		const char *near = view_to_string(word, text, sizeof(text)) == 0 ? str_nearest(text, names) : NULL;
		return SAY(near ? "the alert \"%.*s\": there is no event \"%.*s\"; did you mean \"%s\"?"
				: "the alert \"%.*s\": there is no event \"%.*s\"",
			   NAME(alert), (int)word.size, (const char *)word.data, near);
	}
	return 0;
}

static bool has_blank(struct view text)
{
	for (size_t i = 0; i < text.size; i++)
		if (text.data[i] <= ' ' || text.data[i] == 0x7f)
			return true;
	return false;
}

/* One mail address; nothing that could end a line or a command of SMTP. */
static bool is_address(struct view text)
{
	const uint8_t *at = text.size ? memchr(text.data, '@', text.size) : NULL;
	bool good = at && at != text.data && at != text.data + text.size - 1 && text.size <= 254;
	for (size_t i = 0; good && i < text.size; i++)
		good = text.data[i] > ' ' && text.data[i] < 0x7f && !strchr("<>,;\"\\", text.data[i]);
	return good;
}

static int check_mail(const struct alert *alert, struct diag *diag)
{
	struct view rest = alert_place(alert), address;
	bool many = rest.size > 0;
	while (cut(&rest, ',', &address))
		many = many && is_address(address);
	if (!many)
		return SAY("the alert \"%.*s\": to is mailto: and mail addresses, separated by commas", NAME(alert));
	if (!is_address(alert->from))
		return SAY("the alert \"%.*s\": mail needs from, a mail address", NAME(alert));
	if ((!begins(alert->server, "smtp://") && !begins(alert->server, "smtps://")) || has_blank(alert->server))
		return SAY("the alert \"%.*s\": mail needs server: smtp://HOST:PORT or smtps://HOST:PORT", NAME(alert));
	if (alert->tls.size && !view_is(alert->tls, "required") && !view_is(alert->tls, "never"))
		return SAY("the alert \"%.*s\": tls is required or never", NAME(alert));
	if (alert->user.size && view_is(alert->tls, "never"))
		return SAY("the alert \"%.*s\": a password is never sent without TLS: leave out user, or tls = \"never\"", NAME(alert));
	if ((alert->user.size == 0) != (alert->secret_file.size == 0))
		return SAY("the alert \"%.*s\": user and secret_file belong together", NAME(alert));
	return 0;
}

static int check_webhook(const struct alert *alert, struct diag *diag)
{
	static const char *const shapes[] = {"", "generic", "slack", "pagerduty"};
	bool known = false;
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		known = known || view_is(alert->shape, shapes[i]);
	if (!known)
		return SAY("the alert \"%.*s\": shape is generic, slack or pagerduty", NAME(alert));
	if (has_blank(alert->to))
		return SAY("the alert \"%.*s\": to holds a blank; it is a URL", NAME(alert));
	if (view_is(alert->shape, "pagerduty") && !alert->secret_file.size)
		return SAY("the alert \"%.*s\": pagerduty needs secret_file, which holds the routing key", NAME(alert));
	return 0;
}

static int check_host(const struct alert *alert, struct diag *diag)
{
	char host[256];
	uint16_t port = 0;
	return str_split_authority(alert_place(alert), host, sizeof(host), &port) < 0
		       ? SAY("the alert \"%.*s\": to is syslog+udp://HOST:PORT or syslog+tcp://HOST:PORT", NAME(alert))
		       : 0;
}

static int check_socket(const struct alert *alert, struct diag *diag)
{
	struct view path = alert_place(alert);
	return path.size && (path.data[0] != '/' || path.size > 107)
		       ? SAY("the alert \"%.*s\": behind syslog: and journal: stands nothing, or the path of a socket", NAME(alert))
		       : 0;
}

static int check_values(const struct alert *alert, struct diag *diag)
{
	uint64_t count, period;
	unsigned from, to;
	if (alert_rate(alert, &count, &period) < 0)
		return SAY("the alert \"%.*s\": at_most is a number and a time, such as \"12/1h\"", NAME(alert));
	if (alert->quiet_hours.size && !parse_hours(alert->quiet_hours, &from, &to))
		return SAY("the alert \"%.*s\": quiet_hours are two times of day, such as \"22:00-07:00\"", NAME(alert));
	if (alert->work_hours.size && !parse_hours(alert->work_hours, &from, &to))
		return SAY("the alert \"%.*s\": work_hours are two times of day, such as \"06:00-21:00\"", NAME(alert));
	if ((alert->secret_file.size && alert->secret_file.data[0] != '/') || (alert->authority.size && alert->authority.data[0] != '/'))
		return SAY("the alert \"%.*s\": secret_file and authority are absolute paths", NAME(alert));
	return 0;
}

static int check(const struct alert *alert, struct diag *diag)
{
	static int (*const checks[])(const struct alert *, struct diag *) = {
		[ALERT_MAIL] = check_mail,         [ALERT_WEBHOOK] = check_webhook,  [ALERT_SYSLOG_LOCAL] = check_socket,
		[ALERT_SYSLOG_UDP] = check_host,   [ALERT_SYSLOG_TCP] = check_host,  [ALERT_JOURNAL] = check_socket};
	if (!is_name(alert->name))
		return SAY("an alert's name has 1 to %d of a-z A-Z 0-9 . _ -, beginning with a letter or digit", ALERT_NAME_MAX);
	enum alert_way way = alert_way(alert);
	if (way == ALERT_WAY_COUNT)
		return SAY("the alert \"%.*s\" needs to: mailto:..., https://..., syslog:, syslog+udp://..., syslog+tcp://... or journal:",
			   NAME(alert));
	int result = check_events(alert, diag);
	if (result == 0)
		result = check_values(alert, diag);
	return result < 0 ? result : checks[way](alert, diag);
}

int alerts_check(const char *text, struct diag *diag)
{
	struct alert alert, other;
	size_t position = 0, next, count = 0;
	if (strlen(text) > ALERT_BYTES_MAX)
		return SAY("the alerts are longer than %d characters together", ALERT_BYTES_MAX);
	while (text[position]) {
		if (!alert_next(text, &position, &alert))
			return SAY("an alert is a section: alert \"NAME\" { events = {...} to = \"...\" }");
		int result = check(&alert, diag);
		if (result < 0)
			return result;
		if (++count > ALERTS_MAX)
			return SAY("there are more than %d alerts", ALERTS_MAX);
		for (next = position; alert_next(text, &next, &other);)
			if (view_equal(alert.name, other.name))
				return SAY("there are two alerts \"%.*s\"", NAME(&alert));
	}
	return 0;
}

/* ---- writing ---- */

int alert_add_word(struct buf *list, const char *word)
{
	for (const char *c = word; *c; c++)
		if ((unsigned char)*c < ' ')
			return ERR_BAD_CONFIG;
	if (!*word || strlen(word) > 64)
		return ERR_BAD_CONFIG;
	int result = list->size ? buf_add(list, view_of((const uint8_t[]){WORD}, 1)) : 0;
	return result < 0 ? result : buf_add_string(list, word);
}

static bool has_control(struct view text, enum alert_field_kind kind)
{
	for (size_t i = 0; i < text.size; i++)
		if (text.data[i] < ' ' && !(kind == ALERT_WORDS && text.data[i] == WORD))
			return true;
	return false;
}

int alert_write(const struct alert *alert, struct buf *out_text, struct diag *diag)
{
	int result = check(alert, diag);
	if (result < 0)
		return result;
	result = buf_add(out_text, alert->name);
	for (size_t i = 0; result == 0 && i < alert_field_count; i++) {
		struct view value = *place_of(alert, &alert_fields[i]);
		if (has_control(value, alert_fields[i].kind))
			return SAY("the alert \"%.*s\": %s holds a control character", NAME(alert), alert_fields[i].name);
		result = buf_add(out_text, view_of((const uint8_t[]){FIELD}, 1));
		if (result == 0)
			result = buf_add(out_text, value);
	}
	if (result == 0)
		result = buf_add_string(out_text, "\n");
	return result < 0 ? diag_set(diag, result, "the alerts are too long together") : 0;
}

static int print_field(const struct alert_field *field, struct view value, struct buf *out_text)
{
	size_t position = 0;
	struct view word;
	if (value.size == 0)
		return 0;
	if (field->kind == ALERT_TEXT)
		return buf_add_format(out_text, "  %s = \"%.*s\"", field->name, (int)value.size, (const char *)value.data);
	int result = buf_add_format(out_text, "  %s = {", field->name);
	for (bool first = true; result == 0 && alert_word_next(value, &position, &word); first = false)
		result = buf_add_format(out_text, "%s\"%.*s\"", first ? "" : ", ", (int)word.size, (const char *)word.data);
	return result < 0 ? result : buf_add_string(out_text, "}");
}

int alert_print(const struct alert *alert, struct buf *out_text)
{
	int result = buf_add_format(out_text, "alert \"%.*s\" {", NAME(alert));
	for (size_t i = 0; result == 0 && i < alert_field_count; i++)
		result = print_field(&alert_fields[i], *place_of(alert, &alert_fields[i]), out_text);
	return result < 0 ? result : buf_add_string(out_text, "  }");
}

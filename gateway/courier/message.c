/* message.c: events as what travels: mail, JSON, syslog, journal. Pure: bytes in, bytes out.
 *
 * What came from strangers (names, details) is text of one line by the time it is recorded; here it may not end a header, a
 * field or a string either.
 */
#include "message.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sallyport/alert.h"
#include "sallyport/own.h"

/* RFC 5322 wants less than 998; what is longer is broken at a character. */
enum { LINE_MAX_BYTES = 900 };
#define ADD(...) (result = result < 0 ? result : buf_add_format(out_text, __VA_ARGS__))

DEFINE_OWN(json, json_t *, json_decref)

/* ---- time ---- */

static struct tm utc_of(uint64_t at_ms)
{
	time_t seconds = (time_t)(at_ms / 1000);
	struct tm utc = {0};
	gmtime_r(&seconds, &utc);
	return utc;
}

static void iso_time(uint64_t at_ms, char *out_text)
{
	char whole[24];
	struct tm utc = utc_of(at_ms);
	if (strftime(whole, sizeof(whole), "%Y-%m-%dT%H:%M:%S", &utc) == 0)
		whole[0] = 0;
	snprintf(out_text, 40, "%s.%03uZ", whole, (unsigned)(at_ms % 1000));
}

/* ---- in short ---- */

static bool was_named(const struct message *message, size_t before, const char *event)
{
	for (size_t i = 0; i < before; i++)
		if (strcmp(message->items[i].event, event) == 0)
			return true;
	return false;
}

static int subject_of_many(const struct message *message, struct buf *out_text)
{
	int result = 0;
	ADD("%zu alerts: ", message->count);
	for (size_t i = 0; i < message->count; i++)
		if (!was_named(message, i, message->items[i].event))
			ADD("%s%s", i ? ", " : "", message->items[i].event);
	return result;
}

static int subject_of_one(const struct message_item *item, struct buf *out_text)
{
	int result = 0;
	ADD("%s", item->event);
	if (*item->user || *item->device)
		ADD(": %s%s%s", item->user, *item->user && *item->device ? " on " : "", item->device);
	return result;
}

int message_subject(const struct message *message, struct buf *out_text)
{
	size_t start = out_text->size;
	int result = message->count > 1 ? subject_of_many(message, out_text) : subject_of_one(&message->items[0], out_text);
	for (size_t i = start; result == 0 && i < out_text->size; i++)
		if (out_text->data[i] < ' ' || out_text->data[i] > '~')
			out_text->data[i] = '?';
	return result;
}

static int add_plain_item(const struct message_item *item, const char *end, struct buf *out_text)
{
	char at[40];
	int result = 0;
	const struct {
		const char *name, *value;
	} lines[] = {{"user", item->user}, {"device", item->device}, {"from", item->address}, {"code", item->code}};
	iso_time(item->at_ms, at);
	ADD("%s  %s%s  ", at, item->event, end);
	for (size_t i = 0, width = 0; item->detail[i] && result == 0; i++, width++) {
		bool starts_character = ((unsigned char)item->detail[i] & 0xc0) != 0x80;
		if (width >= LINE_MAX_BYTES && starts_character) {
			ADD("%s  ", end);
			width = 0;
		}
		if (result == 0)
			result = buf_add(out_text, view_of(&item->detail[i], 1));
	}
	ADD("%s", end);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		if (*lines[i].value)
			ADD("  %s: %s%s", lines[i].name, lines[i].value, end);
	if (item->sequence)
		ADD("  record: %llu (sallyport-admin audit --after %llu)%s", (unsigned long long)item->sequence,
		    (unsigned long long)item->sequence - 1, end);
	return result;
}

static int add_plain(const struct message *message, const char *end, struct buf *out_text)
{
	int result = 0;
	for (size_t i = 0; result == 0 && i < message->count; i++) {
		if (i)
			ADD("%s", end);
		if (result == 0)
			result = add_plain_item(&message->items[i], end, out_text);
	}
	if (message->more)
		ADD("%s%u more wait.%s", end, message->more, end);
	return result;
}

/* ---- mail ---- */

int message_mail(const struct message *message, const char *from, const char *to, struct buf *out_text)
{
	char date[64];
	int result = 0;
	struct tm utc = utc_of(message->now_ms);
	if (strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S +0000", &utc) == 0)
		date[0] = 0;
	ADD("Date: %s\r\nFrom: Sallyport gateway <%s>\r\nTo: ", date, from);
	for (const char *c = to; result == 0 && *c; c++)
		result = *c == ',' ? buf_add_string(out_text, ",\r\n ") : buf_add(out_text, view_of(c, 1));
	ADD("\r\nSubject: [%s] ", message->gateway);
	result = result < 0 ? result : message_subject(message, out_text);
	/* The same again after a lost answer: the reader's program can tell. */
	ADD("\r\nMessage-ID: <alert.%llu.%llu.%s@%s>\r\n", (unsigned long long)message->items[0].id,
	    (unsigned long long)message->items[0].at_ms, message->alert, message->gateway);
	ADD("Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
	    "Content-Transfer-Encoding: 8bit\r\n\r\n");
	result = result < 0 ? result : add_plain(message, "\r\n", out_text);
	ADD("\r\n-- \r\nThe Sallyport gateway %s, alert \"%s\"\r\n", message->gateway, message->alert);
	return result;
}

/* ---- JSON ---- */

static json_t *item_json(const struct message_item *item)
{
	char at[40];
	iso_time(item->at_ms, at);
	return json_pack("{s:I, s:s, s:s, s:I, s:s, s:s, s:s, s:s, s:s}", "id", (json_int_t)item->id, "event", item->event, "time", at,
			 "sequence", (json_int_t)item->sequence, "code", item->code, "device", item->device, "user", item->user,
			 "address", item->address, "detail", item->detail);
}

static json_t *items_json(const struct message *message)
{
	json_t *array = json_array();
	for (size_t i = 0; i < message->count; i++)
		json_array_append_new(array, item_json(&message->items[i]));
	return array;
}

static json_t *generic_json(const struct message *message, const char *subject, const char *secret)
{
	(void)secret;
	return json_pack("{s:s, s:s, s:s, s:i, s:o}", "gateway", message->gateway, "alert", message->alert, "text", subject, "more",
			 (int)message->more, "events", items_json(message));
}

/* Slack takes & < > for its own markup. */
static int add_slack(const char *text, struct buf *out_text)
{
	int result = 0;
	for (; result == 0 && *text; text++)
		result = *text == '&'   ? buf_add_string(out_text, "&amp;")
			 : *text == '<' ? buf_add_string(out_text, "&lt;")
			 : *text == '>' ? buf_add_string(out_text, "&gt;")
					: buf_add(out_text, view_of(text, 1));
	return result;
}

static json_t *slack_json(const struct message *message, const char *subject, const char *secret)
{
	OWN_BUF struct buf plain = BUF_INIT(1 << 20), text = BUF_INIT(4 << 20);
	(void)secret;
	if (add_plain(message, "\n", &plain) < 0 || buf_add(&plain, view_of("", 1)) < 0 ||
	    buf_add_format(&text, "*[%s]* ", message->gateway) < 0 || add_slack(subject, &text) < 0 || buf_add_string(&text, "\n") < 0 ||
	    add_slack((const char *)plain.data, &text) < 0)
		return NULL;
	return json_pack("{s:s%}", "text", (const char *)text.data, text.size);
}

static const char *pager_severity(const struct message *message)
{
	static const char *const words[] = {"critical", "critical", "critical", "error", "warning", "info", "info", "info"};
	unsigned worst = 7;
	for (size_t i = 0; i < message->count; i++) {
		enum alert_event event = alert_event_find(view_string(message->items[i].event));
		if (event != ALERT_EVENT_COUNT && alert_events[event].severity < worst)
			worst = alert_events[event].severity;
	}
	return words[worst];
}

static json_t *pagerduty_json(const struct message *message, const char *subject, const char *secret)
{
	char at[40], key[96];
	iso_time(message->items[0].at_ms, at);
	snprintf(key, sizeof(key), "sallyport-%s-%llu", message->alert, (unsigned long long)message->items[0].id);
	return json_pack("{s:s, s:s, s:s, s:s, s:{s:s, s:s, s:s, s:s, s:s, s:{s:i, s:o}}}", "routing_key", secret, "event_action",
			 "trigger", "dedup_key", key, "client", "Sallyport", "payload", "summary", subject, "source", message->gateway,
			 "severity", pager_severity(message), "timestamp", at, "component", "sallyport-gateway", "custom_details", "more",
			 (int)message->more, "events", items_json(message));
}

int message_json(const struct message *message, enum message_shape shape, const char *secret, struct buf *out_text)
{
	static json_t *(*const shapes[])(const struct message *, const char *, const char *) = {
		[MESSAGE_GENERIC] = generic_json, [MESSAGE_SLACK] = slack_json, [MESSAGE_PAGERDUTY] = pagerduty_json};
	OWN_BUF struct buf subject = BUF_INIT(4096);
	int result = message_subject(message, &subject);
	if (result == 0)
		result = buf_add(&subject, view_of("", 1));
	OWN(own_json) json_t *json = result < 0 ? NULL : shapes[shape](message, (const char *)subject.data, secret);
	OWN_MEMORY char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	return text ? buf_add_string(out_text, text) : ERR_SYSTEM;
}

/* ---- syslog ---- */

enum { FACILITY_AUTHPRIV = 10 };

static unsigned severity_of(const struct message_item *item)
{
	enum alert_event event = alert_event_find(view_string(item->event));
	return event == ALERT_EVENT_COUNT ? 6 : alert_events[event].severity;
}

/* RFC 5424 6.3.3: \ " ] */
static int add_parameter(const char *name, const char *value, struct buf *out_text)
{
	int result = 0;
	if (!*value)
		return 0;
	ADD(" %s=\"", name);
	for (; result == 0 && *value; value++) {
		if (strchr("\\\"]", *value))
			ADD("\\");
		result = result < 0 ? result : buf_add(out_text, view_of(value, 1));
	}
	ADD("\"");
	return result;
}

int message_syslog(const struct message *message, const struct message_item *item, struct buf *out_text)
{
	char at[40], sequence[24], id[24];
	int result = 0;
	iso_time(item->at_ms, at);
	snprintf(sequence, sizeof(sequence), "%llu", (unsigned long long)item->sequence);
	snprintf(id, sizeof(id), "%llu", (unsigned long long)item->id);
	/* 32473 is the number that RFC 5612 keeps for everybody. */
	ADD("<%u>1 %s %s sallyport-gateway - %s [sallyport@32473", FACILITY_AUTHPRIV * 8 + severity_of(item), at, message->gateway,
	    *item->event ? item->event : "-");
	const struct {
		const char *name, *value;
	} parameters[] = {{"id", id},           {"sequence", sequence}, {"code", item->code}, {"device", item->device},
			  {"user", item->user}, {"address", item->address}};
	for (size_t i = 0; result == 0 && i < sizeof(parameters) / sizeof(parameters[0]); i++)
		result = add_parameter(parameters[i].name, parameters[i].value, out_text);
	ADD("] %s", item->detail);
	return result;
}

int message_journal(const struct message *message, const struct message_item *item, struct buf *out_text)
{
	int result = 0;
	ADD("MESSAGE=%s: %s\nPRIORITY=%u\nSYSLOG_FACILITY=%d\nSYSLOG_IDENTIFIER=sallyport-gateway\nSALLYPORT_GATEWAY=%s\n"
	    "SALLYPORT_EVENT=%s\nSALLYPORT_SEQUENCE=%llu\n",
	    item->event, item->detail, severity_of(item), FACILITY_AUTHPRIV, message->gateway, item->event,
	    (unsigned long long)item->sequence);
	const struct {
		const char *name, *value;
	} fields[] = {{"CODE", item->code}, {"DEVICE", item->device}, {"USER", item->user}, {"ADDRESS", item->address}};
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (*fields[i].value)
			ADD("SALLYPORT_%s=%s\n", fields[i].name, fields[i].value);
	return result;
}

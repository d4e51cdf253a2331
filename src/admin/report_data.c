/* report_data.c: asks the gateway for all that a report says, and counts.
 *
 *     record (audit rows) -> days, refusals, alarms, changes      tunnels -> who did what
 *     policies (report_reach.c) -> who could reach what           devices, settings, status -> what needs a look
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "findings.h"
#include "report.h"
#include "sallyport/clock.h"
#include "sallyport/own.h"

DEFINE_OWN(json, json_t *, json_decref)
#define OWN_JSON OWN(own_json)

enum { DAY_MS = 86400000, DAYS_MAX = 400, PAGE = 500, LISTED_MAX = 500, SOON_DAYS = 30 };

static void bump(json_t *object, const char *key, json_int_t by)
{
	json_object_set_new(object, key, json_integer(admin_number(object, key) + by));
}

static uint64_t time_of(const json_t *object, const char *key)
{
	uint64_t ms = 0;
	return clock_parse(admin_text(object, key), &ms) == 0 ? ms : 0;
}

/* ---- the record ---- */

/* Which rows are listed one by one. */
static const struct listed {
	const char *event, *list;
} listed[] = {
	{"alarm", "alarms"}, {"breach", "alarms"}, {"room_restarted", "alarms"}, {"two_networks", "alarms"},
	{"reload", "changes"}, {"policy_in_force", "changes"}, {"gateway_changed", "changes"}, {"policy_judged", "changes"}, {"policy_shadow", "changes"},
	{"gateway_started", "changes"}, {"gateway_stopped", "changes"}, {"cut", "changes"},
	{"device_added", "acts"}, {"device_adopted", "acts"}, {"device_invited", "acts"}, {"device_reinvited", "acts"},
	{"device_enrolled", "acts"}, {"device_locked", "acts"}, {"device_unlocked", "acts"}, {"device_revoked", "acts"},
	{"device_forgotten", "acts"}, {"device_renamed", "acts"}, {"device_tagged", "acts"}, {"device_bound", "acts"},
	{"device_unbound", "acts"}, {"user_locked", "acts"}, {"user_unlocked", "acts"}, {"factor_added", "acts"}, {"factor_codes", "acts"}, {"factor_codes_revoked", "acts"},
	{"factor_removed", "acts"}, {"tunnels_ended", "acts"}, {"sources_cleared", "acts"}, {"spool_dropped", "acts"},
	{"admin_refused", "acts"},
};

static void list_row(json_t *report, json_t *row)
{
	for (size_t i = 0; i < sizeof(listed) / sizeof(listed[0]); i++) {
		if (strcmp(admin_text(row, "event"), listed[i].event) != 0)
			continue;
		json_t *list = json_object_get(report, listed[i].list);
		/* All are counted; the newest are shown. */
		bump(json_object_get(report, "counts"), listed[i].list, 1);
		if (json_array_size(list) == LISTED_MAX)
			json_array_remove(list, 0);
		json_array_append(list, row);
	}
}

static void count_refusal(json_t *refusals, const json_t *row)
{
	char key[80];
	snprintf(key, sizeof(key), "%s %s", admin_text(row, "event"), admin_text(row, "code"));
	json_t *entry = json_object_get(refusals, key);
	if (!entry) {
		entry = json_pack("{s:s, s:s, s:i}", "event", admin_text(row, "event"), "code", admin_text(row, "code"), "count", 0);
		json_object_set_new(refusals, key, entry);
	}
	bump(entry, "count", 1);
	json_object_set(entry, "last", json_object_get(row, "at"));
	json_object_set(entry, "last_user", json_object_get(row, "user"));
	json_object_set(entry, "last_device", json_object_get(row, "device"));
}

/* A login, a refusal of whatever kind, a tunnel: what the days show. */
static const char *kind_of(const json_t *row)
{
	const char *event = admin_text(row, "event");
	bool is_question = strcmp(event, "login") == 0 || strcmp(event, "door_one") == 0 || strcmp(event, "tunnel") == 0 ||
			   strcmp(event, "session") == 0 || strcmp(event, "enrolment") == 0 || strcmp(event, "renewal") == 0 ||
			   strcmp(event, "tunnel_failed") == 0;
	if (*admin_text(row, "code") && is_question)
		return "refused";
	if (strcmp(event, "login") == 0)
		return "logins";
	return strcmp(event, "tunnel_open") == 0 ? "tunnels" : NULL;
}

static void take_row(json_t *report, json_t *refusals, json_t *row)
{
	char day[11];
	const char *kind = kind_of(row);
	if (admin_number(row, "sequence") == 1 && strcmp(admin_text(row, "event"), "policy_in_force") == 0)
		json_object_set(report, "record_begins", json_object_get(row, "at"));
	bump(json_object_get(report, "counts"), "records", 1);
	list_row(report, row);
	if (!kind)
		return;
	snprintf(day, sizeof(day), "%.10s", admin_text(row, "at"));
	json_t *counts = json_object_get(json_object_get(report, "days"), day);
	if (counts)
		bump(counts, kind, 1);
	bump(json_object_get(report, "counts"), kind, 1);
	if (strcmp(kind, "refused") == 0)
		count_refusal(refusals, row);
}

static int read_record(const struct admin_options *options, uint64_t since_ms, json_t *report, json_t *refusals)
{
	uint64_t after = 0, last = 1;
	char path[128];
	while (after < last) {
		OWN_JSON json_t *answer = NULL;
		size_t index;
		json_t *row;
		snprintf(path, sizeof(path), "/v1/audit?since=%" PRIu64 "&after=%" PRIu64, since_ms, after);
		int status = call(options, "GET", path, NULL, &answer);
		if (status != ADMIN_DONE)
			return status;
		json_array_foreach(json_object_get(answer, "audit"), index, row)
			take_row(report, refusals, row);
		after = (uint64_t)admin_number(answer, "looked_to");
		last = (uint64_t)admin_number(answer, "last");
	}
	return ADMIN_DONE;
}

/* ---- who did what ---- */

static void take_tunnel(json_t *used, const json_t *tunnel)
{
	OWN_MEMORY char *key = NULL;
	if (asprintf(&key, "%s\t%s\t%s", admin_text(tunnel, "user"), admin_text(tunnel, "device"), admin_text(tunnel, "resource")) < 0)
		return;
	json_t *entry = json_object_get(used, key);
	if (!entry) {
		entry = json_pack("{s:s, s:s, s:s}", "user", admin_text(tunnel, "user"), "device", admin_text(tunnel, "device"), "resource",
				  admin_text(tunnel, "resource"));
		json_object_set_new(used, key, entry);
	}
	bump(entry, "tunnels", 1);
	bump(entry, "bytes_to_target", admin_number(tunnel, "bytes_to_target"));
	bump(entry, "bytes_to_client", admin_number(tunnel, "bytes_to_client"));
	json_object_set(entry, "last", json_object_get(tunnel, "opened_at"));
}

static int read_tunnels(const struct admin_options *options, uint64_t since_ms, json_t *used, json_t *spans)
{
	json_int_t after = 0;
	size_t count = PAGE;
	while (count == PAGE) {
		OWN_JSON json_t *answer = NULL;
		char path[64];
		json_t *tunnel;
		size_t index;
		snprintf(path, sizeof(path), "/v1/tunnels?all=1&after=%lld", (long long)after);
		int status = call(options, "GET", path, NULL, &answer);
		if (status != ADMIN_DONE)
			return status;
		const json_t *page = json_object_get(answer, "tunnels");
		json_array_foreach(page, index, tunnel) {
			after = admin_number(tunnel, "tunnel");
			if (time_of(tunnel, "opened_at") + 1000 < since_ms)
				continue;
			take_tunnel(used, tunnel);
			report_span_tunnel(spans, tunnel);
		}
		count = json_array_size(page);
	}
	return ADMIN_DONE;
}

/* ---- devices, and what needs a look ---- */

static void take_device(json_t *report, json_t *born, json_t *device, uint64_t since_ms, uint64_t now_ms)
{
	json_object_set(born, admin_text(device, "name"), json_object_get(device, "created_at"));
	bool is_revoked = strcmp(admin_text(device, "state"), "revoked") == 0;
	bump(json_object_get(report, "counts"), "devices", !is_revoked);
	if (is_revoked)
		return;
	if (time_of(device, "last_seen_at") + 1000 < since_ms)
		json_array_append(json_object_get(report, "unseen"), device);
	if (time_of(device, "certificate_until") && time_of(device, "certificate_until") < now_ms + (uint64_t)SOON_DAYS * DAY_MS &&
	    json_is_true(json_object_get(device, "ends_soon")))
		json_array_append(json_object_get(report, "ending"), device);
}

static int read_devices(const struct admin_options *options, json_t *report, json_t *born, uint64_t since_ms)
{
	char path[300] = "/v1/devices?brief=1&limit=1000";
	for (;;) {
		OWN_JSON json_t *answer = NULL;
		size_t index;
		json_t *device;
		int status = call(options, "GET", path, NULL, &answer);
		if (status != ADMIN_DONE)
			return status;
		json_array_foreach(json_object_get(answer, "devices"), index, device)
			take_device(report, born, device, since_ms, clock_wall_ms());
		const char *next = admin_text(answer, "next");
		if (!*next)
			return ADMIN_DONE;
		snprintf(path, sizeof(path), "/v1/devices?brief=1&limit=1000&after=%s", next);
	}
}

static void read_settings(const struct admin_options *options, json_t *report)
{
	char path[4096] = "/etc/sallyport/gateway.conf";
	struct settings settings;
	int monitor = rooms_monitor(options);
	if (monitor)
		rooms_conf_path(monitor, path, sizeof(path));
	settings_read(path, &settings);
	findings_of_settings(json_object_get(report, "findings"), &settings);
	const char *name;
	json_t *entry;
	json_object_foreach(settings.values, name, entry)
		json_array_append_new(json_object_get(report, "settings"),
				      json_pack("{s:s, s:O, s:O, s:s}", "setting", name, "value", json_object_get(entry, "value"), "default",
						json_object_get(entry, "default"), "verdict",
						json_is_true(json_object_get(entry, "weaker")) ? "weaker" : "other"));
	settings_fini(&settings);
}

/* ---- all of it ---- */

static void add_values(json_t *report, const char *key, json_t *object)
{
	const char *name;
	json_t *value;
	json_object_foreach(object, name, value)
		json_array_append(json_object_get(report, key), value);
}

static json_t *new_report(uint64_t since_ms, uint64_t now_ms)
{
	char from[32], until[32], day[32];
	clock_format(since_ms, from, sizeof(from));
	clock_format(now_ms, until, sizeof(until));
	json_t *days = json_object();
	for (uint64_t ms = since_ms; ms / DAY_MS <= now_ms / DAY_MS; ms += DAY_MS) {
		clock_format(ms, day, sizeof(day));
		day[10] = 0;
		json_object_set_new(days, day, json_pack("{s:i, s:i, s:i}", "logins", 0, "refused", 0, "tunnels", 0));
	}
	return json_pack("{s:s, s:s, s:{}, s:o, s:[], s:[], s:[], s:[], s:[], s:[], s:[], s:[], s:[], s:[], s:[]}", "from", from, "until", until,
			 "counts", "days", days, "policies", "reach", "used", "refusals", "alarms", "changes", "acts", "unseen", "ending", "settings", "findings");
}

int report_gather(const struct admin_options *options, uint64_t since_ms, json_t **out_report)
{
	uint64_t now_ms = clock_wall_ms();
	if (now_ms - since_ms > (uint64_t)DAYS_MAX * DAY_MS)
		return admin_say(ADMIN_USAGE, "a report is over %d days at most", DAYS_MAX);
	OWN_JSON json_t *report = new_report(since_ms, now_ms);
	OWN_JSON json_t *refusals = json_object();
	OWN_JSON json_t *used = json_object();
	OWN_JSON json_t *born = json_object();
	OWN_JSON json_t *state = NULL;
	int status = call(options, "GET", "/v1/status", NULL, &state);
	if (status == ADMIN_DONE)
		status = read_record(options, since_ms, report, refusals);
	if (status == ADMIN_DONE)
		status = report_spans(options, since_ms, now_ms, json_object_get(report, "policies"));
	if (status == ADMIN_DONE)
		status = read_tunnels(options, since_ms, used, json_object_get(report, "policies"));
	if (status == ADMIN_DONE)
		status = read_devices(options, report, born, since_ms);
	if (status != ADMIN_DONE)
		return status;
	report_reach(options, report, born, since_ms, time_of(report, "record_begins"));
	json_object_set(report, "gateway", json_object_get(state, "name"));
	json_object_set(report, "version", json_object_get(state, "version"));
	add_values(report, "refusals", refusals);
	add_values(report, "used", used);
	findings_of_status(json_object_get(report, "findings"), state);
	read_settings(options, report);
	*out_report = json_incref(report);
	return ADMIN_DONE;
}

/* policy_hours.c: hours, holidays and time zones of rules. Deciding is pure; only policy_zone_load reads a file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy_form.h"
#include "sallyport/fd.h"
#include "sallyport/own.h"
#include "sallyport/str.h"

/* ---- as written ---- */

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
int policy_hours_parse(const char *text, struct policy_hours *out_hours)
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

int policy_date_parse(const char *text, uint32_t *out_date)
{
	size_t length = strlen(text);
	uint64_t year = 0, month = 0, day = 0;
	const char *rest = length == 10 ? text + 5 : text;
	if ((length != 10 && length != 5) || (length == 10 && (text[4] != '-' || str_to_u64(view_of(text, 4), 1970, 9999, &year) < 0)))
		return ERR_BAD_INPUT;
	if (rest[2] != '-' || str_to_u64(view_of(rest, 2), 1, 12, &month) < 0 || str_to_u64(view_of(rest + 3, 2), 1, 31, &day) < 0)
		return ERR_BAD_INPUT;
	*out_date = (uint32_t)(year * 10000 + month * 100 + day);
	return 0;
}

/* ---- time zones: TZif, version 2 and later (RFC 8536) ---- */

enum { HEAD_BYTES = 44, ZONE_BYTES_MAX = 1 << 16 };
/* Debian's files list every change until 2037; a file that stops earlier would have to be computed further. */
static const int64_t LISTED_UNTIL = 2114380800; /* 2037-01-01 */

struct tzif {
	const uint8_t *head; /* of the 64-bit block */
	uint32_t isutc, isstd, leap, times, types, characters;
};

static uint32_t get32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static struct tzif counts_of(const uint8_t *head)
{
	return (struct tzif){head, get32(head + 20), get32(head + 24), get32(head + 28), get32(head + 32), get32(head + 36), get32(head + 40)};
}

static bool is_bounded(const struct tzif *tzif)
{
	return tzif->isutc < 4096 && tzif->isstd < 4096 && tzif->leap < 4096 && tzif->times < 4096 && tzif->types < 256 &&
	       tzif->types > 0 && tzif->characters < 4096;
}

static size_t block_bytes(const struct tzif *tzif, size_t time_bytes)
{
	return tzif->times * (time_bytes + 1) + tzif->types * 6 + tzif->characters + tzif->leap * (time_bytes + 4) + tzif->isstd +
	       tzif->isutc;
}

static int find_block(struct view file, struct tzif *out_tzif)
{
	if (file.size < HEAD_BYTES || memcmp(file.data, "TZif", 4) != 0 || file.data[4] < '2')
		return ERR_BAD_INPUT;
	struct tzif old = counts_of(file.data);
	size_t at = HEAD_BYTES + (is_bounded(&old) ? block_bytes(&old, 4) : file.size);
	if (at + HEAD_BYTES > file.size || memcmp(file.data + at, "TZif", 4) != 0)
		return ERR_BAD_INPUT;
	*out_tzif = counts_of(file.data + at);
	return is_bounded(out_tzif) && at + HEAD_BYTES + block_bytes(out_tzif, 8) <= file.size ? 0 : ERR_BAD_INPUT;
}

static int64_t time_at(const struct tzif *tzif, uint32_t i)
{
	const uint8_t *at = tzif->head + HEAD_BYTES + 8 * (size_t)i;
	return (int64_t)((uint64_t)get32(at) << 32 | get32(at + 4));
}

static int32_t offset_of_type(const struct tzif *tzif, uint32_t type)
{
	const uint8_t *types = tzif->head + HEAD_BYTES + 9 * (size_t)tzif->times;
	return type < tzif->types ? (int32_t)get32(types + 6 * (size_t)type) : 0;
}

static void fill_zone(struct policy_zone *zone, const struct tzif *tzif)
{
	const uint8_t *type = tzif->head + HEAD_BYTES + 8 * (size_t)tzif->times;
	zone->parts[0].from = INT64_MIN;
	zone->parts[0].offset_s = offset_of_type(tzif, 0);
	for (uint32_t i = 0; i < tzif->times; i++) {
		zone->parts[i + 1].from = time_at(tzif, i);
		zone->parts[i + 1].offset_s = offset_of_type(tzif, type[i]);
	}
	zone->count = tzif->times + 1;
}

/* Behind the block stands how it goes on, as a POSIX TZ string; with a comma the offset changes every year. */
static bool is_listed_far_enough(struct view file, const struct tzif *tzif)
{
	const uint8_t *footer = tzif->head + HEAD_BYTES + block_bytes(tzif, 8);
	size_t left = (size_t)(file.data + file.size - footer);
	if (left == 0 || !memchr(footer, ',', left))
		return true;
	return tzif->times && time_at(tzif, tzif->times - 1) >= LISTED_UNTIL;
}

int policy_zone_load(const char *name, struct policy_zone **out_zone, struct diag *diag)
{
	char path[256];
	struct tzif tzif;
	struct diag why;
	OWN_BUF struct buf file = BUF_INIT(ZONE_BYTES_MAX);
	bool is_plain = name && *name && *name != '/' && !strstr(name, "..") && strlen(name) < 100 &&
			strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/") == strlen(name);
	snprintf(path, sizeof(path), "/usr/share/zoneinfo/%s", is_plain ? name : "");
	if (!is_plain || fd_read_file(path, &file, &why) < 0 || find_block(buf_view(&file), &tzif) < 0)
		return diag_set(diag, ERR_BAD_INPUT, "there is no time zone \"%s\" in /usr/share/zoneinfo (package tzdata)", name);
	if (!is_listed_far_enough(buf_view(&file), &tzif))
		return diag_set(diag, ERR_BAD_INPUT, "the file of time zone \"%s\" does not list its changes until 2037", name);
	struct policy_zone *zone = calloc(1, sizeof(*zone));
	if (!zone || !(zone->parts = calloc(tzif.times + 1, sizeof(*zone->parts)))) {
		free(zone);
		return diag_system(diag, "memory");
	}
	fill_zone(zone, &tzif);
	*out_zone = zone;
	return 0;
}

void policy_zone_free(struct policy_zone *zone)
{
	if (zone)
		free(zone->parts);
	free(zone);
}

/* ---- the question ---- */

static int32_t offset_at(const struct policy_zone *zone, int64_t time_s)
{
	size_t low = 0, high = zone->count;
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		if (zone->parts[middle].from <= time_s)
			low = middle;
		else
			high = middle;
	}
	return zone->parts[low].offset_s;
}

/* The civil date of a day since 1970 (Hinnant's days_from_civil, backwards). */
static uint32_t date_of(int64_t days)
{
	days += 719468;
	int64_t era = (days >= 0 ? days : days - 146096) / 146097;
	unsigned day_of_era = (unsigned)(days - era * 146097);
	unsigned year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	unsigned part = (5 * day_of_year + 2) / 153;
	unsigned day = day_of_year - (153 * part + 2) / 5 + 1, month = part < 10 ? part + 3 : part - 9;
	return (uint32_t)((year_of_era + era * 400 + (month <= 2)) * 10000 + month * 100 + day);
}

static bool is_holiday(const struct policy_calendar *calendar, int64_t days)
{
	uint32_t date = date_of(days);
	for (size_t i = 0; i < calendar->holiday_count; i++)
		if (calendar->holidays[i] == date || calendar->holidays[i] == date % 10000)
			return true;
	return false;
}

int32_t policy_offset_s(const struct policy_rule *rule, int64_t time_s, int32_t local_offset_s)
{
	return rule->calendar && rule->calendar->zone ? offset_at(rule->calendar->zone, time_s) : local_offset_s;
}

bool policy_is_open(const struct policy_rule *rule, int64_t time_s, int32_t local_offset_s)
{
	const struct policy_calendar *calendar = rule->calendar;
	int64_t local = time_s + policy_offset_s(rule, time_s, local_offset_s);
	int64_t days = local / 86400 - (local % 86400 < 0);
	unsigned minute = (unsigned)((local - days * 86400) / 60), weekday = (unsigned)(((days + 3) % 7 + 7) % 7);
	if (calendar && is_holiday(calendar, days))
		return false;
	for (size_t i = 0; i < rule->hours_count; i++) {
		const struct policy_hours *hours = &rule->hours[i];
		if ((hours->days & 1u << weekday) && minute >= hours->from && minute < hours->to)
			return true;
	}
	return rule->hours_count == 0;
}

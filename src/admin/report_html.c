/* report_html.c: the report as one page: no script, nothing from elsewhere; every text is escaped (add_text). */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"
#include "sallyport/own.h"
#include "sallyport/str.h"

enum { WIDTH = 860, HEIGHT = 180, LEFT = 56, BOTTOM = 24, TOP = 14, BAR = 22, BARS_MAX = 10, ROWS_MAX = 2000 };

static const char head[] =
	"<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
	"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
	"<meta name=\"viewport\" content=\"width=device-width\">\n<title>Sallyport report</title>\n<style>\n"
	"body{font:15px/1.5 system-ui,sans-serif;color:#1b2330;background:#f5f6f8;margin:0}\n"
	"main{max-width:1080px;margin:0 auto;padding:28px 24px 60px}\n"
	"h1{font-size:26px;margin:0}h2{font-size:18px;margin:0 0 2px}p{margin:0 0 12px;color:#5a6575}\n"
	"section{background:#fff;border:1px solid #dfe3e9;border-radius:8px;padding:18px 20px;margin-top:18px;overflow-x:auto}\n"
	".tiles{display:flex;flex-wrap:wrap;gap:12px;margin-top:18px}\n"
	".tile{background:#fff;border:1px solid #dfe3e9;border-radius:8px;padding:10px 18px;min-width:96px}\n"
	".tile b{display:block;font-size:24px;font-variant-numeric:tabular-nums}.tile span{color:#5a6575}\n"
	"table{border-collapse:collapse;width:100%;font-size:13.5px}\n"
	"th{text-align:left;font-weight:600;color:#5a6575;border-bottom:2px solid #dfe3e9;padding:4px 14px 4px 0;white-space:nowrap}\n"
	"td{border-bottom:1px solid #eceff3;padding:5px 14px 5px 0;vertical-align:top;overflow-wrap:break-word}\n"
	"td.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}th.n{text-align:right}td.t{white-space:nowrap}\n"
	".error,.weaker{color:#b3261e;font-weight:600}.warning{color:#8a5a00;font-weight:600}.ok{color:#1c7c3c}\n"
	"svg{display:block;max-width:100%;margin:4px 0 12px}svg text{font:12px system-ui,sans-serif;fill:#5a6575}\n"
	".a{fill:#2f6fde}.b{fill:#d9483b}.c{fill:#7a8aa0}.grid{stroke:#e4e8ee}.key{display:inline-block;width:11px;height:11px;border-radius:2px;margin:0 6px 0 0}.key~.key{margin-left:14px}\n"
	"@media print{body{background:#fff}section,.tile{break-inside:avoid}}\n"
	"</style></head><body><main>\n";

/* The buffer's own limit remembers a failure: nothing more fits then. */
[[gnu::format(printf, 2, 3)]] static void add(struct buf *page, const char *format, ...)
{
	OWN_MEMORY char *words = NULL;
	va_list arguments;
	va_start(arguments, format);
	int size = vasprintf(&words, format, arguments);
	va_end(arguments);
	if (size < 0 || buf_add(page, view_of(words, (size_t)size)) < 0)
		page->limit = 0;
}

static void add_text(struct buf *page, const char *words)
{
	static const char special[] = "<>&\"'";
	static const char *const escapes[] = {"&lt;", "&gt;", "&amp;", "&quot;", "&#39;"};
	while (*words) {
		size_t plain = strcspn(words, special);
		if (plain && buf_add(page, view_of(words, plain)) < 0)
			page->limit = 0;
		words += plain;
		if (*words)
			add(page, "%s", escapes[strchr(special, *words++) - special]);
	}
}

/* ---- plots ---- */

static json_int_t larger(json_int_t one, json_int_t other)
{
	return one > other ? one : other;
}

/* The next of 1, 2, 5, 10, 20 ...: the axis ends there. */
static json_int_t round_up(json_int_t value)
{
	json_int_t step = 1;
	while (step * 10 < value)
		step *= 10;
	return value <= step ? step : value <= 2 * step ? 2 * step : value <= 5 * step ? 5 * step : 10 * step;
}

static void add_axis(struct buf *page, json_int_t most)
{
	for (int i = 0; i <= 2; i++) {
		double y = TOP + (HEIGHT - TOP - BOTTOM) * (1 - i / 2.0);
		add(page, "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>", LEFT, WIDTH, y, y);
		/* Half a login is no mark. */
		if (i != 1 || most % 2 == 0)
			add(page, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%lld</text>", LEFT - 8, y + 4, (long long)(most * i / 2));
	}
}

static void add_bar(struct buf *page, const char *class, double x, double width, double from, double height)
{
	if (height > 0)
		add(page, "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>", class, x, from - height, width, height);
}

/* A bar a day: `below`, and `above` on top of it ("" for none). */
static void add_days(struct buf *page, const json_t *days, const char *below, const char *above)
{
	const char *day;
	json_t *counts;
	json_int_t most = 1;
	size_t count = json_object_size(days), index = 0;
	json_object_foreach((json_t *)(uintptr_t)days, day, counts)
		most = larger(most, admin_number(counts, below) + admin_number(counts, above));
	most = round_up(most);
	double each = (double)(WIDTH - LEFT) / (double)(count ? count : 1), scale = (double)(HEIGHT - TOP - BOTTOM) / (double)most;
	double floor = HEIGHT - BOTTOM;
	add(page, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s by day\">", WIDTH, HEIGHT, below);
	add_axis(page, most);
	json_object_foreach((json_t *)(uintptr_t)days, day, counts) {
		double x = LEFT + each * (double)index, low = (double)admin_number(counts, below) * scale;
		add(page, "<g><title>");
		add_text(page, day);
		add(page, ": %lld %s", (long long)admin_number(counts, below), below);
		if (*above)
			add(page, ", %lld %s", (long long)admin_number(counts, above), above);
		add(page, "</title>");
		add_bar(page, "a", x + each * 0.1, each * 0.8, floor, low);
		add_bar(page, "b", x + each * 0.1, each * 0.8, floor - low, (double)admin_number(counts, above) * scale);
		add(page, "</g>");
		if (index == 0 || index + 1 == count || (count > 8 && index == count / 2)) {
			add(page, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"%s\">", index == 0 ? x : index + 1 == count ? x + each : x + each / 2,
			    HEIGHT - 6, index == 0 ? "start" : index + 1 == count ? "end" : "middle");
			add_text(page, day);
			add(page, "</text>");
		}
		index++;
	}
	add(page, "</svg>\n");
}

struct bar {
	char name[128];
	json_int_t value;
};

static int by_value(const void *one, const void *other)
{
	json_int_t a = ((const struct bar *)one)->value, b = ((const struct bar *)other)->value;
	return a < b ? 1 : a > b ? -1 : strcmp(((const struct bar *)one)->name, ((const struct bar *)other)->name);
}

static void spell_value(json_int_t value, bool bytes, char *out_text, size_t capacity)
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
	double scaled = (double)value;
	unsigned unit = 0;
	while (bytes && scaled >= 1000 && unit < 4) {
		scaled /= 1000;
		unit++;
	}
	if (bytes)
		snprintf(out_text, capacity, unit ? "%.1f %s" : "%.0f %s", scaled, units[unit]);
	else
		snprintf(out_text, capacity, "%lld", (long long)value);
}

/* The largest ones, as lines. */
static void add_bars(struct buf *page, struct bar *bars, size_t count, const char *class, bool bytes)
{
	enum { NAMES = 260, VALUES = 90 };
	qsort(bars, count, sizeof(*bars), by_value);
	if (count > BARS_MAX)
		count = BARS_MAX;
	add(page, "<svg viewBox=\"0 0 %d %zu\" role=\"img\">", WIDTH, count * BAR);
	for (size_t i = 0; i < count; i++) {
		char value[32];
		double width = (double)bars[i].value / (double)larger(bars[0].value, 1) * (WIDTH - NAMES - VALUES);
		spell_value(bars[i].value, bytes, value, sizeof(value));
		add(page, "<text x=\"%d\" y=\"%zu\" text-anchor=\"end\">", NAMES - 10, i * BAR + 15);
		add_text(page, bars[i].name);
		add(page, "</text><rect class=\"%s\" x=\"%d\" y=\"%zu\" width=\"%.1f\" height=\"%d\"/>", class, NAMES, i * BAR + 4, width < 1 ? 1 : width,
		    BAR - 8);
		add(page, "<text x=\"%.1f\" y=\"%zu\">%s</text>", NAMES + width + 8, i * BAR + 15, value);
	}
	add(page, "</svg>\n");
}

static void add_refusals(struct buf *page, const json_t *rows)
{
	OWN_MEMORY struct bar *bars = calloc(json_array_size(rows) + 1, sizeof(*bars));
	size_t index;
	const json_t *row;
	if (!bars || !json_array_size(rows))
		return;
	json_array_foreach(rows, index, row) {
		snprintf(bars[index].name, sizeof(bars[index].name), "%s: %s", admin_text(row, "event"), admin_text(row, "code"));
		bars[index].value = admin_number(row, "count");
	}
	add_bars(page, bars, index, "b", false);
}

/* Each user once: his bytes both ways. */
static void add_users(struct buf *page, const json_t *rows)
{
	OWN_MEMORY struct bar *bars = calloc(json_array_size(rows) + 1, sizeof(*bars));
	size_t index, count = 0;
	const json_t *row;
	if (!bars || !json_array_size(rows))
		return;
	json_array_foreach(rows, index, row) {
		size_t at = 0;
		while (at < count && strcmp(bars[at].name, admin_text(row, "user")) != 0)
			at++;
		if (at == count && strlen(admin_text(row, "user")) < sizeof(bars[at].name))
			str_copy(bars[count++].name, sizeof(bars[at].name), admin_text(row, "user"));
		bars[at].value += admin_number(row, "bytes_to_target") + admin_number(row, "bytes_to_client");
	}
	add_bars(page, bars, count, "a", true);
}

/* ---- tables ---- */

/* As the gateway spells it: no line breaks at its hyphens. */
static bool is_moment(const char *words)
{
	return words && strlen(words) == 20 && words[10] == 'T' && words[19] == 'Z';
}

static void add_cell(struct buf *page, const json_t *value, bool is_first)
{
	size_t index;
	const json_t *item;
	if (json_is_integer(value)) {
		add(page, "<td class=\"n\">%lld</td>", (long long)json_integer_value(value));
		return;
	}
	const char *words = json_string_value(value);
	bool is_verdict = words && (strcmp(words, "error") == 0 || strcmp(words, "warning") == 0 || (is_first && strcmp(words, "ok") == 0) ||
				    strcmp(words, "weaker") == 0);
	add(page, is_verdict || is_moment(words) ? "<td class=\"%s\">" : "<td>", is_verdict ? words : "t");
	if (words)
		add_text(page, words);
	json_array_foreach(value, index, item) {
		add(page, "%s", index ? ", " : "");
		add_text(page, json_string_value(item) ? json_string_value(item) : "");
	}
	add(page, "</td>");
}

static void add_table(struct buf *page, const struct report_table *table, const json_t *rows)
{
	size_t index;
	const json_t *row;
	if (!json_array_size(rows)) {
		add(page, "<p>None.</p>");
		return;
	}
	add(page, "<table><tr>");
	for (const char *const *column = table->columns; *column; column += 2) {
		bool is_number = json_is_integer(json_object_get(json_array_get(rows, 0), column[1]));
		add(page, is_number ? "<th class=\"n\">" : "<th>");
		for (const char *at = column[0]; *at; at++)
			add(page, "%c", at == column[0] || *at < 'A' || *at > 'Z' ? *at : *at + ('a' - 'A'));
		add(page, "</th>");
	}
	add(page, "</tr>\n");
	json_array_foreach(rows, index, row) {
		if (index == ROWS_MAX) {
			add(page, "</table><p>And %zu more: sallyport-admin --json report.</p>", json_array_size(rows) - ROWS_MAX);
			return;
		}
		add(page, "<tr>");
		for (const char *const *column = table->columns; *column; column += 2)
			add_cell(page, json_object_get(row, column[1]), column == table->columns);
		add(page, "</tr>\n");
	}
	add(page, "</table>");
}

static void add_tiles(struct buf *page, const json_t *report)
{
	static const char *const tiles[] = {"logins", "logins", "tunnels", "tunnels", "refused attempts", "refused", "alarms", "alarms",
					    "acts of admins", "acts", "devices", "devices", "records", "records"};
	const json_t *counts = json_object_get(report, "counts");
	add(page, "<div class=\"tiles\">");
	for (size_t i = 0; i < sizeof(tiles) / sizeof(tiles[0]); i += 2)
		add(page, "<div class=\"tile\"><b>%lld</b><span>%s</span></div>", (long long)admin_number(counts, tiles[i + 1]), tiles[i]);
	add(page, "</div>\n");
}

static void add_plot_of(struct buf *page, const struct report_table *table, const json_t *rows)
{
	if (strcmp(table->key, "refusals") == 0)
		add_refusals(page, rows);
	if (strcmp(table->key, "used") == 0)
		add_users(page, rows);
}

int report_html(const json_t *report, struct buf *out_page)
{
	const json_t *days = json_object_get(report, "days");
	add(out_page, "%s<h1>", head);
	add_text(out_page, admin_text(report, "gateway"));
	add(out_page, "</h1><p>Sallyport %s, from %s until %s (UTC)</p>\n", admin_text(report, "version"), admin_text(report, "from"), admin_text(report, "until"));
	add_tiles(out_page, report);
	add(out_page, "<section><h2>Day by day</h2><p><span class=\"key\" style=\"background:#2f6fde\"></span>logins"
		      "<span class=\"key\" style=\"background:#d9483b\"></span>refused attempts</p>");
	add_days(out_page, days, "logins", "refused");
	add(out_page, "<p><span class=\"key\" style=\"background:#2f6fde\"></span>tunnels</p>");
	add_days(out_page, days, "tunnels", "");
	add(out_page, "</section>\n");
	for (const struct report_table *table = report_tables; table->key; table++) {
		const json_t *rows = json_object_get(report, table->key);
		add(out_page, "<section id=\"%s\"><h2>%s</h2><p>%s</p>", table->key, table->heading, table->sentence);
		add_plot_of(out_page, table, rows);
		add_table(out_page, table, rows);
		add(out_page, "</section>\n");
	}
	add(out_page, "</main></body></html>\n");
	return out_page->limit ? 0 : ERR_LIMIT;
}

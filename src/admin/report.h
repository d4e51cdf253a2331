/* report.h: what happened in a time, for the periodic audit. Between cmd_report.c, report_data.c, report_html.c. */
#ifndef SALLYPORT_ADMIN_REPORT_H
#define SALLYPORT_ADMIN_REPORT_H

#include "admin.h"

/* Everything, as one object (report_data.c says what is in it); an exit status else. */
int report_gather(const struct admin_options *options, uint64_t since_ms, json_t **out_report);

/* ---- report_reach.c ---- */
/* The policies that were in force in this time, as spans of it. */
int report_spans(const struct admin_options *options, uint64_t since_ms, uint64_t now_ms, json_t *spans);
/* Counts a tunnel to the span in which it was opened. */
void report_span_tunnel(json_t *spans, const json_t *tunnel);
/* Who could reach what: the rows of "reach", and what each span of "policies" comes to. `born`: devices by name, and since when
 * there are such. `record_begins_ms`: when the first record of this gateway was written, if that is in this time and names its
 * policy; else 0. */
void report_reach(const struct admin_options *options, json_t *report, const json_t *born, uint64_t since_ms, uint64_t record_begins_ms);

/* One table of it: key in the report, heading, sentence below it, columns (heading, key, ..., NULL). Ends with key NULL. */
struct report_table {
	const char *key, *heading, *sentence;
	const char *columns[16];
};
extern const struct report_table report_tables[];

/* A page by itself: no script, and nothing from elsewhere. */
[[nodiscard]] int report_html(const json_t *report, struct buf *out_page);

#endif

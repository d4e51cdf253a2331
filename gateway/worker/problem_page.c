/* problem_page.c: what a browser shows in place of the page that was refused: what happened, the code and the id under which
 * the record tells all of it, and the way to the portal.
 *
 * It stands at another site's address (http://wiki/), so it must hold nothing that this site could use, and nothing that
 * somebody else has written but as text.
 */
#include "problem_page.h"

#include <stdio.h>
#include <string.h>

#include "problem_page_style.h"

const char problem_page_policy[] = "default-src 'none'; style-src 'sha256-" PROBLEM_PAGE_STYLE_HASH
				   "'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'";

static const char *escaped(char c)
{
	switch (c) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	case '\'':
		return "&#39;";
	default:
		return NULL;
	}
}

static int add_text(struct buf *out, const char *text)
{
	int result = 0;
	for (; result == 0 && *text; text++)
		result = escaped(*text) ? buf_add_string(out, escaped(*text)) : buf_add(out, view_of(text, 1));
	return result;
}

/* Markup, then text. */
static int add(struct buf *out, const char *markup, const char *text)
{
	int result = buf_add_string(out, markup);
	return result < 0 ? result : add_text(out, text);
}

/* What it comes to, for a person; HTTP's own word for the status where there is nothing better. */
static const char *headline(const struct problem_page *page)
{
	static const struct {
		const char *code, *headline;
	} known[] = {
		{"no_session", "Log in first"},
		{"several_sessions", "Who of you is it?"},
		{"lease_expired", "Log in again"},
		{"session_ended", "Log in again"},
		{"fresh_login_required", "Log in again for this page"},
		{"not_allowed", "This page is not open to you"},
		{"unreachable", "This page cannot be reached"},
		{"name_unknown", "There is no such place"},
	};
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(page->code, known[i].code) == 0)
			return known[i].headline;
	return page->reason;
}

static int add_head(struct buf *out, const struct problem_page *page)
{
	int result = add(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
			      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>", headline(page));
	return result < 0 ? result : buf_add_string(out, " - Sallyport</title>\n<style>" PROBLEM_PAGE_STYLE "</style>\n</head>\n<body>\n<main>\n");
}

static int add_facts(struct buf *out, const struct problem_page *page)
{
	char status[16];
	snprintf(status, sizeof(status), "%u", page->status);
	int result = add(out, "<dl>\n<dt>Code</dt><dd><code>", page->code);
	if (result == 0)
		result = add(out, "</code> (", status);
	if (result == 0)
		result = add(out, ")</dd>\n<dt>Request</dt><dd><code>", page->request_id);
	return result < 0 ? result : buf_add_string(out, "</code></dd>\n</dl>\n<p class=\"hint\">Your administrator finds the whole reason "
							 "under the request's number.</p>\n");
}

static int add_way(struct buf *out, const struct problem_page *page)
{
	int result = add(out, "<p><a href=\"", page->portal);
	return result < 0 ? result : buf_add_string(out, "\">To the portal: log in, and see what you may reach</a></p>\n");
}

int problem_page_write(const struct problem_page *page, struct buf *out_html)
{
	int result = add_head(out_html, page);
	if (result == 0)
		result = add(out_html, "<p class=\"from\">The gateway answers in place of the page</p>\n<h1>", headline(page));
	if (result == 0)
		result = add(out_html, "</h1>\n<p>", page->sentence);
	if (result == 0)
		result = buf_add_string(out_html, "</p>\n");
	if (result == 0)
		result = add_way(out_html, page);
	if (result == 0)
		result = add_facts(out_html, page);
	return result < 0 ? result : buf_add_string(out_html, "</main>\n</body>\n</html>\n");
}

/* browser.c: the cookie, and requests that another page has caused. Pure. See browser.h. */
#include "browser.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "sallyport/edge/worker_broker.h"

/* ---- the cookie ---- */

/* The next NAME=VALUE, without the blanks around it; moves on. False at the end. */
static bool next_pair(struct view *rest, struct view *out_pair)
{
	if (!rest->size)
		return false;
	const uint8_t *end = memchr(rest->data, ';', rest->size);
	size_t size = end ? (size_t)(end - rest->data) : rest->size;
	*out_pair = view_trim(view_of(rest->data, size), " \t");
	size += end != NULL;
	*rest = view_of(rest->data + size, rest->size - size);
	return true;
}

/* How often our cookie stands there, and the value of the last one. */
static unsigned find_cookie(struct view cookie, struct view *out_value)
{
	static const size_t length = sizeof(BROWSER_COOKIE "=") - 1;
	struct view pair;
	unsigned count = 0;
	while (next_pair(&cookie, &pair)) {
		if (pair.size < length || memcmp(pair.data, BROWSER_COOKIE "=", length) != 0)
			continue;
		*out_value = view_of(pair.data + length, pair.size - length);
		count++;
	}
	return count;
}

static bool is_token(struct view text)
{
	for (size_t i = 0; i < text.size; i++)
		if (text.data[i] <= ' ' || text.data[i] >= 0x7f)
			return false;
	return text.size > 0 && text.size <= WORKER_BROKER_TOKEN_MAX;
}

int browser_cookie_token(struct view cookie, char *out_token)
{
	struct view value = {0};
	unsigned count = find_cookie(cookie, &value);
	if (count == 0)
		return ERR_NOT_FOUND;
	return count == 1 && is_token(value) ? view_to_string(value, out_token, WORKER_BROKER_TOKEN_MAX + 1) : ERR_BAD_INPUT;
}

/* Without Max-Age it goes when the browser is closed. */
#define ATTRIBUTES "; Path=/; Secure; HttpOnly; SameSite=Strict"

void browser_cookie_set(struct view token, char *out_text, size_t capacity)
{
	snprintf(out_text, capacity, BROWSER_COOKIE "=%.*s" ATTRIBUTES, (int)token.size, (const char *)token.data);
}

void browser_cookie_delete(char *out_text, size_t capacity)
{
	snprintf(out_text, capacity, BROWSER_COOKIE "=" ATTRIBUTES "; Max-Age=0");
}

/* ---- places ---- */

struct place {
	struct view host, port;
};

/* HOST, HOST:PORT, [ADDRESS] or [ADDRESS]:PORT. */
static bool split(struct view text, struct place *out_place)
{
	bool is_bracketed = text.size && text.data[0] == '[';
	const uint8_t *end = !text.size ? NULL : is_bracketed ? memchr(text.data, ']', text.size) : memchr(text.data, ':', text.size);
	if (is_bracketed && !end)
		return false;
	size_t size = end ? (size_t)(end - text.data) : text.size;
	size_t behind = is_bracketed ? size + 1 : size;
	struct view port = view_of(text.data + behind, text.size - behind);
	out_place->host = is_bracketed ? view_of(text.data + 1, size - 1) : view_of(text.data, size);
	out_place->port = view_string("443");
	if (!out_place->host.size || !port.size)
		return out_place->host.size != 0;
	out_place->port = view_of(port.data + 1, port.size - 1);
	for (size_t i = 0; i < out_place->port.size; i++)
		if (out_place->port.data[i] < '0' || out_place->port.data[i] > '9')
			return false;
	return port.data[0] == ':' && out_place->port.size > 0;
}

int browser_host(struct view authority, char *out_host, size_t capacity)
{
	struct place place;
	return split(authority, &place) && view_is_utf8(place.host) ? view_to_string(place.host, out_host, capacity) : ERR_BAD_INPUT;
}

/* "https://HOST[:PORT]", of the place that the client has named. */
static bool is_own_origin(struct view origin, struct view authority)
{
	static const size_t length = sizeof("https://") - 1;
	struct place from, to;
	if (origin.size < length || memcmp(origin.data, "https://", length) != 0 || !split(authority, &to) ||
	    !split(view_of(origin.data + length, origin.size - length), &from))
		return false;
	return from.host.size == to.host.size &&
	       strncasecmp((const char *)from.host.data, (const char *)to.host.data, to.host.size) == 0 && view_equal(from.port, to.port);
}

/* ---- who makes it ask? ---- */

bool browser_shows_cookie(const struct http_request *request)
{
	struct view value;
	return !request->authorization.size && find_cookie(request->cookie, &value) > 0;
}

bool browser_is_one(const struct http_request *request)
{
	return request->origin.size || request->fetch_site.size || browser_shows_cookie(request);
}

/* "none": the person has typed it, or chosen a bookmark. */
static bool is_of_another_site(const struct http_request *request)
{
	return request->fetch_site.size && !view_is(request->fetch_site, "same-origin") && !view_is(request->fetch_site, "none");
}

/* A link to the portal, in a window of its own: it does nothing, and the other page sees nothing of it. */
static bool is_plain_navigation(const struct http_request *request)
{
	return view_is(request->method, "GET") && view_is(request->path, "/") && view_is(request->fetch_mode, "navigate") &&
	       view_is(request->fetch_dest, "document");
}

const char *browser_forbids(const struct http_request *request)
{
	if (request->origin.size && !is_own_origin(request->origin, request->authority))
		return "Another page has asked for this. Only the gateway's own page may.";
	if (is_of_another_site(request) && !is_plain_navigation(request))
		return "Another page leads here. Open the gateway's own page.";
	if (browser_shows_cookie(request) && !view_is(request->method, "GET") && !request->origin.size)
		return "With the cookie this must come from the gateway's own page: the browser has to say so (Origin).";
	return NULL;
}

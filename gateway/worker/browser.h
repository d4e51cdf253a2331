/* browser.h: what browsers say of a request, and the cookie that holds a portal session's token. Pure functions.
 *
 * A browser shows the device's certificate and the cookie to us whichever page makes it ask. So a request of our own page
 * must be told apart from one that another page has caused: by Origin, which scripts and forms cannot choose, and by
 * Sec-Fetch-*, which says it even where there is no Origin. Whoever is no browser says neither, and is judged by his token.
 */
#ifndef SALLYPORT_WORKER_BROWSER_H
#define SALLYPORT_WORKER_BROWSER_H

#include <stdbool.h>

#include "sallyport/buf.h"
#include "sallyport/err.h"
#include "sallyport/http.h"

/* The prefix has browsers take it only from this very host, by TLS, for all paths (RFC 6265bis 4.1.3.2). */
#define BROWSER_COOKIE "__Host-sallyport"
#define BROWSER_HOST_MAX 255

/* The token in a Cookie field; out_token takes WORKER_BROKER_TOKEN_MAX + 1. ERR_NOT_FOUND when our cookie is not there,
 * ERR_BAD_INPUT when it stands there twice or holds no token. */
[[nodiscard]] int browser_cookie_token(struct view cookie, char *out_token);
/* What Set-Cookie says: the cookie with that token, or that it is gone. Cut at capacity: give 256. */
void browser_cookie_set(struct view token, char *out_text, size_t capacity);
void browser_cookie_delete(char *out_text, size_t capacity);

/* Whether our cookie is what the request is judged by, whatever it holds. */
bool browser_shows_cookie(const struct http_request *request);
/* Whether a browser has made it: it says so, or shows the cookie. */
bool browser_is_one(const struct http_request *request);
/* The host that the client has named, without a port. ERR_BAD_INPUT for what is no HOST or HOST:PORT. out_host takes
 * BROWSER_HOST_MAX + 1. */
[[nodiscard]] int browser_host(struct view authority, char *out_host, size_t capacity);
/* NULL when our own page, or the person himself, makes this request; else the sentence of its refusal. */
const char *browser_forbids(const struct http_request *request);

#endif

/* browser.c: fuzz target: what browsers say of a request: lines of method, path, authority, origin, site, mode, dest, cookie. */
#include <string.h>

#include "../../gateway/worker/browser.h"
#include "fuzz.h"
#include "sallyport/edge/worker_broker.h"

static struct view next_line(struct view *rest)
{
	const uint8_t *end = rest->size ? memchr(rest->data, '\n', rest->size) : NULL;
	struct view line = view_of(rest->data, end ? (size_t)(end - rest->data) : rest->size);
	size_t taken = line.size + (end != NULL);
	*rest = view_of(rest->data + taken, rest->size - taken);
	return line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char token[WORKER_BROKER_TOKEN_MAX + 1] = "", host[BROWSER_HOST_MAX + 1] = "";
	struct view rest = view_of(data, size);
	struct http_request request = {.method = next_line(&rest)};
	struct view *const parts[] = {&request.path, &request.authority, &request.origin, &request.fetch_site, &request.fetch_mode,
				      &request.fetch_dest, &request.cookie};
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		*parts[i] = next_line(&rest);
	int found = browser_cookie_token(request.cookie, token);
	MUST(found == 0 ? token[0] && view_is_utf8(view_string(token)) : found == ERR_NOT_FOUND || found == ERR_BAD_INPUT);
	if (browser_host(request.authority, host, sizeof(host)) == 0)
		MUST(host[0] && view_is_utf8(view_string(host)));
	const char *forbidden = browser_forbids(&request);
	/* Nobody is refused who says nothing of browsers. */
	MUST(!forbidden || browser_is_one(&request));
	/* With the cookie nothing but GET passes without an origin. */
	if (found != ERR_NOT_FOUND && !view_is(request.method, "GET") && !request.origin.size)
		MUST(forbidden);
	return 0;
}

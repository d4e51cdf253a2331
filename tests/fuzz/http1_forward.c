/* http1_forward.c: fuzz target: a client's bytes, as they are carried on. Whatever they are, the target sees one request:
 * of origin form, for the host that was judged, with the length that was said, and nothing of this hop. */
#include <string.h>
#include <strings.h>

#include "fuzz.h"
#include "sallyport/http1.h"
#include "sallyport/http1_forward.h"
#include "sallyport/str.h"

#define OWN_COOKIE "__Host-sallyport"

static bool is_word(struct view text, const char *word)
{
	return text.size == strlen(word) && strncasecmp((const char *)text.data, word, text.size) == 0;
}

static void check_cookies(struct view line)
{
	while (line.size) {
		const uint8_t *end = memchr(line.data, ';', line.size);
		size_t size = end ? (size_t)(end - line.data) : line.size;
		MUST(size < sizeof(OWN_COOKIE) || memcmp(line.data, OWN_COOKIE "=", sizeof(OWN_COOKIE)) != 0);
		line = view_of(line.data + size, line.size - size);
		while (line.size && (line.data[0] == ';' || line.data[0] == ' ' || line.data[0] == '\t'))
			line = view_of(line.data + 1, line.size - 1);
	}
}

static void check_field(const struct http_header *field)
{
	MUST(!is_word(field->name, "transfer-encoding") && !is_word(field->name, "upgrade") && !is_word(field->name, "te"));
	MUST(field->name.size < 6 || strncasecmp((const char *)field->name.data, "proxy-", 6) != 0);
	MUST(!is_word(field->name, "connection") || view_is(field->value, "close"));
	if (is_word(field->name, "cookie"))
		check_cookies(field->value);
}

/* As a server reads it. */
static void check(struct view head, const struct http_request *asked)
{
	OWN(own_http1) struct http1 *http1 = NULL;
	MUST(http1_new(1 << 20, SIZE_MAX, &http1) == 0);
	MUST(http1_next(http1, &head) == HTTP1_REQUEST && head.size == 0);
	const struct http_request *seen = http1_request(http1);
	MUST(view_equal(seen->method, asked->method) && seen->content_length == asked->content_length);
	MUST(!seen->scheme.size && (seen->path.data[0] == '/' || view_is(seen->path, "*")));
	MUST(seen->path.size >= asked->path.size && !http1_keeps_alive(http1));
	for (size_t i = 0; i < seen->header_count; i++)
		check_field(&seen->headers[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	OWN(own_http1) struct http1 *http1 = NULL;
	OWN_BUF struct buf head = BUF_INIT(1 << 20);
	struct view input = view_of(data, size);
	struct http1_refusal refusal = {0};
	char host[256];
	struct http1_forward forward = {.host = host, .received = "1.1", .own_cookie = OWN_COOKIE};
	if (size > 65536)
		return 0;
	MUST(http1_new(65536, 65536, &http1) == 0);
	if (http1_next(http1, &input) != HTTP1_REQUEST)
		return 0;
	const struct http_request *request = http1_request(http1);
	if (!request->scheme.size || str_split_authority(request->authority, host, sizeof(host), &forward.port) < 0)
		return 0;
	int result = http1_forward_request(request, &forward, &head, &refusal);
	if (result == 0)
		check(buf_view(&head), request);
	else
		MUST(result == ERR_BAD_INPUT && refusal.status >= 400 && refusal.sentence && !head.size);
	return 0;
}

/* h2.c: fuzz target: one end of HTTP/2 against bytes of a stranger. The first byte chooses the end and how
 * the caller behaves. */
#include <string.h>

#include "fuzz.h"
#include "sallyport/h2.h"

enum { CLIENT = 1, TUNNELS = 2, RESETS = 4, CONSUMES = 8, NO_PREFACE = 16 };

struct caller {
	unsigned manners;
	size_t reads, open;
};

static void on_request(struct h2 *h2, struct h2_stream *stream, const struct http_request *request)
{
	struct caller *caller = h2_owner(h2);
	caller->open++;
	MUST(request->refuse == 0 || request->refuse_sentence);
	struct http_header header = HTTP_HEADER("content-type", "text/plain");
	if (caller->manners & TUNNELS && view_is(request->method, "CONNECT") && !request->refuse)
		(void)!h2_respond_tunnel(h2, stream, &header, 1);
	else
		(void)!h2_respond(h2, stream, request->refuse ? request->refuse : 200, &header, 1, request->path);
	if (caller->manners & RESETS)
		h2_reset(h2, stream, H2_CANCEL);
}

static void on_response(struct h2 *h2, struct h2_stream *stream, const struct http_response *response)
{
	(void)h2, (void)stream;
	MUST(response->status >= 200 && response->status <= 999);
}

static void on_data(struct h2 *h2, struct h2_stream *stream, struct view bytes)
{
	struct caller *caller = h2_owner(h2);
	if (caller->manners & CONSUMES)
		h2_consume(h2, stream, bytes.size);
}

static void on_finish(struct h2 *h2, struct h2_stream *stream)
{
	h2_resume(h2, stream);
}

static int on_read(struct h2 *h2, struct h2_stream *stream, uint8_t *into, size_t capacity)
{
	struct caller *caller = h2_owner(h2);
	(void)stream;
	static const int answers[] = {ERR_AGAIN, 100, 0, ERR_BAD_PEER};
	int answer = answers[caller->reads++ % 4];
	if (answer > 0)
		memset(into, '.', (size_t)(answer = answer < (int)capacity ? answer : (int)capacity));
	return answer;
}

static void on_closed(struct h2 *h2, struct h2_stream *stream, enum h2_code code, bool by_peer)
{
	struct caller *caller = h2_owner(h2);
	(void)stream, (void)by_peer;
	MUST(h2_code_name(code));
	MUST(caller->open-- > 0);
}

static void drain(struct h2 *h2)
{
	struct view bytes;
	for (int i = 0; i < 1000 && h2_output(h2, &bytes) == 0; i++)
		;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct h2_handlers handlers = {on_request, on_response, on_data, on_finish, on_read, on_closed};
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
	if (size < 1 || size > 65536)
		return 0;
	struct caller caller = {.manners = data[0]};
	struct h2_options options = {.role = caller.manners & CLIENT ? H2_CLIENT : H2_SERVER, .handlers = &handlers,
				     .owner = &caller, .streams_max = 8, .head_bytes = 1024, .stream_window_bytes = 65536};
	struct h2 *h2 = NULL;
	MUST(h2_new(&options, &h2) == 0);
	int result = 0;
	for (int i = 0; i < 2 && caller.manners & CLIENT; i++) {
		struct h2_request request = {.method = i ? "GET" : "CONNECT", .authority = view_string("a:1"), .path = view_string("/")};
		struct h2_stream *stream;
		MUST(h2_request(h2, &request, &stream) == 0);
		caller.open++;
	}
	drain(h2);
	if (!(caller.manners & (CLIENT | NO_PREFACE)))
		result = h2_input(h2, view_of(preface, sizeof(preface) - 1));
	size_t half = 1 + (size - 1) / 2;
	if (result == 0)
		result = h2_input(h2, view_of(data + 1, half - 1));
	drain(h2);
	if (result == 0)
		result = h2_input(h2, view_of(data + half, size - half));
	drain(h2);
	MUST(result == 0 || result == ERR_BAD_PEER);
	h2_free(h2);
	MUST(caller.open == 0); /* each stream was closed once */
	return 0;
}

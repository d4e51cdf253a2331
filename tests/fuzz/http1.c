/* http1.c: fuzz target: requests of HTTP/1.1. Cut anywhere, the same bytes must mean the same. */
#include "fuzz.h"
#include "sallyport/http1.h"

/* Everything that a server would act on, as text. */
static void run(const uint8_t *data, size_t size, size_t step, struct buf *out_trace)
{
	OWN(own_http1) struct http1 *http1 = NULL;
	MUST(http1_new(4096, 4096, &http1) == 0);
	size_t at = 0, end = 0;
	enum http1_event event = HTTP1_MORE;
	while (end < size && event != HTTP1_REFUSED && event != HTTP1_TUNNEL) {
		end = end + step < size ? end + step : size;
		struct view input = view_of(data + at, end - at);
		while ((event = http1_next(http1, &input)) != HTTP1_MORE && event != HTTP1_REFUSED && event != HTTP1_TUNNEL) {
			const struct http_request *request = http1_request(http1);
			if (event == HTTP1_REQUEST) {
				MUST(buf_add(out_trace, request->method) == 0 && buf_add(out_trace, request->path) == 0);
				MUST(buf_add(out_trace, request->authority) == 0);
				MUST(buf_add(out_trace, request->authorization) == 0 && buf_add(out_trace, request->scheme) == 0);
				MUST(buf_add(out_trace, request->cookie) == 0 && buf_add(out_trace, request->origin) == 0);
				MUST(request->header_count <= HTTP_FIELDS_MAX);
				for (size_t i = 0; i < request->header_count; i++)
					MUST(buf_add(out_trace, request->headers[i].name) == 0 && buf_add(out_trace, request->headers[i].value) == 0);
				MUST(buf_add_format(out_trace, "|%d|%d|", (int)request->content_length, http1_keeps_alive(http1)) == 0);
			}
			if (event == HTTP1_BODY)
				MUST(buf_add(out_trace, http1_body(http1)) == 0);
			if (event == HTTP1_WHOLE) {
				MUST(buf_add_string(out_trace, "!") == 0);
				http1_again(http1);
			}
		}
		at = (size_t)(input.data - data);
	}
	if (event == HTTP1_REFUSED) {
		MUST(http1_request(http1)->refuse >= 400 && http1_request(http1)->refuse_sentence);
		MUST(!http1_keeps_alive(http1));
	}
	MUST(buf_add_format(out_trace, "%d %zu %u", event, event == HTTP1_TUNNEL ? at : 0,
			    http1_request(http1)->refuse) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	OWN_BUF struct buf whole = BUF_INIT(1 << 22), pieces = BUF_INIT(1 << 22);
	if (size > 65536)
		return 0;
	run(data, size, size ? size : 1, &whole);
	run(data, size, 1, &pieces);
	MUST(view_equal(buf_view(&whole), buf_view(&pieces)));
	return 0;
}

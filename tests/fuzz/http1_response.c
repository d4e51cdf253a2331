/* http1_response.c: fuzz target: answers of servers. Cut anywhere, the same bytes must mean the same. The first byte says
 * what was asked. */
#include <string.h>

#include "fuzz.h"
#include "sallyport/http1_response.h"

enum { HEAD_LIMIT = 4096 };

static void note_head(const struct http1_answer *answer, struct buf *out_trace)
{
	MUST(answer->status >= 200 && answer->status <= 599 && answer->header_count <= HTTP_FIELDS_MAX);
	MUST(buf_add_format(out_trace, "%u %d %lld|", answer->status, answer->body, (long long)answer->content_length) == 0);
	for (size_t i = 0; i < answer->header_count; i++)
		MUST(buf_add(out_trace, answer->headers[i].name) == 0 && buf_add(out_trace, answer->headers[i].value) == 0);
}

static int take_body(struct http1_response *response, struct view input, struct buf *out_trace)
{
	OWN_BUF struct buf bytes = BUF_INIT(1 << 22);
	MUST(buf_add(&bytes, input) == 0);
	size_t size = bytes.size;
	int result = http1_response_body(response, bytes.data, &size);
	MUST(size <= bytes.size);
	return result < 0 ? result : buf_add(out_trace, view_of(bytes.data, size));
}

static void run(struct view text, size_t step, enum http1_question question, struct buf *out_trace)
{
	OWN(own_http1_response) struct http1_response *response = NULL;
	bool head = false;
	int result = ERR_AGAIN;
	MUST(http1_response_new(HEAD_LIMIT, question, &response) == 0);
	for (size_t at = 0; at < text.size && (result == 0 || result == ERR_AGAIN); at += step) {
		struct view input = view_of(text.data + at, step < text.size - at ? step : text.size - at);
		if (!head) {
			result = http1_response_head(response, &input);
			head = result == 0;
			if (head)
				note_head(http1_response_answer(response), out_trace);
		}
		if (head && input.size)
			result = take_body(response, input, out_trace);
	}
	if (result == 0 && !http1_response_is_whole(response))
		result = http1_response_end(response);
	/* Content that came before what is wrong depends on the cut. */
	if (result < 0)
		buf_reset(out_trace);
	MUST(result >= 0 || result == ERR_AGAIN || http1_response_wrong(response));
	MUST(buf_add_format(out_trace, "|%d %d", result, http1_response_is_whole(response)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	OWN_BUF struct buf whole = BUF_INIT(1 << 22), pieces = BUF_INIT(1 << 22);
	if (size < 2 || size > 65536)
		return 0;
	enum http1_question question = data[0] == 'H' ? HTTP1_ASKED_HEAD : HTTP1_ASKED;
	struct view text = view_of(data + 1, size - 1);
	run(text, text.size, question, &whole);
	run(text, 1, question, &pieces);
	MUST(view_equal(buf_view(&whole), buf_view(&pieces)));
	return 0;
}

/* http1_response.c: an answer's head and the end of its body.
 *
 * The head is collected whole and its lines are looked over as a request's are (http1_lines.c). What is left to read then,
 * a status and fields that are given in full, needs no parser of more generous taste.
 */
#include "sallyport/http1_response.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http1_chunks.h"
#include "http1_lines.h"
#include "sallyport/str.h"

/* So many interim answers are passed over. */
enum { INTERIM_MAX = 16 };

struct http1_response {
	enum http1_question question;
	struct buf head;
	size_t looked_over;
	unsigned interim;
	struct http_header *headers;
	struct http1_answer answer;
	uint64_t left; /* of the body, with a length */
	struct http1_chunks chunks;
	bool whole;
	const char *wrong;
};

int http1_response_new(size_t head_bytes, enum http1_question question, struct http1_response **out_response)
{
	struct http1_response *response = calloc(1, sizeof(*response));
	if (!response)
		return ERR_SYSTEM;
	response->question = question;
	response->head = BUF_INIT(head_bytes);
	*out_response = response;
	return 0;
}

void http1_response_forget_head(struct http1_response *response)
{
	buf_wipe(&response->head); /* cookies */
	free(take_pointer(&response->headers));
	response->answer.headers = NULL;
	response->answer.header_count = 0;
	response->looked_over = 0;
}

void http1_response_free(struct http1_response *response)
{
	if (!response)
		return;
	http1_response_forget_head(response);
	free(response);
}

static int broken(struct http1_response *response, const char *wrong)
{
	response->wrong = wrong;
	return ERR_BAD_PEER;
}

/* ---- the head ---- */

/* "HTTP/1.1 200 OK"; the last word, with its space, may be missing. False: that is none. */
static bool take_status(struct view line, struct http1_answer *answer)
{
	static const char version[] = "HTTP/1.";
	enum { MINOR = sizeof(version) - 1, STATUS = MINOR + 2, END = STATUS + 3 };
	uint64_t status = 0;
	bool form = line.size >= END && memcmp(line.data, version, MINOR) == 0 && (line.data[MINOR] | 1) == '1' &&
		    line.data[MINOR + 1] == ' ' && (line.size == END || line.data[END] == ' ');
	if (!form || str_to_u64(view_of(line.data + STATUS, 3), 100, 599, &status) < 0)
		return false;
	answer->minor = line.data[MINOR] - '0';
	answer->status = (unsigned)status;
	return true;
}

static void make_lower(struct view name)
{
	uint8_t *letters = (uint8_t *)(uintptr_t)name.data; /* in the head, which is ours */
	for (size_t i = 0; i < name.size; i++)
		if (letters[i] >= 'A' && letters[i] <= 'Z')
			letters[i] |= 0x20;
}

static int take_fields(struct http1_response *response)
{
	size_t count = 0;
	const char *wrong = http1_look_over_fields(buf_view(&response->head), &count);
	if (wrong)
		return broken(response, wrong);
	if (count > HTTP_FIELDS_MAX)
		return broken(response, "there are too many header lines");
	response->headers = calloc(count ? count : 1, sizeof(*response->headers));
	if (!response->headers)
		return broken(response, "memory is out");
	http1_fields(buf_view(&response->head), response->headers);
	for (size_t i = 0; i < count; i++)
		make_lower(response->headers[i].name);
	response->answer.headers = response->headers;
	response->answer.header_count = count;
	return 0;
}

/* How often a field stands there; its last value. */
static size_t find_field(const struct http1_answer *answer, const char *name, struct view *out_value)
{
	size_t count = 0;
	for (size_t i = 0; i < answer->header_count; i++) {
		if (!view_is(answer->headers[i].name, name))
			continue;
		*out_value = answer->headers[i].value;
		count++;
	}
	return count;
}

static bool has_no_body(const struct http1_response *response)
{
	unsigned status = response->answer.status;
	return response->question == HTTP1_ASKED_HEAD || status == 204 || status == 304;
}

static bool is_chunked(struct view coding)
{
	return coding.size == 7 && strncasecmp((const char *)coding.data, "chunked", 7) == 0;
}

static int judge_framing(struct http1_response *response)
{
	struct http1_answer *answer = &response->answer;
	struct view length = {0}, coding = {0};
	size_t lengths = find_field(answer, "content-length", &length), codings = find_field(answer, "transfer-encoding", &coding);
	uint64_t number = 0;
	answer->content_length = -1;
	if (lengths + codings > 1)
		return broken(response, "its length is ambiguous");
	if (codings && (answer->minor == 0 || !is_chunked(coding)))
		return broken(response, "it has a transfer coding that is not \"chunked\"");
	if (lengths && str_to_u64(length, 0, INT64_MAX, &number) < 0)
		return broken(response, "its Content-Length is not one number");
	if (lengths)
		answer->content_length = (int64_t)number;
	answer->body = codings ? HTTP1_BODY_CHUNKED : lengths ? HTTP1_BODY_LENGTH : HTTP1_BODY_CLOSE;
	if (has_no_body(response) || (lengths && number == 0))
		answer->body = HTTP1_BODY_NONE;
	response->left = number;
	response->whole = answer->body == HTTP1_BODY_NONE;
	return 0;
}

/* An answer before the answer: ERR_AGAIN. */
static int pass_over_interim(struct http1_response *response)
{
	if (response->answer.status == 101)
		return broken(response, "it changes to a protocol that nobody asked for");
	if (++response->interim > INTERIM_MAX)
		return broken(response, "it has too many interim answers");
	http1_response_forget_head(response);
	return ERR_AGAIN;
}

static int take_head(struct http1_response *response)
{
	if (!take_status(http1_first_line(buf_view(&response->head)), &response->answer))
		return broken(response, "its first line is not one of HTTP/1.1");
	int result = take_fields(response);
	if (result < 0)
		return result;
	if (response->answer.status < 200)
		return pass_over_interim(response);
	if (response->answer.status == 407)
		return broken(response, "it asks for a proxy's credentials, and is none");
	return judge_framing(response);
}

/* Takes up to one line; never a byte beyond the empty line that ends the head. */
static int take_line(struct http1_response *response, struct view *input)
{
	const uint8_t *newline = memchr(input->data, '\n', input->size);
	size_t part = newline ? (size_t)(newline - input->data) + 1 : input->size;
	if (buf_add(&response->head, view_of(input->data, part)) < 0)
		return broken(response, "its head is too large");
	const char *wrong = http1_look_over(buf_view(&response->head), &response->looked_over);
	if (wrong)
		return broken(response, wrong);
	*input = view_of(input->data + part, input->size - part);
	return 0;
}

static bool head_is_collected(const struct http1_response *response)
{
	const struct buf *head = &response->head;
	return head->size >= 4 && memcmp(head->data + head->size - 4, "\r\n\r\n", 4) == 0;
}

int http1_response_head(struct http1_response *response, struct view *input)
{
	if (response->wrong)
		return ERR_BAD_PEER;
	while (input->size) {
		int result = take_line(response, input);
		if (result == 0 && head_is_collected(response))
			result = take_head(response);
		else if (result == 0)
			result = ERR_AGAIN;
		if (result != ERR_AGAIN)
			return result;
	}
	return ERR_AGAIN;
}

const struct http1_answer *http1_response_answer(const struct http1_response *response)
{
	return &response->answer;
}

/* ---- the body ---- */

static int take_chunks(struct http1_response *response, uint8_t *bytes, size_t *size)
{
	if (http1_chunks_take(&response->chunks, bytes, size) < 0)
		return broken(response, "its chunks are malformed");
	response->whole = http1_chunks_are_whole(&response->chunks);
	return 0;
}

int http1_response_body(struct http1_response *response, uint8_t *bytes, size_t *size)
{
	if (response->wrong)
		return ERR_BAD_PEER;
	if (response->whole) {
		*size = 0;
		return 0;
	}
	if (response->answer.body == HTTP1_BODY_CHUNKED)
		return take_chunks(response, bytes, size);
	if (response->answer.body == HTTP1_BODY_LENGTH) {
		*size = *size < response->left ? *size : (size_t)response->left;
		response->left -= *size;
		response->whole = response->left == 0;
	}
	return 0;
}

bool http1_response_is_whole(const struct http1_response *response)
{
	return response->whole;
}

int http1_response_end(struct http1_response *response)
{
	bool all = !response->wrong && (response->whole || response->answer.body == HTTP1_BODY_CLOSE);
	if (!all)
		return broken(response, response->wrong ? response->wrong : "it was cut off");
	response->whole = true;
	return 0;
}

const char *http1_response_wrong(const struct http1_response *response)
{
	return response->wrong;
}

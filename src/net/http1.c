/* http1.c: HTTP/1.1 requests out of bytes, strictly: what could be read in two ways is refused.
 *
 * A head is first collected whole and its lines are looked over (CRLF only, no folding, no space before a
 * colon, no control characters), then http-parser reads it, then framing is decided here. Counterpart:
 * http1_write.c.
 */
#include "sallyport/http1.h"

#include <http_parser.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http1_lines.h"

enum http1_state { STATE_HEAD, STATE_BODY, STATE_WHOLE, STATE_TUNNEL, STATE_REFUSED };

/* Header fields that somebody asks about. Those marked ONCE make a request ambiguous when repeated. */
enum repeat { ONCE, MANY };
#define FIELDS(F)                                                                                       \
	F(HOST, "host", ONCE) F(AUTHORIZATION, "authorization", ONCE)                                   \
	F(PROXY_AUTHORIZATION, "proxy-authorization", ONCE) F(CONTENT_TYPE, "content-type", ONCE)       \
	F(CONTENT_LENGTH, "content-length", ONCE) F(TRANSFER_ENCODING, "transfer-encoding", ONCE)       \
	F(EXPECT, "expect", ONCE) F(ACCEPT, "accept", MANY) F(COOKIE, "cookie", ONCE) F(ORIGIN, "origin", ONCE) \
	F(FETCH_SITE, "sec-fetch-site", ONCE) F(FETCH_MODE, "sec-fetch-mode", ONCE) F(FETCH_DEST, "sec-fetch-dest", ONCE)
#define FIELD_ENUM(name, text, repeat) FIELD_##name,
#define FIELD_ROW(name, text, repeat) {text, repeat},
enum field { FIELDS(FIELD_ENUM) FIELD_COUNT };
static const struct {
	const char *name;
	enum repeat repeat;
} fields[] = {FIELDS(FIELD_ROW)};

struct http1 {
	size_t head_limit, body_limit;
	enum http1_state state;
	struct buf head;
	size_t looked_over;   /* how much of the head has been */
	unsigned blank_lines; /* before the request line */
	http_parser parser;
	unsigned seen;        /* a bit for each field */
	unsigned field;       /* of the value that comes next; FIELD_COUNT: none of ours */
	bool twice;
	struct view values[FIELD_COUNT];
	struct view target;
	struct http_header *headers;
	size_t header_count;
	bool keeps_alive, expects_continue;
	uint64_t body_left;
	struct view body;
	struct http_request request;
};

int http1_new(size_t head_bytes, size_t body_bytes, struct http1 **out_http1)
{
	struct http1 *http1 = calloc(1, sizeof(*http1));
	if (!http1)
		return ERR_SYSTEM;
	http_parser_set_max_header_size(UINT32_MAX); /* the bound is ours */
	http1->head_limit = head_bytes;
	http1->body_limit = body_bytes;
	http1->head = BUF_INIT(head_bytes);
	*out_http1 = http1;
	return 0;
}

void http1_free(struct http1 *http1)
{
	if (!http1)
		return;
	buf_wipe(&http1->head);
	free(http1->headers);
	free(http1);
}

static enum http1_event refuse(struct http1 *http1, unsigned status, const char *sentence)
{
	http1->state = STATE_REFUSED;
	http1->keeps_alive = false;
	http1->request.refuse = status;
	http1->request.refuse_sentence = sentence;
	return HTTP1_REFUSED;
}

/* ---- the target ---- */

/* Takes "http://" off the front of the target; false when it has another scheme. */
static bool take_scheme(struct view *target)
{
	static const char http[] = "http://";
	size_t length = sizeof(http) - 1;
	if (target->size < length || strncasecmp((const char *)target->data, http, length) != 0)
		return false;
	*target = view_of(target->data + length, target->size - length);
	return true;
}

/* Absolute form (RFC 9112 3.2.2): a scheme, then the authority up to the path or the query. NULL, or what is wrong. */
static const char *split_absolute(struct view target, struct http_request *request)
{
	if (!take_scheme(&target))
		return "only http:// pages are asked for by their whole address; for everything else use CONNECT";
	size_t length = 0;
	while (length < target.size && target.data[length] != '/' && target.data[length] != '?')
		length++;
	request->scheme = view_string("http");
	request->authority = view_of(target.data, length);
	request->path = view_of(target.data + length, target.size - length);
	return length ? NULL : "the request target has no host";
}

/* ---- http-parser's part ---- */

static int on_url(http_parser *parser, const char *at, size_t size)
{
	struct http1 *http1 = parser->data;
	http1->target = view_of(at, size);
	return 0;
}

static int on_header_field(http_parser *parser, const char *at, size_t size)
{
	struct http1 *http1 = parser->data;
	for (http1->field = 0; http1->field < FIELD_COUNT; http1->field++)
		if (strlen(fields[http1->field].name) == size && strncasecmp(fields[http1->field].name, at, size) == 0)
			break;
	return 0;
}

static int on_header_value(http_parser *parser, const char *at, size_t size)
{
	struct http1 *http1 = parser->data;
	if (http1->field == FIELD_COUNT)
		return 0;
	unsigned bit = 1u << http1->field;
	if (http1->seen & bit) {
		http1->twice = http1->twice || fields[http1->field].repeat == ONCE;
		return 0;
	}
	while (size && (at[size - 1] == ' ' || at[size - 1] == '\t'))
		size--;
	http1->seen |= bit;
	http1->values[http1->field] = view_of(at, size);
	return 0;
}

/* "No body follows": the body is counted here, not by http-parser. */
static int on_headers_complete(http_parser *parser)
{
	struct http1 *http1 = parser->data;
	http1->keeps_alive = http_should_keep_alive(parser);
	return 2;
}

static bool has(const struct http1 *http1, enum field field)
{
	return http1->seen & 1u << field;
}

static enum http1_event refuse_parse(struct http1 *http1)
{
	bool connect = http1->head.size > 8 && memcmp(http1->head.data, "CONNECT ", 8) == 0;
	switch (HTTP_PARSER_ERRNO(&http1->parser)) {
	case HPE_INVALID_VERSION:
		return refuse(http1, 505, "only HTTP/1.1 is spoken here");
	case HPE_INVALID_URL:
	case HPE_INVALID_HOST:
	case HPE_INVALID_PORT:
		return refuse(http1, 400,
			      connect ? "the CONNECT target is not HOST:PORT" : "the request target is neither a path nor an address");
	case HPE_INVALID_METHOD:
		return refuse(http1, 400, "the request method is not known");
	case HPE_INVALID_CONTENT_LENGTH:
	case HPE_UNEXPECTED_CONTENT_LENGTH:
		return refuse(http1, 400, "Content-Length is not one number");
	default:
		return refuse(http1, 400, "the request head is malformed");
	}
}

/* ---- framing ---- */

static bool is_origin_form(const struct http1 *http1)
{
	return http1->target.size && (http1->target.data[0] == '/' || http1->target.data[0] == '*');
}

/* NULL, or what is wrong with its target. */
static const char *fill_request(struct http1 *http1)
{
	bool connect = http1->parser.method == HTTP_CONNECT;
	http1->request = (struct http_request){
		.method = view_string(http_method_str((enum http_method)http1->parser.method)),
		.path = connect ? view_of(NULL, 0) : http1->target,
		.authority = connect ? http1->target : http1->values[FIELD_HOST],
		.authorization = http1->values[FIELD_AUTHORIZATION],
		.proxy_authorization = http1->values[FIELD_PROXY_AUTHORIZATION],
		.content_type = http1->values[FIELD_CONTENT_TYPE],
		.accept = http1->values[FIELD_ACCEPT],
		.cookie = http1->values[FIELD_COOKIE],
		.origin = http1->values[FIELD_ORIGIN],
		.fetch_site = http1->values[FIELD_FETCH_SITE],
		.fetch_mode = http1->values[FIELD_FETCH_MODE],
		.fetch_dest = http1->values[FIELD_FETCH_DEST],
		.headers = http1->headers,
		.header_count = http1->header_count,
		.content_length = has(http1, FIELD_CONTENT_LENGTH) ? (int64_t)http1->parser.content_length : -1,
	};
	http1->request.has_body = http1->request.content_length > 0;
	return connect || is_origin_form(http1) ? NULL : split_absolute(http1->target, &http1->request);
}

static enum http1_event judge_framing(struct http1 *http1)
{
	const struct http_request *request = &http1->request;
	unsigned version = http1->parser.http_major * 10u + http1->parser.http_minor;
	struct view expect = http1->values[FIELD_EXPECT];
	if (version != 11 && version != 10)
		return refuse(http1, 505, "only HTTP/1.1 is spoken here");
	if (http1->twice)
		return refuse(http1, 400, "a header field that must stand once came twice");
	if (version == 11 && !has(http1, FIELD_HOST))
		return refuse(http1, 400, "the Host field is missing");
	/* Behind a length that is taken for none stands a request for whoever reads on. */
	if (has(http1, FIELD_CONTENT_LENGTH) && http1->parser.content_length > INT64_MAX)
		return refuse(http1, 400, "Content-Length is too large to be true");
	if (has(http1, FIELD_TRANSFER_ENCODING) && (has(http1, FIELD_CONTENT_LENGTH) || version == 10))
		return refuse(http1, 400, "the request's length is ambiguous");
	if (has(http1, FIELD_TRANSFER_ENCODING))
		return refuse(http1, 411, "a request body needs Content-Length; Transfer-Encoding is not taken");
	if (http1->parser.method == HTTP_CONNECT && request->has_body)
		return refuse(http1, 400, "CONNECT has no body");
	/* What is carried to somebody else is never held here as a whole. */
	if (!request->scheme.size && request->content_length > 0 && (uint64_t)request->content_length > http1->body_limit)
		return refuse(http1, 413, "the request body is too large");
	bool continues = expect.size == 12 && strncasecmp((const char *)expect.data, "100-continue", 12) == 0;
	if (expect.size && !continues)
		return refuse(http1, 417, "that expectation cannot be met");
	http1->expects_continue = continues && version == 11 && request->has_body;
	http1->keeps_alive = http1->keeps_alive && version == 11;
	http1->body_left = request->has_body ? (uint64_t)request->content_length : 0;
	http1->state = STATE_BODY;
	return HTTP1_REQUEST;
}

/* NULL, or what is wrong. */
static const char *take_lines(struct http1 *http1)
{
	struct view head = buf_view(&http1->head);
	/* http-parser would pass over them. */
	const char *wrong = http1_has_odd_spaces(http1_first_line(head)) ? "the request line has spaces where none belong"
									   : http1_look_over_fields(head, &http1->header_count);
	if (wrong || !http1->header_count || http1->header_count > HTTP_FIELDS_MAX)
		return wrong;
	http1->headers = calloc(http1->header_count, sizeof(*http1->headers));
	if (!http1->headers)
		return "memory is out";
	http1_fields(head, http1->headers);
	return NULL;
}

static enum http1_event parse_head(struct http1 *http1)
{
	static const http_parser_settings settings = {
		.on_url = on_url, .on_header_field = on_header_field, .on_header_value = on_header_value,
		.on_headers_complete = on_headers_complete,
	};
	const char *wrong = take_lines(http1);
	if (wrong)
		return refuse(http1, 400, wrong);
	if (http1->header_count > HTTP_FIELDS_MAX)
		return refuse(http1, 431, "the request has too many header fields");
	http_parser_init(&http1->parser, HTTP_REQUEST);
	http1->parser.data = http1;
	size_t taken = http_parser_execute(&http1->parser, &settings, (const char *)http1->head.data, http1->head.size);
	if (HTTP_PARSER_ERRNO(&http1->parser) != HPE_OK)
		return refuse_parse(http1);
	if (taken != http1->head.size)
		return refuse(http1, 400, "the request head is malformed");
	wrong = fill_request(http1);
	return wrong ? refuse(http1, 400, wrong) : judge_framing(http1);
}

/* Empty lines in front of a request line are passed over (RFC 9112 2.2), a few. */
static bool skip_blank_line(struct http1 *http1)
{
	if (http1->head.size != 2 || memcmp(http1->head.data, "\r\n", 2) != 0 || http1->blank_lines++ == 4)
		return false;
	buf_reset(&http1->head);
	http1->looked_over = 0;
	return true;
}

/* Takes one line more, so that nothing beyond the empty line is ever taken. */
static enum http1_event collect_head(struct http1 *http1, struct view *input)
{
	while (input->size) {
		const uint8_t *newline = memchr(input->data, '\n', input->size);
		size_t part = newline ? (size_t)(newline - input->data) + 1 : input->size;
		size_t room = http1->head_limit - http1->head.size;
		size_t taken = part < room ? part : room;
		if (buf_add(&http1->head, view_of(input->data, taken)) < 0)
			return refuse(http1, 503, "memory is out");
		const char *wrong = http1_look_over(buf_view(&http1->head), &http1->looked_over);
		if (wrong)
			return refuse(http1, 400, wrong);
		if (taken < part)
			return refuse(http1, 431, "the request head is too large");
		input->data += part;
		input->size -= part;
		if (skip_blank_line(http1))
			continue;
		if (http1->head.size >= 4 && memcmp(http1->head.data + http1->head.size - 4, "\r\n\r\n", 4) == 0)
			return parse_head(http1);
	}
	return HTTP1_MORE;
}

static enum http1_event take_body(struct http1 *http1, struct view *input)
{
	if (http1->body_left == 0) {
		bool connect = http1->parser.method == HTTP_CONNECT;
		http1->state = connect ? STATE_TUNNEL : STATE_WHOLE;
		return connect ? HTTP1_TUNNEL : HTTP1_WHOLE;
	}
	if (input->size == 0)
		return HTTP1_MORE;
	size_t part = input->size < http1->body_left ? input->size : (size_t)http1->body_left;
	http1->body = view_of(input->data, part);
	http1->body_left -= part;
	input->data += part;
	input->size -= part;
	return HTTP1_BODY;
}

enum http1_event http1_next(struct http1 *http1, struct view *input)
{
	switch (http1->state) {
	case STATE_HEAD:
		return collect_head(http1, input);
	case STATE_BODY:
		return take_body(http1, input);
	case STATE_WHOLE:
		return HTTP1_WHOLE;
	case STATE_TUNNEL:
		return HTTP1_TUNNEL;
	default:
		return HTTP1_REFUSED;
	}
}

/* ---- facts ---- */

const struct http_request *http1_request(const struct http1 *http1)
{
	return &http1->request;
}

struct view http1_body(const struct http1 *http1)
{
	return http1->body;
}

bool http1_has_begun(const struct http1 *http1)
{
	return http1->state == STATE_HEAD && http1->head.size > 0;
}

bool http1_keeps_alive(const struct http1 *http1)
{
	return http1->keeps_alive;
}

bool http1_takes_chunks(const struct http1 *http1)
{
	return http1->parser.http_major == 1 && http1->parser.http_minor == 1;
}

bool http1_expects_continue(const struct http1 *http1)
{
	return http1->expects_continue;
}

void http1_again(struct http1 *http1)
{
	buf_wipe(&http1->head); /* tokens; and an idle connection owns no buffer */
	free(http1->headers);
	*http1 = (struct http1){.head_limit = http1->head_limit, .body_limit = http1->body_limit,
				.head = BUF_INIT(http1->head_limit)};
}

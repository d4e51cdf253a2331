/* http1_forward.c: which fields go on, and the head that is made of them. */
#include "sallyport/http1_forward.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "http1_lines.h"

static bool is_word(struct view text, const char *word)
{
	return text.size == strlen(word) && (!text.size || strncasecmp((const char *)text.data, word, text.size) == 0);
}

static bool is_among(struct view name, const char *const *words, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (is_word(name, words[i]))
			return true;
	return false;
}

/* ---- fields of one hop ---- */

/* Takes the next element off a list of tokens (RFC 9110 5.6.1); false at its end. */
static bool take_element(struct view *list, struct view *out_element)
{
	while (list->size && strchr(" \t,", list->data[0]) && list->data[0])
		*list = view_of(list->data + 1, list->size - 1);
	size_t length = 0;
	while (length < list->size && !(strchr(" \t,", list->data[length]) && list->data[length]))
		length++;
	*out_element = view_of(list->data, length);
	*list = view_of(list->data + length, list->size - length);
	return length != 0;
}

static bool list_has(struct view list, struct view name)
{
	struct view element;
	while (take_element(&list, &element))
		if (element.size == name.size && strncasecmp((const char *)element.data, (const char *)name.data, name.size) == 0)
			return true;
	return false;
}

/* "Connection: NAME" makes NAME a field of this hop. */
static bool is_named_by_connection(struct view name, const struct http_header *fields, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if ((is_word(fields[i].name, "connection") || is_word(fields[i].name, "proxy-connection")) && list_has(fields[i].value, name))
			return true;
	return false;
}

static bool is_of_this_hop(struct view name, const struct http_header *fields, size_t count)
{
	static const char *const known[] = {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "http2-settings"};
	return (name.size >= 6 && strncasecmp((const char *)name.data, "proxy-", 6) == 0) ||
	       is_among(name, known, sizeof(known) / sizeof(known[0])) || is_named_by_connection(name, fields, count);
}

size_t http1_forward_fields(const struct http_header *fields, size_t count, struct http_header *out_fields)
{
	size_t kept = 0;
	for (size_t i = 0; i < count; i++)
		if (!is_of_this_hop(fields[i].name, fields, count) && !is_word(fields[i].name, "content-length"))
			out_fields[kept++] = fields[i];
	return kept;
}

/* ---- what can be carried on ---- */

static bool is_plain(struct view value)
{
	for (size_t i = 0; i < value.size; i++)
		if ((value.data[i] < 0x20 && value.data[i] != '\t') || value.data[i] == 0x7f)
			return false;
	return true;
}

static bool fields_are_plain(const struct http_request *request)
{
	for (size_t i = 0; i < request->header_count; i++)
		if (!http1_is_token(request->headers[i].name) || !is_plain(request->headers[i].value))
			return false;
	return true;
}

/* Of all characters that a URI is written with (RFC 3986 2), and those that browsers leave as they are. */
static bool is_path(struct view path, struct view method)
{
	if (view_is(path, "*"))
		return view_is(method, "OPTIONS");
	for (size_t i = 0; i < path.size; i++)
		if (path.data[i] <= 0x20 || path.data[i] >= 0x7f || path.data[i] == '#')
			return false;
	return !path.size || path.data[0] == '/' || path.data[0] == '?';
}

bool http1_forward_names_host(const char *host)
{
	size_t length = strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._:");
	return length && !host[length];
}

static bool has_field(const struct http_request *request, const char *name)
{
	for (size_t i = 0; i < request->header_count; i++)
		if (is_word(request->headers[i].name, name))
			return true;
	return false;
}

static int refuse(struct http1_refusal *out_refusal, unsigned status, const char *sentence)
{
	*out_refusal = (struct http1_refusal){.status = status, .sentence = sentence};
	return ERR_BAD_INPUT;
}

static int judge(const struct http_request *request, const struct http1_forward *forward, struct http1_refusal *out_refusal)
{
	if (view_is(request->method, "TRACE"))
		return refuse(out_refusal, 405, "TRACE is not carried on.");
	if (!http1_is_token(request->method) || view_is(request->method, "CONNECT"))
		return refuse(out_refusal, 400, "The request method is not known.");
	if (view_is(request->method, "OPTIONS") && has_field(request, "max-forwards"))
		return refuse(out_refusal, 400, "OPTIONS is carried on without Max-Forwards only.");
	if (!is_path(request->path, request->method))
		return refuse(out_refusal, 400, "The address of the page has a character that must be written with a percent sign.");
	if (!http1_forward_names_host(forward->host))
		return refuse(out_refusal, 400, "The target's host has a character that no name or address has.");
	if (!fields_are_plain(request))
		return refuse(out_refusal, 400, "A header field holds a control character.");
	if (request->has_body && request->content_length < 0)
		return refuse(out_refusal, 411, "A request body needs Content-Length here.");
	return 0;
}

/* ---- the head ---- */

static int add_field(struct buf *out, const struct http_header *field)
{
	int result = buf_add(out, field->name);
	if (result == 0)
		result = buf_add_string(out, ": ");
	if (result == 0)
		result = buf_add(out, field->value);
	return result < 0 ? result : buf_add_string(out, "\r\n");
}

/* What follows the authority may be nothing: then it is the root, or for OPTIONS the server itself (RFC 9112 3.2.4). */
static int add_request_line(struct buf *out, const struct http_request *request)
{
	int result = buf_add(out, request->method);
	if (result == 0)
		result = buf_add_string(out, " ");
	if (result == 0 && !request->path.size)
		result = buf_add_string(out, view_is(request->method, "OPTIONS") ? "*" : "/");
	else if (result == 0 && request->path.data[0] == '?')
		result = buf_add_string(out, "/");
	if (result == 0)
		result = buf_add(out, request->path);
	return result < 0 ? result : buf_add_string(out, " HTTP/1.1\r\n");
}

static int add_host(struct buf *out, const struct http1_forward *forward)
{
	bool six = strchr(forward->host, ':') != NULL;
	int result = buf_add_format(out, six ? "Host: [%s]" : "Host: %s", forward->host);
	if (result == 0 && forward->port != 80)
		result = buf_add_format(out, ":%u", forward->port);
	return result < 0 ? result : buf_add_string(out, "\r\n");
}

/* Takes the next "name=value" off a line of cookies; false at its end. */
static bool take_crumb(struct view *line, struct view *out_crumb)
{
	if (!line->size)
		return false;
	const uint8_t *end = memchr(line->data, ';', line->size);
	size_t length = end ? (size_t)(end - line->data) : line->size, taken = end ? length + 1 : length;
	*out_crumb = http1_without_blanks(view_of(line->data, length));
	*line = view_of(line->data + taken, line->size - taken);
	return true;
}

static bool is_cookie(struct view crumb, const char *name)
{
	const uint8_t *equals = crumb.size ? memchr(crumb.data, '=', crumb.size) : NULL;
	return is_word(http1_without_blanks(view_of(crumb.data, equals ? (size_t)(equals - crumb.data) : crumb.size)), name);
}

/* One line of all, and nothing when only our own was there. */
static int add_cookies(struct buf *out, const struct http_request *request, const char *own)
{
	struct view line = request->cookie, crumb;
	const char *before = "Cookie: ";
	int result = 0;
	if (is_named_by_connection(view_string("cookie"), request->headers, request->header_count))
		return 0;
	while (result == 0 && take_crumb(&line, &crumb)) {
		if (!crumb.size || is_cookie(crumb, own))
			continue;
		result = buf_add_string(out, before);
		if (result == 0)
			result = buf_add(out, crumb);
		before = "; ";
	}
	return result == 0 && *before == ';' ? buf_add_string(out, "\r\n") : result;
}

/* "Expect" was met here already; the others are written anew. */
static int add_fields(struct buf *out, const struct http_request *request)
{
	static const char *const anew[] = {"host", "content-length", "cookie", "expect"};
	int result = 0;
	for (size_t i = 0; result == 0 && i < request->header_count; i++) {
		const struct http_header *field = &request->headers[i];
		if (!is_among(field->name, anew, sizeof(anew) / sizeof(anew[0])) &&
		    !is_of_this_hop(field->name, request->headers, request->header_count))
			result = add_field(out, field);
	}
	return result;
}

int http1_forward_request(const struct http_request *request, const struct http1_forward *forward, struct buf *out_head,
			  struct http1_refusal *out_refusal)
{
	int result = judge(request, forward, out_refusal);
	if (result == 0)
		result = add_request_line(out_head, request);
	if (result == 0)
		result = add_host(out_head, forward);
	if (result == 0)
		result = add_fields(out_head, request);
	if (result == 0)
		result = add_cookies(out_head, request, forward->own_cookie);
	if (result == 0 && request->content_length >= 0)
		result = buf_add_format(out_head, "Content-Length: %" PRId64 "\r\n", request->content_length);
	return result < 0 ? result : buf_add_format(out_head, "Via: %s %s\r\nConnection: close\r\n\r\n", forward->received, HTTP1_VIA_NAME);
}

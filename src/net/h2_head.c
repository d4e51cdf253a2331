/* h2_head.c: header fields, as they come one by one, into a request or a response head.
 *
 * All are kept, in their order, and all count against the bound; those that somebody asks about are found by name.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "h2_internal.h"
#include "sallyport/str.h"

#define FIELD_NAME(name, text) text,
static const char *const field_names[] = {H2_FIELDS(FIELD_NAME)};

/* What a field costs beyond its text (RFC 9113 6.5.2). */
enum { FIELD_OVERHEAD = 32 };

struct h2_head *h2_head_new(size_t limit)
{
	struct h2_head *head = calloc(1, sizeof(*head));
	if (!head)
		return NULL;
	head->text = head->cookie = BUF_INIT(limit);
	head->places = BUF_INIT(HTTP_FIELDS_MAX * sizeof(struct h2_place));
	return head;
}

void h2_head_free(struct h2_head *head)
{
	if (!head)
		return;
	buf_wipe(&head->text); /* tokens */
	buf_wipe(&head->cookie);
	buf_fini(&head->places);
	free(head->headers);
	free(head);
}

static unsigned field_of(struct view name)
{
	unsigned field = 0;
	while (field < H2_FIELD_COUNT && !view_is(name, field_names[field]))
		field++;
	return field;
}

static int keep(struct h2_head *head, struct view name, struct view value, struct h2_place *out_place)
{
	struct h2_place place = {.name = (uint32_t)head->text.size, .name_size = (uint32_t)name.size,
				 .value = (uint32_t)(head->text.size + name.size), .value_size = (uint32_t)value.size};
	int result = buf_add(&head->text, name);
	if (result == 0)
		result = buf_add(&head->text, value);
	if (result == 0 && name.data[0] != ':')
		result = buf_add(&head->places, view_of(&place, sizeof(place)));
	if (result == 0)
		*out_place = place;
	return result;
}

/* A separator costs less than a field's overhead: the bound of all holds for them too. */
static int add_crumb(struct h2_head *head, struct view value)
{
	int result = head->cookie.size ? buf_add_string(&head->cookie, "; ") : 0;
	return result < 0 ? result : buf_add(&head->cookie, value);
}

int h2_head_add(struct h2_head *head, struct view name, struct view value)
{
	struct h2_place place;
	head->bytes += name.size + value.size + FIELD_OVERHEAD;
	if (head->bytes > head->text.limit || head->places.size == head->places.limit) {
		head->too_large = true;
		return 0;
	}
	unsigned field = field_of(name);
	int result = keep(head, name, value, &place);
	if (result < 0 || field == H2_FIELD_COUNT)
		return result;
	if (field == H2_FIELD_COOKIE)
		return add_crumb(head, value);
	if (head->seen & 1u << field) {
		/* Several Accept lines are one list; we serve the first. Several of the others mean two things. */
		head->twice = head->twice || field != H2_FIELD_ACCEPT;
		return 0;
	}
	head->seen |= 1u << field;
	head->fields[field] = place;
	return 0;
}

static struct view field_view(const struct h2_head *head, enum h2_field field)
{
	if (!(head->seen & 1u << field))
		return view_of(NULL, 0);
	return view_of(head->text.data + head->fields[field].value, head->fields[field].value_size);
}

/* A constant, in lower case whatever the client wrote; NULL for a scheme that is none of ours. */
static const char *scheme_of(const struct h2_head *head)
{
	static const char *const known[] = {"", "http", "https"};
	struct view scheme = field_view(head, H2_FIELD_SCHEME);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strlen(known[i]) == scheme.size && (!scheme.size || strncasecmp(known[i], (const char *)scheme.data, scheme.size) == 0))
			return known[i];
	return NULL;
}

static int64_t content_length(const struct h2_head *head)
{
	uint64_t length = 0;
	if (str_to_u64(field_view(head, H2_FIELD_CONTENT_LENGTH), 0, INT64_MAX, &length) < 0)
		return -1;
	return (int64_t)length;
}

static void refuse(struct http_request *request, unsigned status, const char *sentence)
{
	request->refuse = status;
	request->refuse_sentence = sentence;
}

/* Empty without memory: the request is refused then. */
static void list_headers(struct h2_head *head, struct http_request *request)
{
	size_t count = head->places.size / sizeof(struct h2_place);
	const struct h2_place *places = (const void *)head->places.data;
	head->headers = count ? calloc(count, sizeof(*head->headers)) : NULL;
	if (!head->headers)
		return;
	for (size_t i = 0; i < count; i++)
		head->headers[i] = (struct http_header){.name = view_of(head->text.data + places[i].name, places[i].name_size),
							.value = view_of(head->text.data + places[i].value, places[i].value_size)};
	request->headers = head->headers;
	request->header_count = count;
}

static void judge(const struct h2_head *head, struct http_request *request)
{
	struct view host = field_view(head, H2_FIELD_HOST);
	if (head->too_large)
		refuse(request, 431, "the request's header fields are too large");
	else if (head->places.size && !request->headers)
		refuse(request, 503, "memory is out");
	else if (head->twice)
		refuse(request, 400, "a header field that must stand once came twice");
	else if (host.size && !view_equal(host, request->authority))
		refuse(request, 400, "Host and :authority differ");
	else if (!scheme_of(head))
		refuse(request, 400, "the scheme of the request is neither https nor http");
}

void h2_head_request(struct h2_head *head, struct http_request *out_request)
{
	struct http_request request = {
		.method = field_view(head, H2_FIELD_METHOD),
		.scheme = view_string(scheme_of(head)),
		.path = field_view(head, H2_FIELD_PATH),
		.authority = field_view(head, H2_FIELD_AUTHORITY),
		.authorization = field_view(head, H2_FIELD_AUTHORIZATION),
		.proxy_authorization = field_view(head, H2_FIELD_PROXY_AUTHORIZATION),
		.content_type = field_view(head, H2_FIELD_CONTENT_TYPE),
		.accept = field_view(head, H2_FIELD_ACCEPT),
		.cookie = buf_view(&head->cookie),
		.origin = field_view(head, H2_FIELD_ORIGIN),
		.fetch_site = field_view(head, H2_FIELD_FETCH_SITE),
		.fetch_mode = field_view(head, H2_FIELD_FETCH_MODE),
		.fetch_dest = field_view(head, H2_FIELD_FETCH_DEST),
		.content_length = content_length(head),
	};
	if (!request.authority.size)
		request.authority = field_view(head, H2_FIELD_HOST);
	list_headers(head, &request);
	judge(head, &request);
	*out_request = request;
}

void h2_head_response(const struct h2_head *head, struct http_response *out_response)
{
	uint64_t status = 0;
	(void)!str_to_u64(field_view(head, H2_FIELD_STATUS), 100, 999, &status);
	*out_response = (struct http_response){
		.status = (unsigned)status,
		.content_type = field_view(head, H2_FIELD_CONTENT_TYPE),
		.retry_after = field_view(head, H2_FIELD_RETRY_AFTER),
		.proxy_authenticate = field_view(head, H2_FIELD_PROXY_AUTHENTICATE),
		.content_length = content_length(head),
	};
}

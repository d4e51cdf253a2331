/* h2_head.c: header fields, as they come one by one, into a request or a response head.
 *
 * Kept are only those that somebody asks about; all count against the bound.
 */
#include <stdlib.h>
#include <string.h>

#include "h2_internal.h"
#include "sallyport/str.h"

#define FIELD_NAME(name, text) text,
static const char *const field_names[] = {H2_FIELDS(FIELD_NAME)};

/* What a field costs beyond its text (RFC 9113 6.5.2). */
enum { FIELD_OVERHEAD = 32 };

struct h2_head *h2_head_new(size_t limit)
{
	struct h2_head *head = calloc(1, sizeof(*head));
	if (head)
		head->text = BUF_INIT(limit);
	return head;
}

void h2_head_free(struct h2_head *head)
{
	if (!head)
		return;
	buf_wipe(&head->text); /* tokens */
	free(head);
}

static unsigned field_of(struct view name)
{
	unsigned field = 0;
	while (field < H2_FIELD_COUNT && !view_is(name, field_names[field]))
		field++;
	return field;
}

int h2_head_add(struct h2_head *head, struct view name, struct view value)
{
	head->bytes += name.size + value.size + FIELD_OVERHEAD;
	if (head->bytes > head->text.limit) {
		head->too_large = true;
		return 0;
	}
	unsigned field = field_of(name);
	if (field == H2_FIELD_COUNT)
		return 0;
	if (head->seen & 1u << field) {
		/* Several Accept lines are one list; we serve the first. Several of the others mean two things. */
		head->twice = head->twice || field != H2_FIELD_ACCEPT;
		return 0;
	}
	head->seen |= 1u << field;
	head->fields[field].offset = (uint32_t)head->text.size;
	head->fields[field].size = (uint32_t)value.size;
	return buf_add(&head->text, value);
}

static struct view field_view(const struct h2_head *head, enum h2_field field)
{
	if (!(head->seen & 1u << field))
		return view_of(NULL, 0);
	return view_of(head->text.data + head->fields[field].offset, head->fields[field].size);
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

void h2_head_request(const struct h2_head *head, struct http_request *out_request)
{
	struct http_request request = {
		.method = field_view(head, H2_FIELD_METHOD),
		.path = field_view(head, H2_FIELD_PATH),
		.authority = field_view(head, H2_FIELD_AUTHORITY),
		.authorization = field_view(head, H2_FIELD_AUTHORIZATION),
		.proxy_authorization = field_view(head, H2_FIELD_PROXY_AUTHORIZATION),
		.content_type = field_view(head, H2_FIELD_CONTENT_TYPE),
		.accept = field_view(head, H2_FIELD_ACCEPT),
		.content_length = content_length(head),
	};
	struct view host = field_view(head, H2_FIELD_HOST);
	if (!request.authority.size)
		request.authority = host;
	if (head->too_large)
		refuse(&request, 431, "the request's header fields are too large");
	else if (head->twice)
		refuse(&request, 400, "a header field that must stand once came twice");
	else if (host.size && !view_equal(host, request.authority))
		refuse(&request, 400, "Host and :authority differ");
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

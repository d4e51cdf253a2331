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

struct h2_message *h2_message_new(size_t text_limit)
{
	struct h2_message *message = calloc(1, sizeof(*message));
	if (message)
		message->text = BUF_INIT(text_limit);
	return message;
}

void h2_message_free(struct h2_message *message)
{
	if (!message)
		return;
	buf_wipe(&message->text); /* tokens */
	buf_wipe(&message->body);
	free(message);
}

static unsigned field_of(struct view name)
{
	unsigned field = 0;
	while (field < H2_FIELD_COUNT && !view_is(name, field_names[field]))
		field++;
	return field;
}

int h2_head_add(struct h2_message *message, uint32_t limit, struct view name, struct view value)
{
	message->head_bytes += name.size + value.size + FIELD_OVERHEAD;
	if (message->head_bytes > limit) {
		message->too_large = true;
		return 0;
	}
	unsigned field = field_of(name);
	if (field == H2_FIELD_COUNT)
		return 0;
	if (message->seen & 1u << field) {
		/* Several Accept lines are one list; we serve the first. Several of the others mean two things. */
		message->twice = message->twice || field != H2_FIELD_ACCEPT;
		return 0;
	}
	message->seen |= 1u << field;
	message->fields[field].offset = (uint32_t)message->text.size;
	message->fields[field].size = (uint32_t)value.size;
	return buf_add(&message->text, value);
}

static struct view field_view(const struct h2_message *message, enum h2_field field)
{
	if (!(message->seen & 1u << field))
		return view_of(NULL, 0);
	return view_of(message->text.data + message->fields[field].offset, message->fields[field].size);
}

static int64_t content_length(const struct h2_message *message)
{
	uint64_t length = 0;
	if (str_to_u64(field_view(message, H2_FIELD_CONTENT_LENGTH), 0, INT64_MAX, &length) < 0)
		return -1;
	return (int64_t)length;
}

static void refuse(struct http_request *request, unsigned status, const char *sentence)
{
	request->refuse = status;
	request->refuse_sentence = sentence;
}

void h2_head_request(const struct h2_message *message, struct http_request *out_request)
{
	struct http_request request = {
		.method = field_view(message, H2_FIELD_METHOD),
		.path = field_view(message, H2_FIELD_PATH),
		.authority = field_view(message, H2_FIELD_AUTHORITY),
		.authorization = field_view(message, H2_FIELD_AUTHORIZATION),
		.proxy_authorization = field_view(message, H2_FIELD_PROXY_AUTHORIZATION),
		.content_type = field_view(message, H2_FIELD_CONTENT_TYPE),
		.accept = field_view(message, H2_FIELD_ACCEPT),
		.content_length = content_length(message),
	};
	struct view host = field_view(message, H2_FIELD_HOST);
	if (!request.authority.size)
		request.authority = host;
	if (message->too_large)
		refuse(&request, 431, "the request's header fields are too large");
	else if (message->twice)
		refuse(&request, 400, "a header field that must stand once came twice");
	else if (host.size && !view_equal(host, request.authority))
		refuse(&request, 400, "Host and :authority differ");
	*out_request = request;
}

void h2_head_response(const struct h2_message *message, struct http_response *out_response)
{
	uint64_t status = 0;
	(void)!str_to_u64(field_view(message, H2_FIELD_STATUS), 100, 999, &status);
	*out_response = (struct http_response){
		.status = (unsigned)status,
		.content_type = field_view(message, H2_FIELD_CONTENT_TYPE),
		.retry_after = field_view(message, H2_FIELD_RETRY_AFTER),
		.proxy_authenticate = field_view(message, H2_FIELD_PROXY_AUTHENTICATE),
		.content_length = content_length(message),
	};
}

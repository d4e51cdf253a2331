/* http1_write.c: response heads. */
#include <inttypes.h>

#include "sallyport/http1.h"

static const struct {
	unsigned status;
	const char *reason;
} reasons[] = {
	{100, "Continue"}, {200, "OK"}, {201, "Created"}, {202, "Accepted"}, {203, "Non-Authoritative Information"},
	{204, "No Content"}, {205, "Reset Content"}, {206, "Partial Content"}, {207, "Multi-Status"}, {300, "Multiple Choices"},
	{301, "Moved Permanently"}, {302, "Found"}, {303, "See Other"}, {304, "Not Modified"}, {307, "Temporary Redirect"},
	{308, "Permanent Redirect"}, {400, "Bad Request"}, {401, "Unauthorized"}, {402, "Payment Required"},
	{403, "Forbidden"}, {404, "Not Found"}, {405, "Method Not Allowed"}, {406, "Not Acceptable"},
	{407, "Proxy Authentication Required"}, {408, "Request Timeout"}, {409, "Conflict"}, {410, "Gone"},
	{411, "Length Required"}, {412, "Precondition Failed"}, {413, "Content Too Large"}, {414, "URI Too Long"},
	{415, "Unsupported Media Type"}, {416, "Range Not Satisfiable"}, {417, "Expectation Failed"},
	{421, "Misdirected Request"}, {422, "Unprocessable Content"}, {423, "Locked"}, {426, "Upgrade Required"},
	{428, "Precondition Required"}, {429, "Too Many Requests"}, {431, "Request Header Fields Too Large"},
	{500, "Internal Server Error"}, {501, "Not Implemented"}, {502, "Bad Gateway"}, {503, "Service Unavailable"},
	{504, "Gateway Timeout"}, {505, "HTTP Version Not Supported"}, {507, "Insufficient Storage"},
};

const char *http1_reason(unsigned status)
{
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "Unknown";
}

int http1_write_continue(struct buf *out)
{
	return buf_add_string(out, "HTTP/1.1 100 Continue\r\n\r\n");
}

static int add_header(struct buf *out, const struct http_header *header)
{
	int result = buf_add(out, header->name);
	if (result == 0)
		result = buf_add_string(out, ": ");
	if (result == 0)
		result = buf_add(out, header->value);
	return result < 0 ? result : buf_add_string(out, "\r\n");
}

int http1_write_head(struct buf *out, unsigned status, const struct http_header *headers, size_t header_count,
		     int64_t content_length, enum http1_after after)
{
	int result = buf_add_format(out, "HTTP/1.1 %u %s\r\n", status, http1_reason(status));
	for (size_t i = 0; result == 0 && i < header_count; i++)
		result = add_header(out, &headers[i]);
	if (result == 0 && content_length >= 0 && status != 204)
		result = buf_add_format(out, "content-length: %" PRId64 "\r\n", content_length);
	if (result == 0 && after == HTTP1_CLOSE)
		result = buf_add_string(out, "connection: close\r\n");
	return result < 0 ? result : buf_add_string(out, "\r\n");
}

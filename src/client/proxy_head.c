/* proxy_head.c: the head of a request to an HTTP proxy. */
#include "proxy_head.h"

#include <string.h>
#include <strings.h>

#include "sallyport/err.h"
#include "sallyport/str.h"

size_t proxy_head_size(struct view bytes)
{
	const uint8_t *end = memmem(bytes.data, bytes.size, "\r\n\r\n", 4);
	return end ? (size_t)(end - bytes.data) + 4 : 0;
}

/* Takes the text before `separator` off the front. */
static bool take_until(struct view *rest, const char *separator, struct view *out_text)
{
	size_t length = strlen(separator);
	const uint8_t *end = memmem(rest->data, rest->size, separator, length);
	if (!end)
		return false;
	*out_text = view_of(rest->data, (size_t)(end - rest->data));
	*rest = view_of(end + length, rest->size - out_text->size - length);
	return true;
}

static bool has_prefix(struct view text, const char *prefix)
{
	return text.size >= strlen(prefix) && strncasecmp((const char *)text.data, prefix, strlen(prefix)) == 0;
}

/* "host:port"; where there is a default, "host" as well. */
static int take_authority(struct view authority, uint16_t default_port, struct destination *out_destination)
{
	struct destination destination = {0};
	int result = default_port ? str_split_host(authority, default_port, destination.host, sizeof(destination.host), &destination.port)
				  : str_split_authority(authority, destination.host, sizeof(destination.host), &destination.port);
	if (result < 0 || strchr(destination.host, '@') || !destination_host_is_plain(destination.host))
		return ERR_BAD_INPUT;
	*out_destination = destination;
	return 0;
}

/* Of this hop only (RFC 9110 7.6.1), or said anew. */
static bool is_for_the_proxy(struct view line)
{
	static const char *const names[] = {"connection:", "proxy-connection:", "proxy-authorization:", "keep-alive:"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (has_prefix(line, names[i]))
			return true;
	return false;
}

/* An upgrade (a WebSocket) lives on its connection anyway. */
static bool wants_upgrade(struct view headers)
{
	struct view line;
	while (take_until(&headers, "\r\n", &line))
		if (has_prefix(line, "upgrade:"))
			return true;
	return false;
}

static int write_head(struct view method, struct view path, struct view headers, struct buf *out_head)
{
	bool rooted = path.size && path.data[0] == '/';
	const char *end = wants_upgrade(headers) ? "Connection: upgrade\r\n\r\n" : "Connection: close\r\n\r\n";
	struct view line;
	int result = buf_add(out_head, method);
	if (result == 0)
		result = buf_add_string(out_head, rooted ? " " : " /");
	if (result == 0)
		result = buf_add(out_head, path);
	if (result == 0)
		result = buf_add_string(out_head, " HTTP/1.1\r\n");
	while (result == 0 && take_until(&headers, "\r\n", &line) && line.size) {
		if (is_for_the_proxy(line))
			continue;
		result = buf_add(out_head, line);
		if (result == 0)
			result = buf_add_string(out_head, "\r\n");
	}
	return result == 0 ? buf_add_string(out_head, end) : result;
}

static bool is_clean(struct view head)
{
	/* A folded line or a lone line feed would read differently at the origin. */
	for (size_t i = 0; i < head.size; i++) {
		bool ends_line = head.data[i] == '\n';
		bool after_return = i && head.data[i - 1] == '\r';
		bool folded = ends_line && i + 1 < head.size && (head.data[i + 1] == ' ' || head.data[i + 1] == '\t');
		if (!head.data[i] || ends_line != after_return || folded)
			return false;
	}
	return true;
}

int proxy_head_parse(struct view head, struct destination *out_destination, bool *out_is_connect, struct buf *out_head)
{
	static const char scheme[] = "http://";
	struct view line, method, target;
	if (!is_clean(head) || !take_until(&head, "\r\n", &line) || !take_until(&line, " ", &method) ||
	    !take_until(&line, " ", &target) || !has_prefix(line, "HTTP/1.") || line.size != 8 || !method.size)
		return ERR_BAD_INPUT;
	*out_is_connect = view_is(method, "CONNECT");
	if (*out_is_connect)
		return take_authority(target, 0, out_destination);
	if (!has_prefix(target, scheme))
		return ERR_BAD_INPUT;
	target = view_of(target.data + strlen(scheme), target.size - strlen(scheme));
	size_t length = 0;
	while (length < target.size && !strchr("/?#", target.data[length]))
		length++;
	int result = take_authority(view_of(target.data, length), 80, out_destination);
	struct view path = view_of(target.data + length, target.size - length);
	return result == 0 ? write_head(method, path, head, out_head) : result;
}

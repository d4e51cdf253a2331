/* proxy_head.c: the PROXY protocol's heads, as pure functions. */
#include "proxy_head.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "sallyport/str.h"

static const uint8_t signature[12] = {'\r', '\n', '\r', '\n', 0, '\r', '\n', 'Q', 'U', 'I', 'T', '\n'};
static const char word[] = "PROXY ";

enum { FIXED = 16, LINE_MAX_V1 = 107, IPV4_BYTES = 12, IPV6_BYTES = 36 };

static int fail(struct diag *diag, const char *why)
{
	return diag_set(diag, ERR_BAD_INPUT, "no head of the PROXY protocol: %s", why);
}

/* ---- addresses ---- */

static int take_four(const void *bytes, struct proxy_head *out_head)
{
	struct in_addr four;
	memcpy(&four, bytes, sizeof(four));
	return inet_ntop(AF_INET, &four, out_head->address, sizeof(out_head->address)) ? 0 : ERR_BAD_INPUT;
}

/* An IPv4 address in IPv6's clothes is an IPv4 address: it counts as one source with the plain one. */
static int take_six(const void *bytes, struct proxy_head *out_head)
{
	struct in6_addr six;
	memcpy(&six, bytes, sizeof(six));
	if (IN6_IS_ADDR_V4MAPPED(&six))
		return take_four(six.s6_addr + 12, out_head);
	return inet_ntop(AF_INET6, &six, out_head->address, sizeof(out_head->address)) ? 0 : ERR_BAD_INPUT;
}

/* ---- version 1: a line ---- */

/* The next word; words stand one blank apart. */
static struct view next_word(struct view *line)
{
	size_t length = 0;
	while (length < line->size && line->data[length] != ' ')
		length++;
	struct view found = view_of(line->data, length);
	length += length < line->size;
	*line = view_of(line->data + length, line->size - length);
	return found;
}

static int take_text(struct view text, int family, void *out_bytes)
{
	char address[INET6_ADDRSTRLEN];
	return view_to_string(text, address, sizeof(address)) == 0 && inet_pton(family, address, out_bytes) == 1 ? 0 : ERR_BAD_INPUT;
}

static int parse_line(struct view line, struct proxy_head *out_head, struct diag *diag)
{
	struct view protocol = next_word(&line);
	if (view_is(protocol, "UNKNOWN"))
		return 0;
	int family = view_is(protocol, "TCP4") ? AF_INET : view_is(protocol, "TCP6") ? AF_INET6 : 0;
	uint8_t from[16], to[16];
	uint64_t from_port = 0, to_port = 0;
	if (!family || take_text(next_word(&line), family, from) < 0 || take_text(next_word(&line), family, to) < 0 ||
	    str_to_u64(next_word(&line), 0, UINT16_MAX, &from_port) < 0 || str_to_u64(line, 0, UINT16_MAX, &to_port) < 0)
		return fail(diag, "its line does not say TCP4 or TCP6, two addresses and two ports");
	out_head->port = (uint16_t)from_port;
	return family == AF_INET ? take_four(from, out_head) : take_six(from, out_head);
}

static int parse_v1(struct view have, struct proxy_head *out_head, size_t *out_more, struct diag *diag)
{
	size_t begin = sizeof(word) - 1;
	const uint8_t *end = memchr(have.data, '\n', have.size);
	if (!end && have.size >= LINE_MAX_V1)
		return fail(diag, "its line is too long");
	if (!end) {
		*out_more = have.data[have.size - 1] == '\r' ? 1 : 2;
		return ERR_AGAIN;
	}
	if (end + 1 != have.data + have.size || end[-1] != '\r')
		return fail(diag, "its line does not end as it should");
	return parse_line(view_of(have.data + begin, have.size - begin - 2), out_head, diag);
}

/* ---- version 2: binary ---- */

static int parse_body(const uint8_t *head, size_t length, struct proxy_head *out_head, struct diag *diag)
{
	const uint8_t *body = head + FIXED;
	enum { LOCAL = 0x20, PROXY = 0x21, UNSPECIFIED = 0x00, TCP4 = 0x11, TCP6 = 0x21 };
	if (head[12] == LOCAL || (head[12] == PROXY && head[13] == UNSPECIFIED))
		return 0;
	if (head[12] != PROXY)
		return fail(diag, "its version or command is unknown");
	if (head[13] == TCP4 && length >= IPV4_BYTES) {
		out_head->port = (uint16_t)(body[8] << 8 | body[9]);
		return take_four(body, out_head);
	}
	if (head[13] == TCP6 && length >= IPV6_BYTES) {
		out_head->port = (uint16_t)(body[32] << 8 | body[33]);
		return take_six(body, out_head);
	}
	return fail(diag, "it is not about TCP over IPv4 or IPv6");
}

static int parse_v2(struct view have, struct proxy_head *out_head, size_t *out_more, struct diag *diag)
{
	size_t length = have.size >= FIXED ? (size_t)(have.data[14] << 8 | have.data[15]) : 0;
	if (FIXED + length > PROXY_HEAD_MAX)
		return fail(diag, "it is too long");
	if (have.size < FIXED + length) {
		*out_more = FIXED + length - have.size;
		return ERR_AGAIN;
	}
	if (have.size > FIXED + length)
		return fail(diag, "something stands behind it");
	return parse_body(have.data, length, out_head, diag);
}

/* ---- either ---- */

static bool begins_with(struct view have, const void *beginning, size_t size)
{
	return memcmp(have.data, beginning, have.size < size ? have.size : size) == 0;
}

int proxy_head_parse(struct view have, struct proxy_head *out_head, size_t *out_more, struct diag *diag)
{
	bool is_v1 = have.size == 0 || begins_with(have, word, sizeof(word) - 1);
	bool is_v2 = have.size == 0 || begins_with(have, signature, sizeof(signature));
	struct proxy_head head = {.port = 0};
	if (!is_v1 && !is_v2)
		return fail(diag, "it begins with something else; is proxy_protocol_from right?");
	if (have.size < PROXY_HEAD_LEAST) {
		*out_more = PROXY_HEAD_LEAST - have.size;
		return ERR_AGAIN;
	}
	int result = is_v1 ? parse_v1(have, &head, out_more, diag) : parse_v2(have, &head, out_more, diag);
	if (result == 0)
		*out_head = head;
	return result;
}

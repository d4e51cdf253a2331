/* destination.c: the spellings of -W and -L. */
#include "destination.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "sallyport/str.h"

#define FORWARD_FORM _("[BIND:]PORT:HOST:PORT, for example 5432:db1:5432")

/* BIND, PORT, HOST, PORT and one more, to notice that there are too many. */
enum { PARTS_MAX = 5 };

struct parts {
	struct view part[PARTS_MAX];
	bool bracketed[PARTS_MAX];
	size_t count;
};

enum which_port { PORT, PORT_LOCAL, PORT_REMOTE };

static int take_port(const char *option, const char *text, enum which_port which, struct view part, uint16_t *out_port,
		     struct diag *diag)
{
	uint64_t port = 0;
	if (str_to_u64(part, 1, 65535, &port) < 0)
		return diag_set(diag, STATUS_USAGE, which == PORT ? _("%s %s: the port \"%.*s\" is not a number from 1 to 65535")
				: which == PORT_LOCAL ? _("%s %s: the local port \"%.*s\" is not a number from 1 to 65535")
				: _("%s %s: the remote port \"%.*s\" is not a number from 1 to 65535"), option, text,
				(int)part.size, (const char *)part.data);
	*out_port = (uint16_t)port;
	return STATUS_OK;
}

static bool is_ipv6(const char *host)
{
	struct in6_addr address;
	return inet_pton(AF_INET6, host, &address) == 1;
}

/* Only what would spoil a request is refused here; whether a name is good is the gateway's matter. */
static bool has_only_visible_ascii(struct view text)
{
	for (size_t i = 0; i < text.size; i++)
		if (text.data[i] <= 0x20 || text.data[i] >= 0x7f)
			return false;
	return true;
}

bool destination_host_is_plain(const char *host)
{
	return *host && has_only_visible_ascii(view_string(host)) &&
	       (is_ipv6(host) || (!strpbrk(host, ":[]/@") && strlen(host) <= DESTINATION_HOST_MAX));
}

static int take_host(const char *option, const char *text, struct view host, bool bracketed,
		     struct destination *out_destination, struct diag *diag)
{
	if (host.size == 0)
		return diag_set(diag, STATUS_USAGE, _("%s %s: the host is missing"), option, text);
	if (!has_only_visible_ascii(host))
		return diag_set(diag, STATUS_USAGE,
				_("%s %s: the host may hold letters, digits and signs of ASCII only (write an "
				"international name in its xn-- form)"), option, text);
	if (view_to_string(host, out_destination->host, sizeof(out_destination->host)) < 0)
		return diag_set(diag, STATUS_USAGE, _("%s: the host is longer than %d characters"), option,
				DESTINATION_HOST_MAX);
	if (bracketed && !is_ipv6(out_destination->host))
		return diag_set(diag, STATUS_USAGE, _("%s %s: \"%s\" in the brackets is not an IPv6 address"), option, text,
				out_destination->host);
	return STATUS_OK;
}

int destination_parse(const char *text, struct destination *out_destination, struct diag *diag)
{
	const char *colon = strrchr(text, ':');
	if (!colon || (text[0] == '[' && !strchr(text, ']')))
		return diag_set(diag, STATUS_USAGE, _("-W %s: expected HOST:PORT, for example db1:22 or [2001:db8::1]:22"), text);
	struct view host = view_of(text, (size_t)(colon - text));
	bool bracketed = host.size >= 2 && host.data[0] == '[' && host.data[host.size - 1] == ']';
	if (bracketed)
		host = view_of(host.data + 1, host.size - 2);
	struct destination destination = {0};
	int status = take_host("-W", text, host, bracketed, &destination, diag);
	if (status == STATUS_OK)
		status = take_port("-W", text, PORT, view_string(colon + 1), &destination.port, diag);
	if (status != STATUS_OK)
		return status;
	if (strpbrk(destination.host, ":[]") && !is_ipv6(destination.host))
		return diag_set(diag, STATUS_USAGE, _("-W %s: expected HOST:PORT, for example db1:22 or [2001:db8::1]:22"), text);
	*out_destination = destination;
	return STATUS_OK;
}

void destination_text(const struct destination *destination, char out_text[DESTINATION_TEXT_MAX])
{
	bool bracketed = strchr(destination->host, ':') != NULL;
	snprintf(out_text, DESTINATION_TEXT_MAX, bracketed ? "[%s]:%u" : "%s:%u", destination->host, destination->port);
}

/* Cuts at colons outside brackets. False for a bracket without its partner or in the middle of a part. */
static bool cut(const char *text, struct parts *out_parts)
{
	struct parts parts = {0};
	for (;;) {
		if (parts.count == PARTS_MAX)
			break;
		bool bracketed = *text == '[';
		size_t length = bracketed ? strcspn(text, "]") : strcspn(text, ":");
		if (bracketed && text[length] != ']')
			return false;
		struct view part = bracketed ? view_of(text + 1, length - 1) : view_of(text, length);
		if (memchr(part.data, '[', part.size) || memchr(part.data, ']', part.size))
			return false;
		parts.part[parts.count] = part;
		parts.bracketed[parts.count++] = bracketed;
		text += length + (bracketed ? 1 : 0);
		if (!*text)
			break;
		if (*text != ':')
			return false;
		text++;
	}
	*out_parts = parts;
	return true;
}

static int take_bind(const char *option, const char *text, struct view part, bool bracketed, char *out_bind, size_t capacity,
		     struct diag *diag)
{
	struct in_addr address;
	bool good = view_to_string(part, out_bind, capacity) == 0;
	if (good && strcmp(out_bind, "localhost") == 0)
		str_copy(out_bind, capacity, "127.0.0.1");
	if (!good || (bracketed ? !is_ipv6(out_bind) : inet_pton(AF_INET, out_bind, &address) != 1))
		return diag_set(diag, STATUS_USAGE,
				_("%s %s: the address to listen on is not a numeric address such as 127.0.0.1, [::1], or 0.0.0.0 "
				"for every network"), option, text);
	return STATUS_OK;
}

int forward_parse(const char *text, struct forward *out_forward, struct diag *diag)
{
	struct parts parts;
	if (!cut(text, &parts))
		return diag_set(diag, STATUS_USAGE, _("-L %s: the brackets do not fit; expected %s"), text, FORWARD_FORM);
	if (parts.count > 4)
		return diag_set(diag, STATUS_USAGE,
				_("-L %s: too many parts (an IPv6 address stands in brackets); expected %s"), text,
				FORWARD_FORM);
	if (parts.count < 3)
		return diag_set(diag, STATUS_USAGE, _("-L %s: a part is missing; expected %s"), text, FORWARD_FORM);
	struct forward forward = {.kind = FORWARD_FIXED, .bind = "127.0.0.1"};
	size_t at = parts.count - 3;
	int status = at == 0 ? STATUS_OK
			     : take_bind("-L", text, parts.part[0], parts.bracketed[0], forward.bind, sizeof(forward.bind), diag);
	if (status == STATUS_OK)
		status = take_port("-L", text, PORT_LOCAL, parts.part[at], &forward.port, diag);
	if (status == STATUS_OK)
		status = take_host("-L", text, parts.part[at + 1], parts.bracketed[at + 1], &forward.destination, diag);
	if (status == STATUS_OK)
		status = take_port("-L", text, PORT_REMOTE, parts.part[at + 2], &forward.destination.port, diag);
	if (status == STATUS_OK)
		*out_forward = forward;
	return status;
}

static int parse_open(enum forward_kind kind, const char *text, struct forward *out_forward, struct diag *diag)
{
	const char *option = kind == FORWARD_SOCKS ? "-D" : "http-proxy";
	struct parts parts;
	struct forward forward = {.kind = kind, .bind = "127.0.0.1"};
	if (!cut(text, &parts) || parts.count > 2)
		return diag_set(diag, STATUS_USAGE, _("%s %s: expected [BIND:]PORT, for example 1080 or [::1]:1080"), option, text);
	int status = parts.count == 1 ? STATUS_OK
				      : take_bind(option, text, parts.part[0], parts.bracketed[0], forward.bind,
						  sizeof(forward.bind), diag);
	if (status == STATUS_OK)
		status = take_port(option, text, PORT_LOCAL, parts.part[parts.count - 1], &forward.port, diag);
	if (status == STATUS_OK)
		*out_forward = forward;
	return status;
}

int forward_parse_kind(enum forward_kind kind, const char *text, struct forward *out_forward, struct diag *diag)
{
	return kind == FORWARD_FIXED ? forward_parse(text, out_forward, diag) : parse_open(kind, text, out_forward, diag);
}

bool destination_equal(const struct destination *a, const struct destination *b)
{
	return a->port == b->port && strcasecmp(a->host, b->host) == 0;
}

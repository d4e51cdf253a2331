/* target.c: one spelling for each target. Pure; what may be reached is policy.c's matter. */
#include "target.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

void target_unmap(struct sockaddr_storage *address)
{
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)address;
	if (address->ss_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&six->sin6_addr))
		return;
	struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = six->sin6_port};
	memcpy(&four.sin_addr, six->sin6_addr.s6_addr + 12, sizeof(four.sin_addr));
	memset(address, 0, sizeof(*address));
	memcpy(address, &four, sizeof(four));
}

void target_address_text(const struct sockaddr *address, char *out_text, size_t capacity)
{
	struct sockaddr_storage copy = {0};
	memcpy(&copy, address, address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in));
	target_unmap(&copy);
	const void *bytes = copy.ss_family == AF_INET6 ? (const void *)&((struct sockaddr_in6 *)&copy)->sin6_addr
						       : (const void *)&((struct sockaddr_in *)&copy)->sin_addr;
	if (!inet_ntop(copy.ss_family, bytes, out_text, (socklen_t)capacity))
		out_text[0] = 0;
}

static void take_address(struct target *target)
{
	target->is_address = true;
	target_unmap(&target->address);
	target_address_text((struct sockaddr *)&target->address, target->host, sizeof(target->host));
}

static bool take_ipv6(struct target *target)
{
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)&target->address;
	if (inet_pton(AF_INET6, target->host, &six->sin6_addr) != 1)
		return false;
	six->sin6_family = AF_INET6;
	six->sin6_port = htons(target->port);
	take_address(target);
	return true;
}

/* inet_aton takes what resolvers and browsers take: "2130706433", "0x7f.1", "017700000001", "127.1". It
 * would also take anything after a space, which check_characters has excluded. */
static bool take_ipv4(struct target *target)
{
	struct sockaddr_in *four = (struct sockaddr_in *)&target->address;
	if (inet_aton(target->host, &four->sin_addr) == 0)
		return false;
	four->sin_family = AF_INET;
	four->sin_port = htons(target->port);
	take_address(target);
	return true;
}

static int check_characters(const char *host, struct diag *diag)
{
	for (const unsigned char *at = (const unsigned char *)host; *at; at++) {
		if (*at >= 0x80)
			return diag_set(diag, ERR_BAD_INPUT, "the host has characters outside ASCII; write its xn-- form");
		bool name = (*at >= 'a' && *at <= 'z') || (*at >= '0' && *at <= '9') || *at == '-' || *at == '_' ||
			    *at == '.' || *at == ':';
		if (!name)
			return diag_set(diag, ERR_BAD_INPUT, "the host has a character that no name or address has (0x%02x)", *at);
	}
	return 0;
}

/* RFC 1035 2.3.4: labels of 1 to 63 characters. */
static int check_labels(const char *host, struct diag *diag)
{
	for (const char *label = host;;) {
		size_t length = strcspn(label, ".");
		if (length == 0 || length > 63 || label[0] == '-' || label[length - 1] == '-')
			return diag_set(diag, ERR_BAD_INPUT, "\"%s\" is no host name", host);
		if (!label[length])
			break;
		label += length + 1;
	}
	/* What looks like a number at its end but is no address could be one to somebody else (WHATWG URL). */
	const char *last = strrchr(host, '.');
	last = last ? last + 1 : host;
	bool numeric = last[strspn(last, "0123456789")] == 0 ||
		       (last[0] == '0' && last[1] == 'x' && last[2 + strspn(last + 2, "0123456789abcdef")] == 0);
	return numeric ? diag_set(diag, ERR_BAD_INPUT, "\"%s\" is neither a name nor an address", host) : 0;
}

static int copy_host(struct view host, struct target *target, struct diag *diag)
{
	bool bracketed = host.size >= 2 && host.data[0] == '[' && host.data[host.size - 1] == ']';
	if (bracketed)
		host = view_of(host.data + 1, host.size - 2);
	else if (host.size && host.data[host.size - 1] == '.')
		host.size--;
	if (host.size == 0)
		return diag_set(diag, ERR_BAD_INPUT, "the host is empty");
	if (view_to_string(host, target->host, sizeof(target->host)) < 0)
		return diag_set(diag, ERR_BAD_INPUT, "the host is longer than %d characters or holds a NUL", TARGET_HOST_MAX);
	for (char *at = target->host; *at; at++)
		if (*at >= 'A' && *at <= 'Z')
			*at = (char)(*at - 'A' + 'a');
	return bracketed && !strchr(target->host, ':')
		       ? diag_set(diag, ERR_BAD_INPUT, "only an IPv6 address stands in brackets")
		       : 0;
}

int target_parse(struct view host, uint32_t port, struct target *out_target, struct diag *diag)
{
	struct target target = {.port = (uint16_t)port};
	if (port == 0 || port > 65535)
		return diag_set(diag, ERR_BAD_INPUT, "the port must lie between 1 and 65535");
	int result = copy_host(host, &target, diag);
	if (result == 0)
		result = check_characters(target.host, diag);
	if (result < 0)
		return result;
	if (strchr(target.host, ':')) {
		if (!take_ipv6(&target))
			return diag_set(diag, ERR_BAD_INPUT, "\"%s\" is no IPv6 address", target.host);
	} else if (!take_ipv4(&target)) {
		result = check_labels(target.host, diag);
	}
	if (result == 0)
		*out_target = target;
	return result;
}

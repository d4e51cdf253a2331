/* policy_address.c: addresses as a policy writes them: names, wildcards, literal addresses, networks, ports. Pure. */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "policy_form.h"
#include "sallyport/str.h"

static const uint8_t *bytes_of(const struct sockaddr_storage *address)
{
	return address->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)address)->sin6_addr.s6_addr
					      : (const uint8_t *)&((const struct sockaddr_in *)address)->sin_addr;
}

void policy_network_key(const struct sockaddr_storage *address, unsigned prefix, struct policy_network_key *out_key)
{
	bool six = address->ss_family == AF_INET6;
	*out_key = (struct policy_network_key){.family = six ? 6 : 4, .prefix = (uint8_t)prefix};
	memcpy(out_key->bits, bytes_of(address), (prefix + 7) / 8);
	if (prefix % 8)
		out_key->bits[prefix / 8] &= (uint8_t)(0xff00 >> (prefix % 8));
}

bool policy_in_network(const struct sockaddr_storage *network, unsigned prefix, const struct sockaddr_storage *address)
{
	struct policy_network_key a, b;
	if (network->ss_family != address->ss_family)
		return false;
	policy_network_key(network, prefix, &a);
	policy_network_key(address, prefix, &b);
	return memcmp(&a, &b, sizeof(a)) == 0;
}

static int parse_ports(struct view text, struct policy_entry *entry)
{
	const uint8_t *dash = text.size ? memchr(text.data, '-', text.size) : NULL;
	struct view first = dash ? view_of(text.data, (size_t)(dash - text.data)) : text;
	struct view last = dash ? view_of(dash + 1, (size_t)(text.data + text.size - dash - 1)) : text;
	uint64_t low = 0, high = 0;
	if (str_to_u64(first, 1, 65535, &low) < 0 || str_to_u64(last, low, 65535, &high) < 0)
		return ERR_BAD_INPUT;
	entry->first_port = (uint16_t)low;
	entry->last_port = (uint16_t)high;
	return 0;
}

int policy_network_parse(struct view text, struct policy_network *out_network, struct diag *diag)
{
	struct target target;
	uint64_t prefix = 0;
	const uint8_t *slash = text.size ? memchr(text.data, '/', text.size) : NULL;
	struct view base = slash ? view_of(text.data, (size_t)(slash - text.data)) : text;
	if (target_parse(base, 1, &target, diag) < 0)
		return ERR_BAD_INPUT;
	unsigned bits = target.address.ss_family == AF_INET6 ? 128 : 32;
	struct view length = slash ? view_of(slash + 1, (size_t)(text.data + text.size - slash - 1)) : view_string("");
	if (!target.is_address || (slash && str_to_u64(length, 0, bits, &prefix) < 0))
		return diag_set(diag, ERR_BAD_INPUT, "a network is written ADDRESS/BITS");
	*out_network = (struct policy_network){.address = target.address, .prefix = slash ? (unsigned)prefix : bits};
	return 0;
}

static int parse_host(struct view host, struct policy_entry *entry, struct diag *diag)
{
	struct target target;
	struct policy_network network;
	if (host.size && memchr(host.data, '/', host.size)) {
		if (policy_network_parse(host, &network, diag) < 0)
			return ERR_BAD_INPUT;
		entry->kind = POLICY_NETWORK;
		entry->address = network.address;
		entry->prefix = network.prefix;
		policy_network_key(&entry->address, entry->prefix, &entry->key);
		return 0;
	}
	bool wildcard = host.size > 2 && host.data[0] == '*' && host.data[1] == '.';
	struct view plain = wildcard ? view_of(host.data + 2, host.size - 2) : host;
	if (target_parse(plain, entry->first_port, &target, diag) < 0)
		return ERR_BAD_INPUT;
	if (wildcard && (target.is_address || !strchr(target.host, '.')))
		return diag_set(diag, ERR_BAD_INPUT, "a wildcard needs a zone of at least two labels, such as *.corp.example");
	entry->kind = wildcard ? POLICY_SUFFIX : target.is_address ? POLICY_ADDRESS : POLICY_NAME;
	entry->address = target.address;
	snprintf(entry->host, sizeof(entry->host), "%s%s", wildcard ? "." : "", target.host);
	return 0;
}

/* The last address of a network. */
static void go_to_end(const struct policy_entry *entry, struct sockaddr_storage *address)
{
	uint8_t *bytes = (uint8_t *)(uintptr_t)bytes_of(address);
	unsigned size = address->ss_family == AF_INET6 ? 16 : 4;
	for (unsigned bit = entry->prefix; bit < 8 * size; bit++)
		bytes[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
}

bool policy_next_sample(const struct policy_resource *resource, size_t *position, struct target *out_target)
{
	if (*position >= 2 * resource->entry_count)
		return false;
	const struct policy_entry *entry = &resource->entries[*position / 2];
	bool is_last = *position % 2;
	uint16_t port = is_last ? entry->last_port : entry->first_port;
	char host[TARGET_HOST_MAX + 16];
	struct sockaddr_storage address = entry->address;
	if (entry->kind == POLICY_NETWORK && is_last)
		go_to_end(entry, &address);
	if (entry->kind == POLICY_NETWORK)
		target_address_text((const struct sockaddr *)&address, host, sizeof(host));
	else
		snprintf(host, sizeof(host), "%s%s", entry->kind == POLICY_SUFFIX ? "any" : "", entry->host);
	++*position;
	/* A wildcard so long that no host fits below it stands for nothing. */
	if (target_parse(view_string(host), port, out_target, NULL) < 0)
		return policy_next_sample(resource, position, out_target);
	return true;
}

int policy_entry_parse(const char *text, struct policy_entry *entry, struct diag *diag)
{
	const char *colon = strrchr(text, ':');
	if (!colon || colon == text || parse_ports(view_string(colon + 1), entry) < 0)
		return diag_set(diag, ERR_BAD_INPUT, "it must end in a port or a range of ports, such as db1:5432 or db1:5432-5440");
	struct view host = view_of(text, (size_t)(colon - text));
	if (host.data[0] == '[') {
		const uint8_t *end = memchr(host.data, ']', host.size);
		if (!end || end != host.data + host.size - 1)
			return diag_set(diag, ERR_BAD_INPUT, "the bracket of an IPv6 address or network is not closed");
		/* A network stands inside the brackets: [2001:db8::/32]:443 */
		if (memchr(host.data, '/', host.size))
			host = view_of(host.data + 1, host.size - 2);
	} else if (memchr(host.data, ':', host.size)) {
		return diag_set(diag, ERR_BAD_INPUT, "an IPv6 address stands in brackets");
	}
	return parse_host(host, entry, diag);
}

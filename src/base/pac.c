/* pac.c: resources into tables, and the script that looks a URL up in them.
 *
 * Four tables of rows [first port, last port, ...]: names; zones (".corp.example": any name below it); networks of IPv4 and of
 * IPv6, with single addresses as the smallest ones. The script is old JavaScript: what evaluates it may be old as well. It
 * compares addresses only with hosts that are written as addresses: isInNet would look names up.
 */
#include "sallyport/pac.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "sallyport/own.h"
#include "sallyport/str.h"

enum { ADDRESS_MAX = 320, NAME_MAX_BYTES = 253 };

void pac_init(struct pac *pac)
{
	*pac = (struct pac){.names = BUF_INIT(PAC_BYTES_MAX), .zones = BUF_INIT(PAC_BYTES_MAX),
			    .networks4 = BUF_INIT(PAC_BYTES_MAX), .networks6 = BUF_INIT(PAC_BYTES_MAX)};
}

void pac_fini(struct pac *pac)
{
	buf_fini(&pac->names);
	buf_fini(&pac->zones);
	buf_fini(&pac->networks4);
	buf_fini(&pac->networks6);
}

/* ---- one address ---- */

enum place_kind { PLACE_NAME, PLACE_ZONE, PLACE_NETWORK };

struct place {
	enum place_kind kind;
	char name[NAME_MAX_BYTES + 2]; /* lower case; a zone begins with its dot */
	bool is_ipv6;
	uint8_t network[16];
	unsigned prefix; /* bits */
	unsigned first_port, last_port;
};

/* Lower-case letters, digits, ".", "-", "_": no more than that gets into the script. */
static bool take_name(const char *text, char *out_name)
{
	size_t length = strlen(text);
	if (length && text[length - 1] == '.')
		length--;
	if (!length || length > NAME_MAX_BYTES || text[0] == '.' || text[0] == '-')
		return false;
	for (size_t i = 0; i < length; i++) {
		char one = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] - 'A' + 'a') : text[i];
		if (!(one >= 'a' && one <= 'z') && !(one >= '0' && one <= '9') && one != '.' && one != '-' && one != '_')
			return false;
		out_name[i] = one;
	}
	out_name[length] = 0;
	return true;
}

/* As the gateway reads addresses: every spelling of inet_aton(3), IPv4-mapped IPv6 as IPv4. */
static bool take_address(const char *text, struct place *place)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	if (!strchr(text, ':')) {
		place->is_ipv6 = false;
		/* What stands behind a space does not disturb inet_aton. */
		bool is_number = text[strspn(text, "0123456789abcdefABCDEFxX.")] == 0;
		return is_number && inet_aton(text, (struct in_addr *)(void *)place->network) != 0;
	}
	if (inet_pton(AF_INET6, text, place->network) != 1)
		return false;
	place->is_ipv6 = memcmp(place->network, mapped, sizeof(mapped)) != 0;
	if (!place->is_ipv6)
		memmove(place->network, place->network + sizeof(mapped), 4);
	return true;
}

/* "10.20.0.0/24"; without "/" a single address. Bits behind the prefix do not count, and become 0. */
static bool take_network(char *text, struct place *place)
{
	uint64_t prefix = 0;
	char *slash = strchr(text, '/');
	if (slash)
		*slash = 0;
	if (!take_address(text, place))
		return false;
	unsigned bits = place->is_ipv6 ? 128 : 32;
	if (slash && str_to_u64(view_string(slash + 1), 0, bits, &prefix) < 0)
		return false;
	place->kind = PLACE_NETWORK;
	place->prefix = slash ? (unsigned)prefix : bits;
	for (unsigned bit = place->prefix; bit < bits; bit++)
		place->network[bit / 8] &= (uint8_t)~(0x80 >> bit % 8);
	return true;
}

static bool take_zone(const char *text, struct place *place)
{
	place->kind = PLACE_ZONE;
	place->name[0] = '.';
	/* Nobody's policy has a zone of one label, and it would take half of the world's names. */
	return take_name(text, place->name + 1) && strchr(place->name + 1, '.');
}

static bool take_host(char *text, struct place *place)
{
	size_t length = strlen(text);
	if (strncmp(text, "*.", 2) == 0)
		return take_zone(text + 2, place);
	if (text[0] == '[') {
		if (text[length - 1] != ']')
			return false;
		text[length - 1] = 0;
		return strchr(text, ':') && take_network(text + 1, place);
	}
	if (strchr(text, '/'))
		return take_network(text, place);
	if (take_network(text, place))
		return true;
	place->kind = PLACE_NAME;
	return take_name(text, place->name);
}

/* "443" and "5432-5440" */
static bool take_ports(struct view text, struct place *place)
{
	uint64_t first = 0, last = 0;
	const uint8_t *dash = text.size ? memchr(text.data, '-', text.size) : NULL;
	struct view begin = dash ? view_of(text.data, (size_t)(dash - text.data)) : text;
	struct view end = dash ? view_of(dash + 1, text.size - begin.size - 1) : text;
	if (str_to_u64(begin, 1, 65535, &first) < 0 || str_to_u64(end, first, 65535, &last) < 0)
		return false;
	place->first_port = (unsigned)first;
	place->last_port = (unsigned)last;
	return true;
}

static bool take_place(struct view address, struct place *place)
{
	char text[ADDRESS_MAX];
	if (view_to_string(address, text, sizeof(text)) < 0)
		return false;
	char *colon = strrchr(text, ':');
	if (!colon || colon == text || !take_ports(view_string(colon + 1), place))
		return false;
	*colon = 0;
	return take_host(text, place);
}

/* ---- rows ---- */

static int add_network(struct pac *pac, const struct place *place)
{
	if (place->is_ipv6) {
		int result = buf_add_format(&pac->networks6, "\t[%u, %u, %u, [", place->first_port, place->last_port, place->prefix);
		for (unsigned i = 0; result == 0 && i < 16; i += 2)
			result = buf_add_format(&pac->networks6, "%s%u", i ? ", " : "", place->network[i] << 8 | place->network[i + 1]);
		return result < 0 ? result : buf_add_string(&pac->networks6, "]],\n");
	}
	char network[INET_ADDRSTRLEN], mask[INET_ADDRSTRLEN];
	struct in_addr bits = {.s_addr = place->prefix ? htonl(UINT32_MAX << (32 - place->prefix)) : 0};
	inet_ntop(AF_INET, place->network, network, sizeof(network));
	inet_ntop(AF_INET, &bits, mask, sizeof(mask));
	return buf_add_format(&pac->networks4, "\t[%u, %u, \"%s\", \"%s\"],\n", place->first_port, place->last_port, network, mask);
}

static int add_place(struct pac *pac, const struct place *place)
{
	if (place->kind == PLACE_NETWORK)
		return add_network(pac, place);
	return buf_add_format(place->kind == PLACE_ZONE ? &pac->zones : &pac->names, "\t[%u, %u, \"%s\"],\n", place->first_port,
			      place->last_port, place->name);
}

/* A resource's name leads where its one host is. One that a browser would take for an address leads nowhere. */
static bool take_alias(struct view name, const struct place *only, struct place *out_place)
{
	char text[NAME_MAX_BYTES + 1];
	struct place ignored = {.prefix = 0};
	*out_place = (struct place){.kind = PLACE_NAME, .first_port = only->first_port, .last_port = only->last_port};
	bool is_one_host = only->kind == PLACE_NAME || (only->kind == PLACE_NETWORK && only->prefix == (only->is_ipv6 ? 128 : 32));
	/* The gateway compares it as it is written, and browsers write lower case without a dot at the end. */
	return is_one_host && view_to_string(name, text, sizeof(text)) == 0 && take_name(text, out_place->name) &&
	       strcmp(text, out_place->name) == 0 && !take_address(text, &ignored);
}

static bool is_between(uint8_t byte)
{
	return byte == ',' || byte == ' ' || byte == '\n';
}

/* The next word; false after the last. */
static bool next_address(struct view *rest, struct view *out_address)
{
	while (rest->size && is_between(rest->data[0]))
		*rest = view_of(rest->data + 1, rest->size - 1);
	size_t length = 0;
	while (length < rest->size && !is_between(rest->data[length]))
		length++;
	*out_address = view_of(rest->data, length);
	*rest = length ? view_of(rest->data + length, rest->size - length) : *rest;
	return length > 0;
}

int pac_add(struct pac *pac, struct view name, struct view addresses)
{
	struct place place = {.prefix = 0}, alias;
	struct view address;
	unsigned words = 0, places = 0;
	int result = 0;
	while (result == 0 && next_address(&addresses, &address)) {
		words++;
		if (!take_place(address, &place))
			continue;
		places++;
		result = add_place(pac, &place);
	}
	if (result == 0 && words == 1 && places == 1 && take_alias(name, &place, &alias))
		result = add_place(pac, &alias);
	return result;
}

/* ---- the script ---- */

static const char script[] =
	"\n"
	"function portOf(url) {\n"
	"\tvar parts = /^([a-z]+):\\/\\/(?:[^\\/?#]*@)?(?:\\[[^\\]]*\\]|[^:\\/?#]*)(?::([0-9]+))?/i.exec(url);\n"
	"\tif (!parts)\n"
	"\t\treturn 0;\n"
	"\tif (parts[2])\n"
	"\t\treturn Number(parts[2]);\n"
	"\treturn /^(http|ws)$/i.test(parts[1]) ? 80 : /^(https|wss)$/i.test(parts[1]) ? 443 : 0;\n"
	"}\n"
	"\n"
	"// \"2001:db8::1\" as eight numbers.\n"
	"function groupsOf(host) {\n"
	"\tvar halves = host.split(\"::\");\n"
	"\tvar groups = halves[0] ? halves[0].split(\":\") : [], end = halves[1] ? halves[1].split(\":\") : [], i;\n"
	"\tfor (i = groups.length + end.length; halves.length == 2 && i < 8; i++)\n"
	"\t\tgroups.push(\"0\");\n"
	"\tgroups = groups.concat(end);\n"
	"\tfor (i = 0; i < groups.length; i++)\n"
	"\t\tgroups[i] = parseInt(groups[i], 16);\n"
	"\treturn groups;\n"
	"}\n"
	"\n"
	"function isInNetwork6(groups, bits, network) {\n"
	"\tif (groups.length != 8)\n"
	"\t\treturn false;\n"
	"\tfor (var i = 0; bits > 0; i++, bits -= 16)\n"
	"\t\tif ((groups[i] & (bits >= 16 ? 65535 : 65535 << (16 - bits))) != network[i])\n"
	"\t\t\treturn false;\n"
	"\treturn true;\n"
	"}\n"
	"\n"
	"function isAmong(table, port, fits) {\n"
	"\tfor (var i = 0; i < table.length; i++)\n"
	"\t\tif (port >= table[i][0] && port <= table[i][1] && fits(table[i]))\n"
	"\t\t\treturn true;\n"
	"\treturn false;\n"
	"}\n"
	"\n"
	"function isInside(host, port) {\n"
	"\tif (/^[0-9]+(\\.[0-9]+){3}$/.test(host))\n"
	"\t\treturn isAmong(networks4, port, function (row) { return isInNet(host, row[2], row[3]); });\n"
	"\tif (host.indexOf(\":\") >= 0) {\n"
	"\t\tvar groups = groupsOf(host);\n"
	"\t\treturn isAmong(networks6, port, function (row) { return isInNetwork6(groups, row[2], row[3]); });\n"
	"\t}\n"
	"\tif (isAmong(names, port, function (row) { return host == row[2]; }))\n"
	"\t\treturn true;\n"
	"\treturn isAmong(zones, port, function (row) {\n"
	"\t\treturn host.length > row[2].length && host.substring(host.length - row[2].length) == row[2];\n"
	"\t});\n"
	"}\n"
	"\n"
	"function FindProxyForURL(url, host) {\n"
	"\tvar port = portOf(url);\n"
	"\thost = host.toLowerCase().replace(/^\\[|\\]$|\\.$/g, \"\");\n"
	"\tif (host == proxyHost && port == proxyPort)\n"
	"\t\treturn \"DIRECT\";\n"
	"\treturn isInside(host, port) ? proxy : \"DIRECT\";\n"
	"}\n";

/* The proxy's host as browsers write it in `host`: without brackets. */
static bool spell_proxy(const char *host, char *out_host, size_t capacity)
{
	char text[ADDRESS_MAX];
	struct place place = {.prefix = 0};
	bool fits = str_copy(text, sizeof(text), host) && *text && take_host(text, &place);
	if (fits && place.kind == PLACE_NAME)
		return str_copy(out_host, capacity, place.name);
	return fits && place.kind == PLACE_NETWORK && place.prefix == (place.is_ipv6 ? 128 : 32) &&
	       inet_ntop(place.is_ipv6 ? AF_INET6 : AF_INET, place.network, out_host, (socklen_t)capacity);
}

static int write_tables(const struct pac *pac, struct buf *out_text)
{
	const struct {
		const char *name;
		const struct buf *rows;
	} tables[] = {{"names", &pac->names}, {"zones", &pac->zones}, {"networks4", &pac->networks4}, {"networks6", &pac->networks6}};
	int result = 0;
	for (size_t i = 0; result == 0 && i < sizeof(tables) / sizeof(tables[0]); i++) {
		/* Without the comma behind the last row, which would be a row of its own to some. */
		size_t size = tables[i].rows->size ? tables[i].rows->size - 2 : 0;
		result = buf_add_format(out_text, "var %s = [%s%.*s%s];\n", tables[i].name, size ? "\n" : "", (int)size,
					size ? (const char *)tables[i].rows->data : "", size ? "\n" : "");
	}
	return result;
}

int pac_write(const struct pac *pac, const struct pac_proxy *proxy, struct buf *out_text)
{
	char host[NAME_MAX_BYTES + 1];
	if (!spell_proxy(proxy->host, host, sizeof(host)))
		return ERR_BAD_INPUT;
	bool six = strchr(host, ':');
	int result = buf_add_format(out_text, "var proxyHost = \"%s\", proxyPort = %u;\nvar proxy = \"%s %s%s%s:%u\";\n"
					      "// First port, last port, and what they belong to.\n",
				    host, proxy->port, proxy->is_tls ? "HTTPS" : "PROXY", six ? "[" : "", host, six ? "]" : "", proxy->port);
	if (result == 0)
		result = write_tables(pac, out_text);
	return result < 0 ? result : buf_add_string(out_text, script);
}

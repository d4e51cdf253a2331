/* reach.c: what the user may reach, for other programs. */
#include "reach.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "sallyport/own.h"
#include "sallyport/str.h"

/* A network of IPv4 is at most 128 patterns of 16 bytes. */
enum { HOST_MAX = 4096 };

int reach_ask_text(const struct settings *settings, struct buf *out_body, struct diag *diag)
{
	OWN_CLIENT struct client client = {.agent.socket = -1};
	int status = client_init(&client, settings, diag);
	if (status == STATUS_OK)
		status = client_look_for_session(&client, diag);
	if (status == STATUS_OK)
		status = client_attach(&client, diag);
	if (status == STATUS_OK)
		status = client_ask(&client, "GET", "/v1/resources", out_body, NULL, diag);
	return status;
}

int reach_ask(const struct settings *settings, struct answer_resources *out_resources, struct diag *diag)
{
	OWN_BUF struct buf body = BUF_INIT(REACH_BYTES_MAX);
	int status = reach_ask_text(settings, &body, diag);
	return status == STATUS_OK ? answer_parse_resources(buf_view(&body), out_resources, diag) : status;
}

/* "10.20.0.0/23" as people's programs write it: "10.20.0.*,10.20.1.*". Networks of IPv6 have no such form. */
static bool expand(char *host, size_t capacity)
{
	char *slash = strchr(host, '/'), text[HOST_MAX] = "";
	uint64_t length = 0;
	uint8_t octets[4];
	if (!slash)
		return false;
	*slash = 0;
	if (str_to_u64(view_string(slash + 1), 1, 32, &length) < 0 || inet_pton(AF_INET, host, octets) != 1)
		return false;
	unsigned last = (unsigned)(length - 1) / 8, count = 1U << ((last + 1) * 8 - length), used = 0;
	octets[last] &= (uint8_t)~(count - 1);
	for (unsigned i = 0; i < count; i++) {
		used += (unsigned)snprintf(text + used, sizeof(text) - used, "%s", i ? "," : "");
		for (unsigned o = 0; o <= last; o++)
			used += (unsigned)snprintf(text + used, sizeof(text) - used, "%s%u", o ? "." : "", octets[o] + (o == last ? i : 0));
		used += (unsigned)snprintf(text + used, sizeof(text) - used, "%s", last < 3 ? ".*" : "");
	}
	return str_copy(host, capacity, text);
}

static bool is_plain(const char *text, const char *marks)
{
	for (const char *at = text; *at; at++)
		if (!isascii((unsigned char)*at) || (!isalnum((unsigned char)*at) && !strchr(marks, *at)))
			return false;
	return *text && *text != '-';
}

bool reach_is_name(const char *text)
{
	return is_plain(text, ".-_");
}

/* Of patterns only "*.ZONE": "*" alone would lead all that the user reaches through the gateway. */
static bool is_host(const char *text)
{
	return is_plain(strncmp(text, "*.", 2) == 0 ? text + 2 : text, ".-_:");
}

/* "22" and "5432-5440" */
static bool take_ports(const char *text, struct reach_place *place)
{
	uint64_t first = 0, last = 0;
	const char *dash = strchr(text, '-');
	struct view begin = dash ? view_of(text, (size_t)(dash - text)) : view_string(text);
	if (str_to_u64(begin, 1, 65535, &first) < 0 || str_to_u64(dash ? view_string(dash + 1) : begin, first, 65535, &last) < 0)
		return false;
	place->first_port = (unsigned)first;
	place->last_port = (unsigned)last;
	return true;
}

/* "host:22", "[::1]:22", "*.corp.example:443", "10.0.0.0/8:1-65535" */
static int take_address(const struct answer_resource *resource, const char *address, size_t length, reach_handler handler,
			void *context)
{
	char text[HOST_MAX];
	struct reach_place place = {.resource = resource, .host = text};
	if (length >= sizeof(text))
		return 0;
	snprintf(text, sizeof(text), "%.*s", (int)length, address);
	char *port = strrchr(text, ':');
	if (!port || !take_ports(port + 1, &place))
		return 0;
	*port = 0;
	bool is_network = strchr(text, '/');
	if (text[0] == '[') {
		memmove(text, text + 1, strlen(text));
		text[strcspn(text, "]")] = 0;
	}
	place.is_pattern = is_network || strchr(text, '*');
	if (is_network ? !expand(text, sizeof(text)) : !is_host(text))
		return 0;
	if (!place.is_pattern && !strchr(resource->addresses, ',') && reach_is_name(resource->name))
		place.alias = resource->name;
	return handler(&place, context);
}

int reach_each(const struct answer_resources *resources, reach_handler handler, void *context)
{
	int result = 0;
	for (size_t i = 0; i < resources->count && result == 0; i++) {
		const char *at = resources->item[i].addresses;
		while (*at && result == 0) {
			size_t length = strcspn(at, ", ");
			result = take_address(&resources->item[i], at, length, handler, context);
			at += length;
			at += strspn(at, ", ");
		}
	}
	return result;
}

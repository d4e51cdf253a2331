/* socks.c: what a SOCKS5 client says before its bytes begin. */
#include "socks.h"

#include <arpa/inet.h>
#include <string.h>

enum { VERSION = 5, NO_PASSWORD = 0, CONNECT = 1, IPV4 = 1, NAME = 3, IPV6 = 4, HEAD_BYTES = 4 };

void socks_init(struct socks *socks)
{
	*socks = (struct socks){.wanted = 2};
}

struct view socks_method_reply(void)
{
	static const uint8_t reply[] = {VERSION, NO_PASSWORD};
	return view_of(reply, sizeof(reply));
}

void socks_reply(enum socks_code code, uint8_t out_reply[SOCKS_REPLY_BYTES])
{
	const uint8_t reply[SOCKS_REPLY_BYTES] = {VERSION, (uint8_t)code, 0, IPV4};
	memcpy(out_reply, reply, sizeof(reply));
}

static enum socks_step refuse(const uint8_t *reply, size_t size, struct view *out_reply)
{
	*out_reply = view_of(reply, size);
	return SOCKS_REFUSED;
}

/* VERSION, number of methods, methods */
static enum socks_step take_methods(struct socks *socks, struct view *out_reply)
{
	static const uint8_t none_acceptable[] = {VERSION, 0xff};
	socks->wanted = 2 + (size_t)socks->bytes[1];
	if (socks->bytes[0] != VERSION)
		return refuse(NULL, 0, out_reply);
	if (socks->size < socks->wanted)
		return SOCKS_MORE;
	if (!memchr(socks->bytes + 2, NO_PASSWORD, socks->bytes[1]))
		return refuse(none_acceptable, sizeof(none_acceptable), out_reply);
	*socks = (struct socks){.greeted = true, .wanted = HEAD_BYTES + 1};
	return SOCKS_WELCOMED;
}

static size_t address_bytes(const struct socks *socks)
{
	switch (socks->bytes[3]) {
	case IPV4:
		return 4;
	case IPV6:
		return 16;
	case NAME:
		return 1 + (size_t)socks->bytes[HEAD_BYTES];
	default:
		return 0;
	}
}

static bool take_address(const struct socks *socks, struct destination *out_destination)
{
	const uint8_t *address = socks->bytes + HEAD_BYTES;
	char *host = out_destination->host;
	if (socks->bytes[3] == IPV4)
		return inet_ntop(AF_INET, address, host, DESTINATION_HOST_MAX);
	if (socks->bytes[3] == IPV6)
		return inet_ntop(AF_INET6, address, host, DESTINATION_HOST_MAX);
	return view_to_string(view_of(address + 1, address[0]), host, DESTINATION_HOST_MAX + 1) == 0 &&
	       destination_host_is_plain(host);
}

/* VERSION, command, 0, kind of address, address, port */
static enum socks_step take_request(struct socks *socks, struct destination *out_destination, struct view *out_reply)
{
	static const uint8_t bad_command[SOCKS_REPLY_BYTES] = {VERSION, 7, 0, IPV4};
	static const uint8_t bad_address[SOCKS_REPLY_BYTES] = {VERSION, 8, 0, IPV4};
	if (socks->bytes[0] != VERSION)
		return refuse(NULL, 0, out_reply);
	if (socks->bytes[1] != CONNECT)
		return refuse(bad_command, sizeof(bad_command), out_reply);
	size_t length = address_bytes(socks);
	if (!length)
		return refuse(bad_address, sizeof(bad_address), out_reply);
	socks->wanted = HEAD_BYTES + length + 2;
	if (socks->size < socks->wanted)
		return SOCKS_MORE;
	struct destination destination = {
		.port = (uint16_t)(socks->bytes[socks->wanted - 2] << 8 | socks->bytes[socks->wanted - 1])};
	if (!destination.port || !take_address(socks, &destination))
		return refuse(bad_address, sizeof(bad_address), out_reply);
	*out_destination = destination;
	return SOCKS_DESTINATION;
}

enum socks_step socks_next(struct socks *socks, struct destination *out_destination, struct view *out_reply)
{
	return socks->greeted ? take_request(socks, out_destination, out_reply) : take_methods(socks, out_reply);
}

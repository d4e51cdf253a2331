/* greeting.c: fuzz target: what a client of the local ports says. The first byte chooses SOCKS or HTTP. What leads
 * somewhere leads to a host that may stand in a request. */
#include <string.h>

#include "fuzz.h"
#include "../../src/client/proxy_head.h"
#include "../../src/client/socks.h"

static void try_socks(const uint8_t *data, size_t size)
{
	struct socks socks;
	struct destination destination;
	struct view reply;
	enum socks_step step = SOCKS_MORE;
	socks_init(&socks);
	for (size_t at = 0; at < size && (step == SOCKS_MORE || step == SOCKS_WELCOMED); at++) {
		MUST(socks.size < socks.wanted && socks.wanted <= SOCKS_BYTES_MAX);
		socks.bytes[socks.size++] = data[at];
		if (socks.size == socks.wanted)
			step = socks_next(&socks, &destination, &reply);
	}
	if (step == SOCKS_DESTINATION)
		MUST(destination.port && destination_host_is_plain(destination.host));
}

static void try_head(const uint8_t *data, size_t size)
{
	OWN_BUF struct buf head = BUF_INIT(PROXY_HEAD_BYTES_MAX + 1024);
	struct destination destination;
	bool is_connect = false;
	size_t whole = proxy_head_size(view_of(data, size));
	if (!whole || proxy_head_parse(view_of(data, whole), &destination, &is_connect, &head) < 0)
		return;
	MUST(destination.port && destination_host_is_plain(destination.host));
	MUST(is_connect == (head.size == 0) && (is_connect || proxy_head_size(buf_view(&head)) == head.size));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size && data[0] & 1)
		try_socks(data + 1, size - 1);
	else if (size)
		try_head(data + 1, size - 1);
	return 0;
}

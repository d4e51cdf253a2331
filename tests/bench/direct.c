/* direct.c: one connection, one tunnel; with SOCKS 5 (RFC 1928) the tunnel begins after its greeting. */
#include "direct.h"

#include <stddef.h>
#include <string.h>

#include "fail.h"

enum direct_state { DIRECT_OPENING, DIRECT_METHOD, DIRECT_REPLY, DIRECT_OPEN };

#define SOCKS_METHOD_SIZE 2
#define SOCKS_REPLY_SIZE 10

struct direct {
	struct tunnel tunnel;
	struct connection connection;
	const struct direct_route *route;
	enum direct_state state;
	uint8_t answer[SOCKS_REPLY_SIZE];
	size_t answer_size;
};

static struct direct *direct_of(struct connection *connection)
{
	return OWNER_OF(connection, struct direct, connection);
}

static void say(struct direct *direct, const void *bytes, size_t size)
{
	tunnel_send(&direct->tunnel, bytes, size, 0);
}

static void become_open(struct direct *direct)
{
	direct->state = DIRECT_OPEN;
	direct->tunnel.events->opened(&direct->tunnel);
}

static void on_opened(struct connection *connection)
{
	static const uint8_t greeting[] = {5, 1, 0}; /* version 5, one method: no authentication */
	struct direct *direct = direct_of(connection);
	if (!direct->route->socks_target) {
		become_open(direct);
		return;
	}
	direct->state = DIRECT_METHOD;
	say(direct, greeting, sizeof(greeting));
}

static void ask_for_target(struct direct *direct)
{
	uint16_t port = direct->route->socks_target;
	const uint8_t request[] = {5, 1, 0, 1, 127, 0, 0, 1, (uint8_t)(port >> 8), (uint8_t)port};
	direct->state = DIRECT_REPLY;
	direct->answer_size = 0;
	say(direct, request, sizeof(request));
}

/* Answers never come together with what follows them: the other side waits for us. */
static void collect_answer(struct direct *direct, const uint8_t *bytes, size_t size)
{
	size_t wanted = direct->state == DIRECT_METHOD ? SOCKS_METHOD_SIZE : SOCKS_REPLY_SIZE;
	if (size > wanted - direct->answer_size)
		fail("the SOCKS server says more than it should");
	memcpy(direct->answer + direct->answer_size, bytes, size);
	direct->answer_size += size;
	if (direct->answer_size < wanted)
		return;
	if (direct->answer[0] != 5 || direct->answer[1] != 0)
		fail("the SOCKS server refuses (%u)", direct->answer[1]);
	if (direct->state == DIRECT_METHOD)
		ask_for_target(direct);
	else
		become_open(direct);
}

static void on_received(struct connection *connection, const uint8_t *bytes, size_t size)
{
	struct direct *direct = direct_of(connection);
	if (direct->state == DIRECT_OPEN)
		direct->tunnel.events->received(&direct->tunnel, bytes, size);
	else
		collect_answer(direct, bytes, size);
}

static size_t on_produce(struct connection *connection, uint8_t *space, size_t size)
{
	return tunnel_take(&direct_of(connection)->tunnel, space, size);
}

static void on_ended(struct connection *connection, const char *why)
{
	(void)connection;
	fail("the server ended a tunnel: %s", why);
}

static const struct connection_user user = {on_opened, on_received, on_produce, on_ended};

static struct direct *of_tunnel(struct tunnel *tunnel)
{
	return OWNER_OF(tunnel, struct direct, tunnel);
}

static void kick(struct tunnel *tunnel)
{
	connection_flush(&of_tunnel(tunnel)->connection);
}

/* Closing a connection ends both directions at once. */
static void finish(struct tunnel *tunnel)
{
	struct direct *direct = of_tunnel(tunnel);
	connection_close(&direct->connection);
	tunnel->events->finished(tunnel);
	loop_bury(direct);
}

static const struct tunnel_carrier carrier = {kick, finish};

struct tunnel *direct_open(const struct direct_route *route, const struct tunnel_events *events, void *owner)
{
	struct direct *direct = must_allocate(sizeof(*direct));
	direct->tunnel = (struct tunnel){.carrier = &carrier, .events = events, .owner = owner};
	direct->route = route;
	connection_open(&direct->connection, route->port, route->tls, &user);
	return &direct->tunnel;
}

const struct connection *direct_connection(const struct tunnel *tunnel)
{
	return &((const struct direct *)(const void *)((const char *)tunnel - offsetof(struct direct, tunnel)))->connection;
}

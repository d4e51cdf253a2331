/* way.c: tunnels and clients, for each kind of way. */
#include "way.h"

#include "fail.h"

static bool is_set(void *flag)
{
	return *(bool *)flag;
}

static void set(void *flag)
{
	*(bool *)flag = true;
}

void way_connect(struct way *way)
{
	bool opened = false;
	if (way->kind != WAY_H2)
		return;
	way->shared_h2 = h2_open(&way->h2, set, &opened);
	loop_until(is_set, &opened);
}

struct tunnel *way_tunnel(struct way *way, const struct tunnel_events *events, void *owner)
{
	if (way->kind == WAY_H2)
		return h2_tunnel(way->shared_h2, events, owner);
	return direct_open(&way->direct, events, owner);
}

void way_prepare_resumption(struct way *way)
{
	struct client client;
	if (way->kind != WAY_TLS)
		return;
	client_open(&client, way);
	connection_keep_ticket(direct_connection(client.tunnel), &way->tls);
	client_close(&client);
}

/* ---- one client and its tiny exchange ---- */

static void echo_one_byte(struct tunnel *tunnel)
{
	tunnel_send(tunnel, "ex", 2, 0);
}

static void ask_one_byte(struct tunnel *tunnel)
{
	tunnel_send(tunnel, "ox", 2, 0);
}

static void keep_tunnel(struct tunnel *tunnel, const uint8_t *bytes, size_t size)
{
	struct client *client = tunnel->owner;
	(void)bytes, (void)size;
	client->done = true;
}

static void end_tunnel(struct tunnel *tunnel, const uint8_t *bytes, size_t size)
{
	(void)bytes, (void)size;
	tunnel_finish(tunnel);
}

static void wait_for_end(struct tunnel *tunnel)
{
	(void)tunnel;
}

static void ignore(struct tunnel *tunnel, const uint8_t *bytes, size_t size)
{
	(void)tunnel, (void)bytes, (void)size;
}

static void note_end(struct tunnel *tunnel)
{
	struct client *client = tunnel->owner;
	client->done = true;
}

static const struct tunnel_events connection_echo = {echo_one_byte, keep_tunnel, note_end};
static const struct tunnel_events stream_echo = {ask_one_byte, end_tunnel, note_end};
static const struct tunnel_events get = {wait_for_end, ignore, note_end};

static void on_h2_opened(void *owner)
{
	struct client *client = owner;
	if (client->way->get)
		h2_get(client->h2, client->way->get, &get, client);
	else
		h2_tunnel(client->h2, &stream_echo, client);
}

void client_open(struct client *client, const struct way *way)
{
	*client = (struct client){.way = way};
	if (way->kind == WAY_H2)
		client->h2 = h2_open(&way->h2, on_h2_opened, client);
	else
		client->tunnel = direct_open(&way->direct, &connection_echo, client);
	loop_until(is_set, &client->done);
}

void client_close(struct client *client)
{
	if (client->h2)
		h2_close(client->h2);
	else
		tunnel_finish(client->tunnel);
}

/* idle.c: clients and tunnels that are opened, used once and left alone, so that `run` can read what they cost. */
#include <stdlib.h>

#include "fail.h"
#include "figures.h"

static void report(uint64_t count)
{
	figure_result("count=%llu", (unsigned long long)count);
}

static struct client *open_clients(struct way *way, uint64_t count)
{
	struct client *clients = must_allocate((count ? count : 1) * sizeof(*clients));
	for (uint64_t i = 0; i < count; i++)
		client_open(&clients[i], way);
	return clients;
}

void figure_idle_connections(struct way *way, const struct figure_options *options)
{
	struct client *warm = open_clients(way, options->warm);
	figure_ready();
	struct client *clients = open_clients(way, options->count);
	report(options->count);
	free(warm);
	free(clients);
}

static void on_opened(struct tunnel *tunnel)
{
	tunnel_send(tunnel, "ex", 2, 0);
}

static void on_echo(struct tunnel *tunnel, const uint8_t *bytes, size_t size)
{
	uint64_t *left = tunnel->owner;
	(void)bytes, (void)size;
	(*left)--;
}

static void on_finished(struct tunnel *tunnel)
{
	(void)tunnel;
}

static const struct tunnel_events events = {on_opened, on_echo, on_finished};

static bool is_zero(void *left)
{
	return *(uint64_t *)left == 0;
}

/* After its echo a tunnel says nothing more, so the counter need not outlive this call. */
static void open_idle_tunnels(struct way *way, uint64_t count, uint64_t in_flight)
{
	uint64_t left = 0;
	for (uint64_t opened = 0; opened < count; opened += in_flight) {
		left = count - opened < in_flight ? count - opened : in_flight;
		for (uint64_t i = left; i; i--)
			way_tunnel(way, &events, &left);
		loop_until(is_zero, &left);
	}
}

void figure_idle_tunnels(struct way *way, const struct figure_options *options)
{
	way_connect(way);
	open_idle_tunnels(way, options->warm, options->in_flight);
	figure_ready();
	open_idle_tunnels(way, options->count, options->in_flight);
	report(options->count);
}

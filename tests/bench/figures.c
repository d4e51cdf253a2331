/* figures.c: connection, tunnel, bulk and ping-pong. The idle ones are in idle.c. */
#include "figures.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fail.h"

#define PING_SIZE 64
#define ORDER_SIZE 9

static void wait_for_line(void)
{
	char line[16];
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		exit(0); /* `run` is gone */
}

void figure_ready(void)
{
	puts("ready");
	wait_for_line();
}

void figure_result(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
	wait_for_line();
}

static double seconds_since(uint64_t begin_ns)
{
	return (double)(now_ns() - begin_ns) / 1e9;
}

/* ---- connection ---- */

static void connect_times(const struct way *way, uint64_t count)
{
	struct client client;
	for (uint64_t i = 0; i < count; i++) {
		client_open(&client, way);
		client_close(&client);
	}
}

void figure_connection(struct way *way, const struct figure_options *options)
{
	connect_times(way, options->warm);
	figure_ready();
	uint64_t begin_ns = now_ns();
	connect_times(way, options->count);
	figure_result("count=%llu seconds=%.6f", (unsigned long long)options->count, seconds_since(begin_ns));
}

/* ---- tunnel ---- */

struct opening {
	struct way *way;
	uint64_t to_open, to_finish, resumed;
};

static void open_one(struct opening *opening);

static void on_tunnel_opened(struct tunnel *tunnel)
{
	struct opening *opening = tunnel->owner;
	if (opening->way->kind == WAY_TLS)
		opening->resumed += connection_was_resumed(direct_connection(tunnel));
	tunnel_send(tunnel, "ox", 2, 0);
}

static void on_tunnel_echo(struct tunnel *tunnel, const uint8_t *bytes, size_t size)
{
	(void)bytes, (void)size;
	tunnel_finish(tunnel);
}

static void on_tunnel_finished(struct tunnel *tunnel)
{
	struct opening *opening = tunnel->owner;
	opening->to_finish--;
	if (opening->to_open)
		open_one(opening);
}

static const struct tunnel_events opening_events = {on_tunnel_opened, on_tunnel_echo, on_tunnel_finished};

static void open_one(struct opening *opening)
{
	opening->to_open--;
	way_tunnel(opening->way, &opening_events, opening);
}

static bool is_all_finished(void *self)
{
	return ((struct opening *)self)->to_finish == 0;
}

static uint64_t open_tunnels(struct way *way, uint64_t count, uint64_t in_flight)
{
	struct opening opening = {.way = way, .to_open = count, .to_finish = count};
	for (uint64_t i = 0; i < in_flight && opening.to_open; i++)
		open_one(&opening);
	loop_until(is_all_finished, &opening);
	return opening.resumed;
}

void figure_tunnel(struct way *way, const struct figure_options *options)
{
	way_prepare_resumption(way);
	way_connect(way);
	open_tunnels(way, options->warm, options->in_flight);
	figure_ready();
	uint64_t begin_ns = now_ns();
	uint64_t resumed = open_tunnels(way, options->count, options->in_flight);
	figure_result("count=%llu seconds=%.6f resumed=%llu", (unsigned long long)options->count,
		      seconds_since(begin_ns), (unsigned long long)resumed);
}

/* ---- bulk ---- */

struct bulk {
	bool download;
	uint64_t share; /* bytes of each tunnel */
	uint64_t to_open, to_finish;
};

struct lane {
	struct bulk *bulk;
	struct tunnel *tunnel;
	uint64_t to_receive;
};

static void on_lane_opened(struct tunnel *tunnel)
{
	struct lane *lane = tunnel->owner;
	lane->bulk->to_open--;
}

static void on_lane_received(struct tunnel *tunnel, const uint8_t *bytes, size_t size)
{
	struct lane *lane = tunnel->owner;
	(void)bytes;
	if (size > lane->to_receive)
		fail("more bytes than asked for");
	lane->to_receive -= size;
	if (lane->to_receive == 0)
		lane->bulk->to_finish--;
}

static void on_lane_finished(struct tunnel *tunnel)
{
	(void)tunnel;
}

static const struct tunnel_events lane_events = {on_lane_opened, on_lane_received, on_lane_finished};

static bool is_all_open(void *self)
{
	return ((struct bulk *)self)->to_open == 0;
}

static bool is_all_moved(void *self)
{
	return ((struct bulk *)self)->to_finish == 0;
}

static void start_lane(struct lane *lane)
{
	const struct bulk *bulk = lane->bulk;
	uint8_t order[ORDER_SIZE] = {bulk->download ? 'g' : 's'};
	for (int i = 0; i < 8; i++)
		order[1 + i] = (uint8_t)(bulk->share >> (56 - 8 * i));
	lane->to_receive = bulk->download ? bulk->share : 1;
	tunnel_send(lane->tunnel, order, sizeof(order), bulk->download ? 0 : bulk->share);
}

void figure_bulk(struct way *way, const struct figure_options *options)
{
	uint64_t tunnels = options->tunnels;
	struct bulk bulk = {options->download, options->bytes / tunnels, tunnels, tunnels};
	struct lane *lanes = must_allocate(tunnels * sizeof(*lanes));
	way_connect(way);
	for (uint64_t i = 0; i < tunnels; i++) {
		lanes[i].bulk = &bulk;
		lanes[i].tunnel = way_tunnel(way, &lane_events, &lanes[i]);
	}
	loop_until(is_all_open, &bulk);
	figure_ready();
	uint64_t begin_ns = now_ns();
	for (uint64_t i = 0; i < tunnels; i++)
		start_lane(&lanes[i]);
	loop_until(is_all_moved, &bulk);
	figure_result("bytes=%llu seconds=%.6f", (unsigned long long)(bulk.share * tunnels), seconds_since(begin_ns));
	free(lanes);
}

/* ---- ping-pong ---- */

struct pingpong {
	bool opened;
	uint64_t left, received;
	uint64_t sent_ns;
	double *trips; /* microseconds; NULL while warming up */
	uint64_t trip_count;
};

static void on_pingpong_opened(struct tunnel *tunnel)
{
	((struct pingpong *)tunnel->owner)->opened = true;
}

static void ping(struct tunnel *tunnel)
{
	static const uint8_t message[PING_SIZE];
	struct pingpong *game = tunnel->owner;
	game->received = 0;
	game->sent_ns = now_ns();
	tunnel_send(tunnel, message, sizeof(message), 0);
}

static void on_pong(struct tunnel *tunnel, const uint8_t *bytes, size_t size)
{
	struct pingpong *game = tunnel->owner;
	(void)bytes;
	game->received += size;
	if (game->received < PING_SIZE)
		return;
	if (game->trips)
		game->trips[game->trip_count++] = (double)(now_ns() - game->sent_ns) / 1e3;
	if (--game->left)
		ping(tunnel);
}

static const struct tunnel_events pingpong_events = {on_pingpong_opened, on_pong, on_lane_finished};

static bool is_game_open(void *self)
{
	return ((struct pingpong *)self)->opened;
}

static bool is_game_over(void *self)
{
	return ((struct pingpong *)self)->left == 0;
}

static void play(struct tunnel *tunnel, uint64_t count)
{
	struct pingpong *game = tunnel->owner;
	game->left = count;
	if (count)
		ping(tunnel);
	loop_until(is_game_over, game);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

void figure_pingpong(struct way *way, const struct figure_options *options)
{
	struct pingpong game = {0};
	way_connect(way);
	struct tunnel *tunnel = way_tunnel(way, &pingpong_events, &game);
	loop_until(is_game_open, &game);
	tunnel_send(tunnel, "e", 1, 0);
	play(tunnel, options->warm);
	figure_ready();
	game.trips = must_allocate(options->count * sizeof(*game.trips));
	play(tunnel, options->count);
	qsort(game.trips, game.trip_count, sizeof(*game.trips), compare);
	figure_result("count=%llu median_us=%.2f p99_us=%.2f", (unsigned long long)game.trip_count,
		      game.trips[game.trip_count / 2], game.trips[game.trip_count * 99 / 100]);
	free(game.trips);
}

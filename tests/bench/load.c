/* load.c: the load generator's options; figures.h says what it does with them and how `run` steers it.
 *
 * Usage: load FIGURE --way plain|socks|tls|h2 --port PORT [options]; all on the loopback.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fail.h"
#include "figures.h"

#define DEFAULT_TIME_LIMIT 120
#define TOKEN_MAX 512

struct settings {
	struct way way;
	struct figure_options figure;
	const char *authority, *certificate, *key;
	const char *token_file;
	uint16_t port, target_port;
	unsigned time_limit;
};

static const struct {
	const char *name;
	void (*work)(struct way *way, const struct figure_options *options);
} figures[] = {
	{"connection", figure_connection},
	{"tunnel", figure_tunnel},
	{"bulk", figure_bulk},
	{"pingpong", figure_pingpong},
	{"idle-connections", figure_idle_connections},
	{"idle-tunnels", figure_idle_tunnels},
};

static const struct {
	const char *name;
	enum way_kind kind;
} ways[] = {{"plain", WAY_PLAIN}, {"socks", WAY_SOCKS}, {"tls", WAY_TLS}, {"h2", WAY_H2}};

enum choice {
	OPTION_WAY = 1, OPTION_PORT, OPTION_TARGET, OPTION_AUTHORITY, OPTION_CERTIFICATE, OPTION_KEY, OPTION_NAME,
	OPTION_TOKEN_FILE, OPTION_GET, OPTION_COUNT, OPTION_WARM, OPTION_IN_FLIGHT, OPTION_TUNNELS, OPTION_BYTES,
	OPTION_DOWNLOAD, OPTION_TIME_LIMIT,
};

static const struct option options[] = {
	{"way", required_argument, NULL, OPTION_WAY},
	{"port", required_argument, NULL, OPTION_PORT},
	{"target-port", required_argument, NULL, OPTION_TARGET},
	{"authority", required_argument, NULL, OPTION_AUTHORITY},
	{"certificate", required_argument, NULL, OPTION_CERTIFICATE},
	{"key", required_argument, NULL, OPTION_KEY},
	{"name", required_argument, NULL, OPTION_NAME},
	{"token-file", required_argument, NULL, OPTION_TOKEN_FILE},
	{"get", required_argument, NULL, OPTION_GET},
	{"count", required_argument, NULL, OPTION_COUNT},
	{"warm", required_argument, NULL, OPTION_WARM},
	{"in-flight", required_argument, NULL, OPTION_IN_FLIGHT},
	{"tunnels", required_argument, NULL, OPTION_TUNNELS},
	{"bytes", required_argument, NULL, OPTION_BYTES},
	{"download", no_argument, NULL, OPTION_DOWNLOAD},
	{"time-limit", required_argument, NULL, OPTION_TIME_LIMIT},
	{0},
};

static enum way_kind way_named(const char *name)
{
	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++)
		if (strcmp(name, ways[i].name) == 0)
			return ways[i].kind;
	fail("there is no way \"%s\"", name);
}

static void take_option(struct settings *settings, enum choice choice, const char *value)
{
	struct figure_options *figure = &settings->figure;
	switch (choice) {
	case OPTION_WAY: settings->way.kind = way_named(value); break;
	case OPTION_PORT: settings->port = (uint16_t)must_number(value, "--port", UINT16_MAX); break;
	case OPTION_TARGET: settings->target_port = (uint16_t)must_number(value, "--target-port", UINT16_MAX); break;
	case OPTION_AUTHORITY: settings->authority = value; break;
	case OPTION_CERTIFICATE: settings->certificate = value; break;
	case OPTION_KEY: settings->key = value; break;
	case OPTION_NAME: settings->way.tls.server_name = value; break;
	case OPTION_TOKEN_FILE: settings->token_file = value; break;
	case OPTION_GET: settings->way.get = value; break;
	case OPTION_COUNT: figure->count = must_number(value, "--count", 10000000); break;
	case OPTION_WARM: figure->warm = must_number(value, "--warm", 100000); break;
	case OPTION_IN_FLIGHT: figure->in_flight = must_number(value, "--in-flight", 1000); break;
	case OPTION_TUNNELS: figure->tunnels = must_number(value, "--tunnels", 1000); break;
	case OPTION_BYTES: figure->bytes = must_number(value, "--bytes", 1ULL << 40); break;
	case OPTION_DOWNLOAD: figure->download = true; break;
	case OPTION_TIME_LIMIT: settings->time_limit = (unsigned)must_number(value, "--time-limit", 3600); break;
	default: exit(2); /* getopt has said what is wrong */
	}
}

static void check(const struct settings *settings)
{
	if (!settings->port || !settings->target_port)
		fail("--port and --target-port are needed");
	if (!settings->figure.count || !settings->figure.in_flight || !settings->figure.tunnels)
		fail("--count, --in-flight and --tunnels must be at least 1");
	if (settings->way.kind >= WAY_TLS && (!settings->authority || !settings->certificate || !settings->key))
		fail("TLS needs --authority, --certificate and --key");
}

/* "Bearer TOKEN" of the file's first line: a token never stands in an argument list. */
static const char *read_authorization(const char *path)
{
	static char authorization[TOKEN_MAX] = "Bearer ";
	size_t scheme = strlen(authorization);
	FILE *file = fopen(path, "re");
	if (!file || !fgets(authorization + scheme, (int)(sizeof(authorization) - scheme), file))
		fail("no token in %s", path);
	fclose(file);
	authorization[strcspn(authorization, "\r\n")] = '\0';
	return authorization;
}

static void set_up_way(struct settings *settings)
{
	static char target[32];
	struct way *way = &settings->way;
	const struct tls_settings *tls = way->kind >= WAY_TLS ? &way->tls : NULL;
	if (tls)
		tls_settings_load(&way->tls, settings->authority, settings->certificate, settings->key);
	way->tls.protocol = way->kind == WAY_H2 ? "h2" : NULL;
	snprintf(target, sizeof(target), "127.0.0.1:%u", settings->target_port);
	way->direct = (struct direct_route){
		settings->port, tls, way->kind == WAY_SOCKS ? settings->target_port : 0};
	way->h2.port = settings->port;
	way->h2.tls = tls;
	way->h2.target = target;
	way->h2.authorization = settings->token_file ? read_authorization(settings->token_file) : NULL;
}

static void work(const char *name, struct settings *settings)
{
	for (size_t i = 0; i < sizeof(figures) / sizeof(*figures); i++) {
		if (strcmp(name, figures[i].name) == 0) {
			figures[i].work(&settings->way, &settings->figure);
			return;
		}
	}
	fail("there is no figure \"%s\"", name);
}

int main(int argc, char **argv)
{
	struct settings settings = {
		.way.tls.server_name = "localhost",
		.figure = {.count = 1, .in_flight = 1, .tunnels = 1},
		.time_limit = DEFAULT_TIME_LIMIT,
	};
	int option;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		take_option(&settings, (enum choice)option, optarg);
	if (optind != argc - 1)
		fail("usage: load FIGURE --way plain|socks|tls|h2 --port PORT --target-port PORT [options]");
	check(&settings);
	set_up_way(&settings);
	loop_set_time_limit(settings.time_limit);
	work(argv[optind], &settings);
	return 0;
}

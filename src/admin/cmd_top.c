/* cmd_top.c: sallyport-admin top: live tunnels with their rates, the busiest first.
 *
 * A rate is what the gateway's kernel counted at the target's socket between two looks; the moments are the gateway's.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "admin.h"
#include "sallyport/own.h"

DEFINE_OWN(json, json_t *, json_decref)
#define OWN_JSON OWN(own_json)

/* The first look has nothing to compare with. */
enum { LOOK_EVERY_US = 1000000, FIRST_LOOK_US = 500000 };
/* What stands above and below the rows; and what a terminal has that does not say. */
enum { FRAME_LINES = 4, LINES = 24 };

static const char *const columns[] = {"TUNNEL", "tunnel", "USER", "user", "DEVICE", "device", "HOST", "host", "PORT", "port",
				      "RULE", "rule", "TO TARGET/S", "to_target", "TO CLIENT/S", "to_client", "IDLE (S)",
				      "idle_seconds", NULL};

/* "1.4 MB": thousands, as networks are measured. */
static json_t *spell(json_int_t bytes)
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
	double number = (double)bytes;
	size_t unit = 0;
	for (; number >= 1000 && unit + 1 < sizeof(units) / sizeof(units[0]); unit++)
		number /= 1000;
	char text[32];
	snprintf(text, sizeof(text), unit ? "%.1f %s" : "%.0f %s", number, units[unit]);
	return json_string(text);
}

/* ---- from two looks to rates ---- */

static json_int_t rate(const json_t *now, const json_t *before, const char *key, json_int_t passed_ms)
{
	json_int_t more = admin_number(now, key) - admin_number(before, key);
	return before && passed_ms > 0 && more > 0 ? more * 1000 / passed_ms : 0;
}

static json_t *index_of(const json_t *tunnels)
{
	json_t *index = json_object();
	size_t i;
	json_t *row;
	char id[32];
	json_array_foreach(tunnels, i, row) {
		snprintf(id, sizeof(id), "%" JSON_INTEGER_FORMAT, admin_number(row, "tunnel"));
		json_object_set(index, id, row);
	}
	return index;
}

static void add_rates(const json_t *look, const json_t *before)
{
	OWN_JSON json_t *known = index_of(json_object_get(before, "tunnels"));
	json_int_t passed_ms = admin_number(look, "now_ms") - admin_number(before, "now_ms");
	size_t i;
	json_t *row;
	char id[32];
	json_array_foreach(json_object_get(look, "tunnels"), i, row) {
		snprintf(id, sizeof(id), "%" JSON_INTEGER_FORMAT, admin_number(row, "tunnel"));
		const json_t *former = json_object_get(known, id);
		json_object_set_new(row, "rate_to_target", json_integer(rate(row, former, "bytes_to_target", passed_ms)));
		json_object_set_new(row, "rate_to_client", json_integer(rate(row, former, "bytes_to_client", passed_ms)));
	}
}

static json_int_t busyness(const json_t *row)
{
	return admin_number(row, "rate_to_target") + admin_number(row, "rate_to_client");
}

static int compare(const void *a, const void *b)
{
	const json_t *one = *(json_t *const *)a, *other = *(json_t *const *)b;
	json_int_t difference = busyness(other) - busyness(one);
	if (difference == 0)
		difference = admin_number(other, "tunnel") - admin_number(one, "tunnel");
	return difference > 0 ? 1 : difference < 0 ? -1 : 0;
}

/* The busiest first, the youngest first among equals. The rows stay the list's. */
static json_t *sorted(const json_t *tunnels)
{
	size_t count = json_array_size(tunnels);
	OWN_MEMORY json_t **rows = calloc(count + 1, sizeof(*rows));
	json_t *list = json_array();
	for (size_t i = 0; rows && i < count; i++)
		rows[i] = json_array_get(tunnels, i);
	if (rows)
		qsort(rows, count, sizeof(json_t *), compare);
	for (size_t i = 0; rows && i < count; i++)
		json_array_append(list, rows[i]);
	return list;
}

/* ---- showing ---- */

static size_t rows_that_fit(void)
{
	struct winsize size;
	if (!isatty(STDOUT_FILENO))
		return SIZE_MAX;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_row == 0)
		size.ws_row = LINES;
	return size.ws_row > FRAME_LINES ? size.ws_row - FRAME_LINES : 1;
}

static void print_screen(const json_t *rows)
{
	OWN_JSON json_t *shown = json_array();
	OWN_JSON json_t *users = json_object();
	json_int_t up = 0, down = 0;
	size_t i, most = rows_that_fit();
	json_t *row;
	json_array_foreach(rows, i, row) {
		up += admin_number(row, "rate_to_target");
		down += admin_number(row, "rate_to_client");
		json_object_set_new(users, json_string_value(json_object_get(row, "user")), json_true());
		json_object_set_new(row, "to_target", spell(admin_number(row, "rate_to_target")));
		json_object_set_new(row, "to_client", spell(admin_number(row, "rate_to_client")));
		if (i < most)
			json_array_append(shown, row);
	}
	OWN_JSON json_t *up_text = spell(up);
	OWN_JSON json_t *down_text = spell(down);
	printf("%zu tunnels of %zu users, %s/s to targets, %s/s to clients\n\n", json_array_size(rows), json_object_size(users),
	       json_string_value(up_text), json_string_value(down_text));
	table_print(shown, columns);
	if (i > most)
		printf("... and %zu more\n", i - most);
}

static void show(const struct admin_options *options, const json_t *look)
{
	OWN_JSON json_t *rows = sorted(json_object_get(look, "tunnels"));
	if (options->json) {
		OWN_JSON json_t *answer = json_pack("{s:O}", "tunnels", rows);
		json_dumpf(answer, stdout, options->once ? JSON_INDENT(2) : JSON_COMPACT);
		putchar('\n');
		return;
	}
	/* Home, and away with what stands there. */
	if (!options->once && isatty(STDOUT_FILENO))
		fputs("\033[H\033[2J", stdout);
	print_screen(rows);
	if (!options->once && !isatty(STDOUT_FILENO))
		putchar('\n');
}

int cmd_top(const struct admin_options *options)
{
	OWN_JSON json_t *before = NULL;
	int status = call(options, "GET", "/v1/tunnels", NULL, &before);
	useconds_t pause = FIRST_LOOK_US;
	while (status == ADMIN_DONE) {
		json_t *look = NULL;
		usleep(pause);
		pause = LOOK_EVERY_US;
		status = call(options, "GET", "/v1/tunnels", NULL, &look);
		if (status != ADMIN_DONE)
			break;
		add_rates(look, before);
		show(options, look);
		json_decref(before);
		before = look;
		if (options->once)
			break;
		if (fflush(stdout) != 0)
			return admin_say(ADMIN_FAILED, "cannot write the output");
	}
	return status;
}

/* source_desk.c: what the broker asks about sources: the list and the clearing, for the admin; and refused logins.
 *
 * Counterpart: gateway/broker/admin_sources.c.
 */
#include <string.h>

#include "monitor.h"
#include "sallyport/clock.h"
#include "sallyport/edge/monitor_room.h"
#include "sallyport/wire.h"

int source_desk_read(const struct conf *conf, struct source_networks *out_exempt, struct source_networks *out_senders,
		     struct diag *diag)
{
	int result = source_networks_parse("source_exempt", conf->source_exempt, out_exempt, diag);
	if (result == 0)
		result = source_networks_parse("proxy_protocol_from", conf->proxy_protocol_from, out_senders, diag);
	return result;
}

/* So many rows an admin can read; those that are refused come first. */
enum { ROWS_MAX = 1000 };

static int send_rows(struct monitor *monitor, int edge, bool refusing, unsigned *rows)
{
	uint64_t now = clock_monotonic_ms();
	const struct source *source;
	size_t position = 0;
	char text[SOURCE_TEXT_MAX];
	int result = 0;
	while (result == 0 && *rows < ROWS_MAX && (source = source_next(&monitor->sources, &position, now))) {
		uint64_t penalty = source->penalty_until_ms > now ? source->penalty_until_ms - now : 0;
		bool is_refusing = source->refusing && penalty;
		if (is_refusing != refusing)
			continue;
		source_spell(source, text);
		result = WIRE_SEND(edge, monitor_room, source_item, -1, .source = view_string(text), .penalty_ms = penalty,
				   .refusing = is_refusing, .failures = source->failures, .refused = source->refused);
		(*rows)++;
	}
	return result;
}

int source_desk_count(struct monitor *monitor, int edge)
{
	return WIRE_SEND(edge, monitor_room, counts, -1, .dropped_source = monitor->dropped_source, .dropped_early = monitor->dropped_early,
			 .evicted = monitor->evicted, .strangers = monitor->strangers, .workers = monitor->worker_count);
}

int source_desk_list(struct monitor *monitor, int edge)
{
	unsigned rows = 0;
	int result = send_rows(monitor, edge, true, &rows);
	if (result == 0)
		result = send_rows(monitor, edge, false, &rows);
	if (result < 0)
		return result;
	return WIRE_SEND(edge, monitor_room, sources_end, -1, .dropped_source = monitor->dropped_source,
			 .dropped_early = monitor->dropped_early, .evicted = monitor->evicted, .strangers = monitor->strangers,
			 .remembered = (uint32_t)source_count(&monitor->sources, clock_monotonic_ms()),
			 .places = (uint32_t)source_places(&monitor->sources));
}

int source_desk_clear(struct monitor *monitor, int edge, struct view source)
{
	struct source_address address;
	bool good = source.size == 0 || source_address_parse(source, &address) == 0;
	unsigned count = good ? source_clear(&monitor->sources, source.size ? &address : NULL) : 0;
	if (source.size == 0)
		monitor->dropped_source = monitor->dropped_early = monitor->evicted = 0;
	return WIRE_SEND(edge, monitor_room, sources_cleared, -1, .good = good, .count = count);
}

void source_desk_login_refused(struct monitor *monitor, struct view client)
{
	struct source_address address;
	if (source_address_parse(client, &address) == 0)
		accept_penalise(monitor, &address, monitor->conf.source_penalty_login_ms);
}

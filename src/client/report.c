/* report.c: how the agent is, as JSON. */
#include "report.h"

#include <jansson.h>
#include <unistd.h>

#include "entrance.h"
#include "news.h"
#include "passage.h"
#include "sallyport/clock.h"
#include "sallyport/own.h"

DEFINE_OWN(json, json_t *, json_decref)

static json_t *time_json(uint64_t wall_ms)
{
	char text[32];
	clock_format(wall_ms, text, sizeof(text));
	return json_string(text);
}

static json_t *uplink_json(const struct uplink *uplink)
{
	struct uplink_state state;
	uplink_state(uplink, &state);
	return json_pack("{s:s, s:s, s:o, s:I, s:I, s:I, s:s}", "state", state.word, "gateway", state.gateway, "since",
			 time_json(state.since_ms), "retry_in_ms", (json_int_t)state.retry_in_ms, "connections",
			 (json_int_t)state.connections, "retired", (json_int_t)state.retired, "last_problem", state.sentence);
}

static json_t *tunnels_json(const struct agent *agent)
{
	json_t *list = json_array();
	for (const struct passage *passage = passage_next(agent, NULL); passage; passage = passage_next(agent, passage)) {
		struct passage_facts facts;
		char to[DESTINATION_TEXT_MAX];
		passage_look(passage, &facts);
		destination_text(facts.destination, to);
		json_array_append_new(list, json_pack("{s:s, s:s, s:o, s:I, s:I, s:I}", "to", to, "state",
						      facts.stands ? "open" : "waiting", "since", time_json(facts.begun_ms),
						      "sent", (json_int_t)facts.sent_bytes, "received",
						      (json_int_t)facts.received_bytes, "rate", (json_int_t)facts.rate));
	}
	return list;
}

static json_t *forwards_json(const struct agent *agent)
{
	static const char *const kinds[] = {[FORWARD_FIXED] = "forward", [FORWARD_SOCKS] = "socks", [FORWARD_HTTP] = "http"};
	json_t *list = json_array();
	for (const struct entrance *entrance = agent->entrances; entrance; entrance = entrance_next(agent, entrance)) {
		const struct forward *forward = entrance_forward(entrance);
		char where[80], to[DESTINATION_TEXT_MAX] = "";
		listener_text(forward, where, sizeof(where));
		if (forward->kind == FORWARD_FIXED)
			destination_text(&forward->destination, to);
		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:b, s:I}", "kind", kinds[forward->kind], "listen", where,
						      "to", to, "kept", entrance_owner(entrance) == agent, "connections",
						      (json_int_t)entrance_open_connections(entrance)));
	}
	return list;
}

static json_t *warnings_json(const struct agent *agent)
{
	json_t *list = json_array();
	char sentence[256];
	upkeep_warning(agent, sentence, sizeof(sentence));
	if (*sentence)
		json_array_append_new(list, json_string(sentence));
	if (news_warning(agent->news))
		json_array_append_new(list, json_string(news_warning(agent->news)));
	return list;
}

int report_write(const struct agent *agent, struct buf *out_text)
{
	OWN(own_json) json_t *root =
		json_pack("{s:I, s:s, s:o, s:b, s:o, s:o, s:o, s:o}", "pid", (json_int_t)getpid(), "version", SALLYPORT_VERSION,
			  "since", time_json(agent->started_ms), "stays", agent->stays, "connection",
			  uplink_json(agent->uplink), "tunnels", tunnels_json(agent), "forwards", forwards_json(agent), "warnings", warnings_json(agent));
	OWN_MEMORY char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;
	return text && buf_add_string(out_text, text) == 0 ? STATUS_OK : STATUS_FAILED;
}
